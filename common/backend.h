/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - where a rule forwards to, and from where, as text and as
 * addresses
 *
 * The rules layer validates with this; the relay connects with it.
 */
#ifndef COMMON_BACKEND_H
#define COMMON_BACKEND_H

#include <sys/socket.h>

#include "common/ip.h"
#include "common/protocol.h"
#include "common/sctp_addrs.h"

/* "sctp://[" + IPv6 addresses and commas + "]:65535"; "unix:" and a path of 107
 * bytes are shorter */
#define BACKEND_TEXT_MAX (8 + SCTP_ADDRS_MAX * 46 + 8)

/* "[" + IPv6 + "]:65535" */
#define BACKEND_SOURCE_TEXT_MAX 56

/**
 * struct backend - a parsed backend
 * @addrs:	but for AF_UNIX; several with SCHEME_SCTP only
 * @address:	AF_UNIX; or, ready for connect(2), the first of @addrs that has
 *the family of a socket that reaches them all
 */
struct backend {
	enum scheme scheme;
	struct sctp_addrs addrs;
	struct sockaddr_storage address;
	socklen_t address_len;
};

/**
 * struct backend_source - what a socket to a backend is bound to
 * @port:	0: any, the kernel's choice
 */
struct backend_source {
	struct ip_addr addr;
	uint16_t port;
};

/**
 * backend_parse() - "10.0.0.1:80", "[::1]:80", "tcp://…", "udp://…",
 * "sctp://…", "sctp://[10.0.0.1,fd00::1]:80", "unix:/path"
 * @ret_problem: static text of what was expected, on failure; may be NULL
 *
 * Literal addresses only: berth resolves no names.
 * Return: 0, or -EINVAL with *@ret untouched.
 */
int backend_parse(const char *text, struct backend *ret,
		  const char **ret_problem);

/**
 * backend_source_parse() - "10.0.0.1", "fd00::1", "10.0.0.1:80", "[fd00::1]:80"
 * @ret_problem: as of backend_parse()
 *
 * Only what a socket can be bound to and others can answer: no wildcard, no
 * multicast address, and none that says nothing without an interface.
 * Return: 0, or -EINVAL with *@ret untouched.
 */
int backend_source_parse(const char *text, struct backend_source *ret,
			 const char **ret_problem);

/** backend_source_fmt() - the text that backend_source_parse() reads, to
 * @buffer of BACKEND_SOURCE_TEXT_MAX; returns it */
const char *backend_source_fmt(const struct backend_source *source,
			       char *buffer);

#endif
