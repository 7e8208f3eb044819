// SPDX-License-Identifier: Apache-2.0
/* address_pattern.c - lists of addresses and networks, some of them with "!" */
#include "common/address_pattern.h"

#include <errno.h>
#include <stdio.h>

/* How many bits say that an address of IPv6 is one of IPv4: ::ffff:0:0/96. */
#define MAPPED_BITS 96

static unsigned int all_bits(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? 32 : 128;
}

int address_pattern_parse(const char *text, struct address_pattern *ret)
{
	struct address_pattern pattern = { .negated = text[0] == '!' };
	int r = ip_prefix_parse(text + (pattern.negated ? 1 : 0),
				&pattern.prefix);

	if (r < 0)
		return r;
	if (ip_addr_is_v4_mapped(&pattern.prefix.addr) &&
	    pattern.prefix.bits >= MAPPED_BITS)
		return -EAFNOSUPPORT;
	*ret = pattern;
	return 0;
}

const char *address_pattern_fmt(const struct address_pattern *pattern,
				char *buffer)
{
	const struct ip_prefix *prefix = &pattern->prefix;
	char text[IP_TEXT_MAX], bits[8] = "";

	if (prefix->bits != all_bits(&prefix->addr))
		(void)snprintf(bits, sizeof(bits), "/%u", prefix->bits);
	(void)snprintf(buffer, ADDRESS_PATTERN_TEXT_MAX, "%s%s%s",
		       pattern->negated ? "!" : "",
		       ip_addr_fmt(&prefix->addr, text), bits); /* fits */
	return buffer;
}

bool address_patterns_equal(const struct address_pattern *a, size_t n_a,
			    const struct address_pattern *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (a[i].negated != b[i].negated ||
		    a[i].prefix.bits != b[i].prefix.bits ||
		    !ip_addr_equal(&a[i].prefix.addr, &b[i].prefix.addr))
			return false;
	}
	return true;
}

bool address_patterns_have(const struct address_pattern *patterns, size_t n,
			   const struct ip_addr *addr)
{
	bool found = false, positive = false;

	for (size_t i = 0; i < n; i++) {
		bool in = ip_prefix_contains(&patterns[i].prefix, addr);

		if (in && patterns[i].negated)
			return false;
		found |= in;
		positive |= !patterns[i].negated;
	}
	return found || !positive;
}
