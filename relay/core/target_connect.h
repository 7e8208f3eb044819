/* SPDX-License-Identifier: Apache-2.0 */
/* target_connect.h - a socket towards a backend, and connecting it */
#ifndef RELAY_CORE_TARGET_CONNECT_H
#define RELAY_CORE_TARGET_CONNECT_H

struct own_end;
struct serving_backend;

/**
 * target_socket() - makes a socket of the relay's own for @target
 *
 * One that is closed before it is connected, or reset, leaves nothing behind.
 * Return: the socket; -errno.
 */
int target_socket(const struct serving_backend *target);

/**
 * target_connect() - connects @fd to @target, which has an IP address
 * @end:	its own end is filled in; the backend's is there
 *
 * A socket that the kernel connected to itself counts as refused, before a byte
 * is sent. Closing it gives its port back.
 * Return: 0; -errno of connect(2), -EINPROGRESS among them.
 */
int target_connect(int fd, const struct serving_backend *target,
		   struct own_end *end);

#endif
