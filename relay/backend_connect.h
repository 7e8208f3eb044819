/* SPDX-License-Identifier: Apache-2.0 */
/* backend_connect.h - connecting a socket to a backend, never to itself */
#ifndef RELAY_BACKEND_CONNECT_H
#define RELAY_BACKEND_CONNECT_H

struct serving_backend;

/**
 * backend_connect() - connects @fd, of whatever protocol, to @target
 *
 * If the kernel connected the socket to itself that counts as refused, before
 * a byte is sent; closing the socket gives its port back.
 *
 * Return: 0; -errno of connect(2), -EINPROGRESS among them.
 */
int backend_connect(int fd, const struct serving_backend *target);

#endif
