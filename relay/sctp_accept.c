// SPDX-License-Identifier: Apache-2.0
/* sctp_accept.c - new associations of one-to-one listeners, and how many */
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/limits.h"
#include "relay/listener.h"
#include "relay/netns_use.h"
#include "relay/sctp.h"
#include "relay/sctp_internal.h"
#include "relay/serving.h"
#include "relay/spread.h"
#include "relay/worker.h"

/* Associations per listener and event, then others have their turn. */
#define ACCEPT_BATCH 16

unsigned int sctp_fds(const struct share *share)
{
	unsigned int n = share->serving->action == SERVICE_FORWARD ? 1 : 0;

	if (share->listener->protocol == PROTOCOL_SCTP)
		n++;
	return n;
}

bool sctp_admit(struct share *share)
{
	struct listener *listener = share->listener;
	unsigned int n = sctp_fds(share);

	if (!limits_take(n))
		return false;
	if (netns_use_take(listener->netns, n)) {
		if (atomic_fetch_add_explicit(&listener->n_conns, 1,
					      memory_order_relaxed) <
		    share->serving->max_connections)
			return true;
		atomic_fetch_sub_explicit(&listener->n_conns, 1,
					  memory_order_relaxed);
		netns_use_give(listener->netns, n);
	}
	limits_give(n);
	return false;
}

void sctp_admit_not(struct share *share)
{
	sctp_leave(share, sctp_fds(share));
}

void sctp_leave(struct share *share, unsigned int n_fds)
{
	atomic_fetch_sub_explicit(&share->listener->n_conns, 1,
				  memory_order_relaxed);
	netns_use_give(share->listener->netns, n_fds);
	limits_give(n_fds);
}

static void accepted(struct worker *worker, struct share *share, int fd)
{
	struct sctp_conn *conn;
	int r;

	r = sctp_conn_new(worker, share, fd, 0, &conn);
	if (r == 0) {
		sctp_conn_begin(worker, conn);
		return;
	}
	if (log_ratelimit_ok(&worker->log_limit))
		log_warning_errno(r, "%s: aborting an association",
				  share->listener->label);
	sctp_socket_close(fd, /* abort= */ true);
	sctp_admit_not(share);
}

/* Return: true when the next accept may succeed. */
static bool accept_failed(struct worker *worker, struct share *share, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED:
	case EPERM: /* a firewall rule */
		return true;
	default:
		if (log_ratelimit_ok(&worker->log_limit))
			log_warning_errno(error, "%s: cannot accept; retrying",
					  share->listener->label);
		worker_park(worker, share);
		return false;
	}
}

void sctp_listener_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	int fd;

	(void)events;
	if (spread_pass(share, worker->now_us))
		return;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if (!sctp_admit(share)) {
			share_limited(share);
			worker_park(worker, share);
			return;
		}
		fd = accept4(share->listener->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			int error = errno;

			sctp_admit_not(share);
			if (!accept_failed(worker, share, error))
				return;
			continue;
		}
		share->useful = true;
		accepted(worker, share, fd);
	}
}
