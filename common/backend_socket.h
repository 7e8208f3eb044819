/* SPDX-License-Identifier: Apache-2.0 */
/* backend_socket.h - which socket connects to a backend, and who makes it
 *
 * The relay asks for sockets that berthd mints. Both decide by this what is
 * asked for, so that they cannot disagree. Pure.
 */
#ifndef COMMON_BACKEND_SOCKET_H
#define COMMON_BACKEND_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/protocol.h"

struct backend;
struct backend_source;

/**
 * struct backend_origin - from where a rule has its backends connected to
 * @elsewhere:	from another namespace than berthd's
 * @transparent: from the client's address
 * @from, @n_from: from these addresses; borrowed
 */
struct backend_origin {
	bool elsewhere;
	bool transparent;
	const struct backend_source *from;
	size_t n_from;
};

/**
 * struct backend_socket - which socket connects to a backend
 * @domain:	AF_INET, AF_INET6, AF_UNIX
 * @protocol:	see scheme_protocol()
 * @minted:	berthd makes it, for the relay may neither enter the namespace
 *		nor bind a socket to the address; else the relay's own will do
 * @bound:	berthd binds it to @source. An SCTP socket is bound to all
 *		addresses of the rule by whoever connects it, and one that
 *		stands in for the client to the client's.
 * @source:	of @origin's, the one of the backend's family; NULL: there is
 *		none, or not @bound
 */
struct backend_socket {
	int domain;
	enum protocol protocol;
	bool minted;
	bool bound;
	const struct backend_source *source;
};

/**
 * backend_source_find() - the first of @from that is of @family, or NULL
 * @family:	AF_INET or AF_INET6
 */
const struct backend_source *
backend_source_find(const struct backend_source *from, size_t n_from,
		    int family);

/**
 * backend_socket_choose() - the socket for @backend of a rule
 * @protocol:	of the listener whose traffic goes there
 */
struct backend_socket
backend_socket_choose(const struct backend *backend, enum protocol protocol,
		      const struct backend_origin *origin);

#endif
