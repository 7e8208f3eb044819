// SPDX-License-Identifier: Apache-2.0
/* target_connect.c - a socket towards a backend, and connecting it
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
 * chosen, and both may change at any time.
 */
#include "relay/core/target_connect.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ip.h"
#include "common/stream.h"
#include "common/util.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"

int target_socket(const struct serving_backend *target)
{
	const struct protocol_socket kind = protocol_socket(target->protocol);
	int family = target->address->sa_family, fd, r;

	fd = socket(family, kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    kind.protocol);
	if (fd < 0)
		return -errno;
	r = family == AF_UNIX ? 0 : stream_set_hard(fd, /* hard= */ true);
	if (r == 0 && target->protocol == PROTOCOL_TCP)
		r = stream_set_inline(fd, /* inlined= */ true);
	if (r < 0) {
		(void)close(fd); /* nothing is left that could fail */
		return r;
	}
	return fd;
}

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

int target_connect(int fd, const struct serving_backend *target,
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
