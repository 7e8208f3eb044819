/* SPDX-License-Identifier: Apache-2.0 */
/* backend.h - where a rule forwards to, as text and as addresses
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

/**
 * struct backend - a parsed backend
 * @addrs:	but for AF_UNIX; several with SCHEME_SCTP only
 * @address:	ready for connect(2): a UNIX socket's, or the first of @addrs
 *		that has the family of a socket that reaches them all
 */
struct backend {
	enum scheme scheme;
	struct sctp_addrs addrs;
	struct sockaddr_storage address;
	socklen_t address_len;
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

#endif
