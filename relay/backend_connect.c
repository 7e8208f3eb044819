// SPDX-License-Identifier: Apache-2.0
/* backend_connect.c - connecting a socket to a backend, never to itself
 *
 * A port that nobody listens on, in the range from which the kernel chooses
 * ports for those who connect, may be chosen for the very socket that connects
 * to it: TCP then meets its own SYN (a simultaneous open) and is connected to
 * itself, as a UDP socket is anyway. It would echo what the client says, and
 * keep the port from the backend that wants it back.
 *
 * The kernel has chosen the port when connect(2) returns, also where TCP has
 * no answer yet, so that one getsockname(2) tells. It is asked for each
 * backend: which addresses are local, and which ports may be chosen, only the
 * namespace of the socket knows, and both may change at any time.
 */
#include "relay/backend_connect.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/util.h"
#include "relay/serving.h"

/* Is @local what the socket of that address was to be connected to? */
static bool is_itself(const struct sockaddr_storage *local,
		      const struct serving_backend *target)
{
	struct sockaddr_storage peer = { 0 };
	struct ip_addr local_addr, peer_addr;
	uint16_t local_port, peer_port;

	memcpy(&peer, target->address, target->address_len);
	if (ip_addr_from_sockaddr(local, &local_addr, &local_port) < 0 ||
	    ip_addr_from_sockaddr(&peer, &peer_addr, &peer_port) < 0)
		return false; /* UNIX */
	if (local_port != peer_port)
		return false;
	/* To connect to no address means this host, from the address that is
	 * connected to. */
	return ip_addr_is_any(&peer_addr) ||
	       ip_addr_equal(&local_addr, &peer_addr);
}

int backend_connect(int fd, const struct serving_backend *target)
{
	struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(local);
	int r = 0;

	if (connect(fd, target->address, target->address_len) < 0)
		r = -errno;
	if ((r < 0 && r != -EINPROGRESS) ||
	    target->address->sa_family == AF_UNIX)
		return r;
	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
		return -errno;
	return is_itself(&local, target) ? -ECONNREFUSED : r;
}
