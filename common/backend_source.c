// SPDX-License-Identifier: Apache-2.0
/* backend_source.c - from where a rule connects to its backends, as text and as
 * an address */
#include "common/backend_source.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

/* Is it the address of a multicast group, or in IPv4 one above those: reserved
 * or broadcast? */
static bool is_multicast(const struct ip_addr *addr)
{
	return addr->bytes[0] >= (addr->family == AF_INET ? 0xe0 : 0xff);
}

static const char *source_problem(const struct ip_addr *addr)
{
	if (ip_addr_is_any(addr))
		return "one address; without \"from\" the kernel chooses it";
	if (ip_addr_is_v4_mapped(addr))
		return "plain IPv4";
	if (is_multicast(addr))
		return "an address that one host has";
	if (ip_addr_is_link_local(addr))
		return "an address that is no link-local one, which says "
		       "nothing without its interface";
	return NULL;
}

int backend_source_parse(const char *text, struct backend_source *ret,
			 const char **ret_problem)
{
	struct backend_source source = { .port = 0 };
	const char *problem;
	int r = ip_addr_parse(text, &source.addr);

	if (r < 0)
		r = ip_addr_port_parse(text, &source.addr, &source.port,
				       &problem);
	if (r < 0 && !strchr(text, ':'))
		problem = "a literal address (names are not resolved)";
	else if (r < 0 && strcmp(problem, IP_ADDR_PORT_EXPECTED) == 0)
		problem = "ADDRESS, or " IP_ADDR_PORT_EXPECTED;
	if (r == 0) {
		problem = source_problem(&source.addr);
		r = problem ? -EINVAL : 0;
	}
	if (r < 0) {
		if (ret_problem)
			*ret_problem = problem;
		return r;
	}
	*ret = source;
	return 0;
}

const char *backend_source_fmt(const struct backend_source *source,
			       char *buffer)
{
	bool brackets = source->addr.family == AF_INET6;
	char text[IP_TEXT_MAX];

	(void)ip_addr_fmt(&source->addr, text); /* returns the buffer */
	if (source->port == 0)
		(void)snprintf(buffer, BACKEND_SOURCE_TEXT_MAX, "%.45s",
			       text); /* fits */
	else
		(void)snprintf(buffer, BACKEND_SOURCE_TEXT_MAX, "%s%.45s%s:%u",
			       brackets ? "[" : "", text, brackets ? "]" : "",
			       source->port); /* fits */
	return buffer;
}
