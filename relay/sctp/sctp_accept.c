// SPDX-License-Identifier: Apache-2.0
/* sctp_accept.c - new associations of one-to-one listeners */
#include "common/log.h"
#include "common/stream.h"
#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/listener.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/worker.h"

void sctp_accepted(struct worker *worker, struct share *share, int fd,
		   const struct sockaddr_storage *from)
{
	struct sctp_conn *conn;
	int r;

	r = sctp_conn_new(worker, share, fd, 0, &conn);
	if (r == 0) {
		(void)ip_addr_from_sockaddr(from, &conn->from, NULL);
		sctp_conn_begin(worker, conn);
		return;
	}
	if (worker_may_log(worker, share->listener, NULL))
		log_warning_errno(r, "%s: aborting an association",
				  share->listener->label);
	stream_reset(fd);
	admit_give(share, admit_fds(share));
}
