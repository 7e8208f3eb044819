/* SPDX-License-Identifier: Apache-2.0 */
/* backend_source.h - from where a rule connects to its backends, as text and as
 * an address
 */
#ifndef COMMON_BACKEND_SOURCE_H
#define COMMON_BACKEND_SOURCE_H

#include "common/ip.h"

/* "[" + IPv6 + "]:65535" */
#define BACKEND_SOURCE_TEXT_MAX 56

/**
 * struct backend_source - what a socket to a backend is bound to
 * @port:	0: any, the kernel's choice
 */
struct backend_source {
	struct ip_addr addr;
	uint16_t port;
};

/**
 * backend_source_parse() - "10.0.0.1", "fd00::1", "10.0.0.1:80", "[fd00::1]:80"
 * @ret_problem: static text of what was expected, on failure; may be NULL
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
