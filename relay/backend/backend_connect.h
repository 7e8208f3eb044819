/* SPDX-License-Identifier: Apache-2.0 */
/* backend_connect.h - connecting a socket to a backend, never to itself */
#ifndef RELAY_BACKEND_BACKEND_CONNECT_H
#define RELAY_BACKEND_BACKEND_CONNECT_H

struct listener;
struct serving_backend;
struct upstream;

/**
 * backend_connect() - connects the socket @fd, of any protocol, to @target
 * @listener:	the listener that the client came to
 * @upstream:	the client's. If the backend may be a listener of the relay's,
 *		sets upstream.own: call own_socket_free() before @fd is closed
 *
 * A socket that the kernel connected to itself counts as refused, before a byte
 * is sent. Closing it gives its port back.
 * Return: 0; -errno of connect(2), -EINPROGRESS among them.
 */
int backend_connect(int fd, const struct serving_backend *target,
		    const struct listener *listener, struct upstream *upstream);

#endif
