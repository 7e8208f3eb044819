// SPDX-License-Identifier: Apache-2.0
/* sctp_backend.c - the socket of an SCTP client's backend
 *
 * The backend is asked for as many streams as the client has, each way. It may
 * grant fewer: that is found out when a message needs one that is missing.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/serving.h"
#include "relay/sctp/sctp_internal.h"

static int bind_socket(const struct serving *serving,
		       const struct serving_backend *target, int fd)
{
	_cleanup_close_ int udp_fd = -1;

	if (serving->n_from)
		return sctp_addrs_add_chosen(fd, serving->from, serving->n_from,
					     target->addrs);
	udp_fd = socket(target->address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC,
			0);
	if (udp_fd < 0)
		return -errno;
	return sctp_addrs_add_routed(fd, udp_fd, target->addrs);
}

static int prepare_association(const struct sctp_conn *conn, int fd,
			       const struct serving_backend *target)
{
	size_t n = target->addrs->n;
	int r = sctp_socket_mirror(fd, &conn->client.limits);

	if (r == 0)
		r = sctp_socket_hasten(fd, n,
				       conn->flow.serving->connect_timeout_us);
	/* A minted socket was bound by berthd, in its namespace. */
	if (r == 0 && !target->minted)
		r = bind_socket(conn->flow.serving, target, fd);
	return r;
}

int sctp_backend_prepare(struct sctp_conn *conn,
			 const struct serving_backend *target)
{
	static const int on = 1;
	struct sctp_side *backend = &conn->backend;

	backend->kind = target->protocol == PROTOCOL_SCTP ? SCTP_SIDE_OWN
							  : SCTP_SIDE_STREAM;
	if (target->protocol == PROTOCOL_SCTP)
		return prepare_association(conn, backend->fd, target);
	if (target->address->sa_family != AF_UNIX)
		/* Latency only: what a failure would cost. */
		(void)setsockopt(backend->fd, IPPROTO_TCP, TCP_NODELAY, &on,
				 sizeof(on));
	return 0;
}
