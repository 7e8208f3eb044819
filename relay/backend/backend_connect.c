// SPDX-License-Identifier: Apache-2.0
/* backend_connect.c - connecting a socket to a backend, never to itself
 *
 * If the backend may be a listener of the relay's own, its socket is noted with
 * what target_connect() found out, see own_sockets.c.
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
#include "relay/core/target_connect.h"
#include "relay/core/upstream.h"

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
	r = target_connect(fd, target, &end);
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
