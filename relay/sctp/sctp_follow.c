// SPDX-License-Identifier: Apache-2.0
/* sctp_follow.c - associations follow the addresses of their listener
 *
 * Theory of operation: berthd gives an endpoint on all the addresses of a
 * namespace (`address: all`) new ones, and takes old ones away. For the
 * associations of a one-to-many socket, and those that wait in a backlog, the
 * kernel then tells all peers (ASCONF), if it is allowed to. An association
 * that was accepted has a socket of its own, which has to be bound likewise. So
 * berthd says `listener` again, and each worker compares the sockets of its
 * associations with the listening socket.
 *
 * The listening socket has the new address already, and Linux refuses an
 * address to a socket while a listening one of the same port has it, unless
 * both have SO_REUSEPORT. They have that option only for the moment: else other
 * programs could share the port.
 */
#include <netinet/sctp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/log.h"
#include "common/sctp_addrs.h"
#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/worker.h"

/* Protects SO_REUSEPORT of listening sockets, which several workers share. */
static pthread_mutex_t reuse_lock = PTHREAD_MUTEX_INITIALIZER;

static int set_reuse(int fd, int on)
{
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int add_beside(int fd, int listener_fd, const struct ip_addr *addr)
{
	int r;

	pthread_mutex_lock(&reuse_lock);
	r = set_reuse(listener_fd, 1);
	if (r == 0)
		r = set_reuse(fd, 1);
	if (r == 0)
		r = sctp_addrs_add(fd, addr, 1, 0);
	(void)set_reuse(fd, 0); /* it could be set, so it can be unset */
	(void)set_reuse(listener_fd, 0);
	pthread_mutex_unlock(&reuse_lock);
	return r;
}

static bool has_addr(const struct ip_addr *addrs, size_t n,
		     const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (ip_addr_equal(&addrs[i], addr))
			return true;
	return false;
}

static void conn_follow(struct worker *worker, const struct sctp_conn *conn,
			const struct ip_addr *addrs, size_t n)
{
	const struct listener *listener = conn->flow.share->listener;
	_cleanup_free_ struct ip_addr *own = NULL;
	int fd = conn->client.fd, r = 0;
	ssize_t n_own = sctp_socket_addrs(fd, &own);

	/* New addresses come first, because the last one cannot be taken away.
	 */
	for (size_t i = 0; n_own > 0 && i < n && r == 0; i++)
		if (!has_addr(own, (size_t)n_own, &addrs[i]))
			r = add_beside(fd, listener->fd, &addrs[i]);
	/* The address is gone again: berthd is about to say so. */
	if (r == -EADDRNOTAVAIL)
		r = 0;
	for (ssize_t i = 0; i < n_own && r == 0; i++)
		if (!has_addr(addrs, n, &own[i]))
			r = sctp_addrs_remove(fd, &own[i], 1, 0);
	if (r < 0 && worker_may_log(worker, listener, NULL))
		(void)log_print_about_errno(
			LOG_LEVEL_WARNING, &listener->about, r,
			"%s: an association keeps the addresses "
			"that it had",
			listener->label);
}

void sctp_share_follow(struct worker *worker, struct share *share,
		       const struct serving *old)
{
	_cleanup_free_ struct ip_addr *addrs = NULL;
	struct flow *flow;
	ssize_t n;

	(void)old;
	if (!share->flows || !share->listener->multihomed)
		return;
	n = sctp_socket_addrs(share->listener->fd, &addrs);
	if (n <= 0)
		return;
	DL_FOREACH (share->flows, flow)
		conn_follow(worker, container_of(flow, struct sctp_conn, flow),
			    addrs, (size_t)n);
}
