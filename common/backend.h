/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - where a rule forwards to, as text and as a socket address
 *
 * The rules layer validates with this; the relay connects with it.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include <sys/socket.h>

/* "sctp://[" + IPv6 + "]:65535", or "unix:" and a path of 107 bytes */
#define BACKEND_TEXT_MAX 128

enum backend_scheme {
	BACKEND_SAME, /* none given: the listener's own protocol */
	BACKEND_TCP,
	BACKEND_UDP,
	BACKEND_SCTP,
	BACKEND_UNIX,
};

/**
 * struct backend - a parsed backend
 * @address:	AF_INET, AF_INET6 or AF_UNIX, ready for connect(2)
 */
struct backend {
	enum backend_scheme scheme;
	struct sockaddr_storage address;
	socklen_t address_len;
};

/**
 * backend_parse() - "10.0.0.1:80", "[::1]:80", "tcp://…", "udp://…",
 * "sctp://…", "unix:/path"
 * @ret_problem: static text of what was expected, on failure; may be NULL
 *
 * Literal addresses only: berth resolves no names.
 * Return: 0, or -EINVAL with *@ret untouched.
 */
int backend_parse(const char *text, struct backend *ret,
		  const char **ret_problem);

#endif
