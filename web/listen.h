/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - the socket that viewers connect to */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

/**
 * struct listen_address - where viewers connect
 * @storage:	@len bytes: AF_INET, AF_INET6 or AF_UNIX
 */
struct listen_address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/**
 * listen_address_parse() - ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH
 * Return: 0, or -EINVAL with *@ret_address untouched.
 */
int listen_address_parse(const char *text, struct listen_address *ret_address);

/** listen_is_local() - can only this host's processes connect to it? */
bool listen_is_local(const struct listen_address *address);

/** listen_is_unix() - is it a UNIX socket? */
bool listen_is_unix(const struct listen_address *address);

/**
 * listen_open() - a listening socket, which does not block
 *
 * A UNIX socket that nobody listens at any more is replaced. Its owner and
 * group may connect.
 * Return: its descriptor; -EADDRINUSE; -errno of socket(2), bind(2), chmod(2),
 * listen(2).
 */
int listen_open(const struct listen_address *address);

/**
 * listen_inherited() - the socket that the service manager listens at
 * @ret_address: where that is
 * Return: its descriptor; -ENOENT: there is none; -EINVAL: it is no listening
 * stream socket, or there are several.
 */
int listen_inherited(struct listen_address *ret_address);

#endif
