// SPDX-License-Identifier: Apache-2.0
/* backend_connect.c - connecting a socket to a backend, never to itself
 *
 * Theory of operation: a backend's port may be one from the range that the
 * kernel chooses local ports from. If nobody listens on it, the kernel may
 * choose it for the very socket that connects to it: TCP then meets its own SYN
 * (a simultaneous open) and is connected to itself, and so is a UDP socket. It
 * would echo what the client says, and keep the port from the backend that
 * wants it back.
 *
 * The kernel has chosen the port when connect(2) returns, even if TCP has no
 * answer yet, so one getsockname(2) tells. It is called for each backend: only
 * the socket's namespace knows which addresses are local and which ports may be
 * chosen, and both may change at any time. If the backend may be a listener of
 * the relay's own, its socket is noted with what getsockname(2) told, see
 * own_sockets.c.
 */
#include "relay/backend/backend_connect.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/core/minted.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/upstream.h"

/* Return: is @fd, which is connected as @end says, connected to itself? */
static bool is_itself(int fd, const struct serving_backend *target,
		      const struct own_end *end)
{
	if (end->port != end->to_port)
		return false;
	/* Of several addresses, @end names only one. */
	if (target->addrs && target->addrs->n > 1)
		return sctp_addrs_holds(fd, target->addrs);
	/* A socket that connects to the unspecified address is connected to
	 * this host, and has the same address itself. */
	return ip_addr_is_any(&end->to) || ip_addr_equal(&end->addr, &end->to);
}

static int find_own_end(int fd, struct own_end *end)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	int r;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	r = ip_addr_from_sockaddr(&sa, &end->addr, &end->port);
	/* An SCTP socket that is bound to no address has several. */
	if (r == 0 && ip_addr_is_any(&end->addr))
		end->addr = (struct ip_addr){ .family = AF_UNSPEC };
	return r;
}

static int open_connection(int fd, const struct serving_backend *target)
{
	if (target->protocol == PROTOCOL_SCTP)
		return sctp_addrs_connect(fd, target->addrs);
	if (connect(fd, target->address, target->address_len) < 0)
		return -errno;
	return 0;
}

/* Return: as backend_connect(). */
static int connect_ends(int fd, const struct serving_backend *target,
			struct own_end *end)
{
	int r = open_connection(fd, target), found;

	if (r < 0 && r != -EINPROGRESS)
		return r;
	found = find_own_end(fd, end);
	if (found < 0)
		return found;
	return is_itself(fd, target, end) ? -ECONNREFUSED : r;
}

int backend_connect(int fd, const struct serving_backend *target,
		    const struct listener *listener, struct upstream *upstream)
{
	struct sockaddr_storage to = { .ss_family = AF_UNSPEC };
	struct own_socket *own = NULL;
	struct own_end end = {
		.protocol = target->protocol,
		.netns_id = upstream->minted ? upstream->minted->netns_id : 0,
		.listener_id = listener->id,
		.hops = upstream->hops,
	};
	int r;

	memcpy(&to, target->address, target->address_len);
	if (ip_addr_from_sockaddr(&to, &end.to, &end.to_port) < 0)
		return connect(fd, target->address, target->address_len) < 0
			       ? -errno
			       : 0; /* UNIX */
	/* The socket is noted before it is connected: another worker may accept
	 * it at that very moment. */
	if (own_port(end.protocol, end.to_port)) {
		own = own_socket_new(&end);
		if (!own)
			return -ENOMEM;
	}
	r = connect_ends(fd, target, &end);
	if (r < 0 && r != -EINPROGRESS) {
		(void)own_socket_free(own);
		return r;
	}
	if (own) {
		own_socket_connected(own, &end);
		upstream->own = own;
	}
	return r;
}
