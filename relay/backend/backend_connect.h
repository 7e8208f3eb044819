/* SPDX-License-Identifier: Apache-2.0 */
/* backend_connect.h - connecting a socket to a backend, never to itself */
#ifndef RELAY_BACKEND_BACKEND_CONNECT_H
#define RELAY_BACKEND_BACKEND_CONNECT_H

#include <stdint.h>

struct listener;
struct mint;
struct own_socket;
struct serving_backend;

/**
 * struct backend_client - for whom a socket to a backend is
 * @listener:	that the client came to
 * @mint:	where the socket is from, if berthd made it; else NULL
 * @own:	set if the backend may be a listener of the relay's: to be freed
 *		by own_socket_free() before the socket is closed; else untouched
 * @hops:	see own_arrival_hops()
 */
struct backend_client {
	const struct listener *listener;
	const struct mint *mint;
	struct own_socket **own;
	uint8_t hops;
};

/**
 * backend_connect() - connects @fd, of whatever protocol, to @target
 *
 * If the kernel connected the socket to itself that counts as refused, before
 * a byte is sent; closing the socket gives its port back.
 *
 * Return: 0; -errno of connect(2), -EINPROGRESS among them.
 */
int backend_connect(int fd, const struct serving_backend *target,
		    const struct backend_client *client);

#endif
