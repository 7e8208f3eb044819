// SPDX-License-Identifier: Apache-2.0
/* backend_socket.c - which socket connects to a backend, and who makes it */
#include "common/backend_socket.h"

#include "common/backend.h"
#include "common/backend_source.h"

const struct backend_source *
backend_source_find(const struct backend_source *from, size_t n_from,
		    int family)
{
	for (size_t i = 0; i < n_from; i++) {
		if (from[i].addr.family == family)
			return &from[i];
	}
	return NULL;
}

struct backend_socket backend_socket_choose(const struct backend *backend,
					    enum protocol protocol,
					    const struct backend_origin *origin)
{
	struct backend_socket sock = {
		.domain = backend->address.ss_family,
		.protocol = scheme_protocol(backend->scheme, protocol),
	};

	/* A path leads to the same socket from every namespace, and has no
	 * addresses. */
	if (backend->scheme == SCHEME_UNIX)
		return sock;
	sock.bound = origin->n_from > 0 && !origin->transparent &&
		     sock.protocol != PROTOCOL_SCTP;
	sock.minted = origin->elsewhere || origin->transparent || sock.bound;
	if (sock.bound)
		sock.source = backend_source_find(origin->from, origin->n_from,
						  sock.domain);
	return sock;
}
