/* SPDX-License-Identifier: Apache-2.0 */
/* address_pattern.h - lists of addresses and networks, some of them with "!"
 *
 * An address is in a list if it is in none of the elements with "!" and in one
 * of those without, or if there is none without. The order means nothing.
 */
#ifndef COMMON_ADDRESS_PATTERN_H
#define COMMON_ADDRESS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ip.h"

/* "!", an address, "/128" */
#define ADDRESS_PATTERN_TEXT_MAX (IP_TEXT_MAX + 8)

/** struct address_pattern - an element of such a list */
struct address_pattern {
	struct ip_prefix prefix;
	bool negated;
};

/**
 * address_pattern_parse() - "10.0.0.0/8", "fd00::1", "!10.1.0.0/16"
 *
 * Return: 0; as ip_prefix_parse(); -EAFNOSUPPORT for addresses of IPv4 that are
 * written as IPv6, which are IPv4 everywhere else.
 */
int address_pattern_parse(const char *text, struct address_pattern *ret);

/** address_pattern_fmt() - the text, an address alone without "/32" and "/128",
 * to @buffer of ADDRESS_PATTERN_TEXT_MAX; returns it */
const char *address_pattern_fmt(const struct address_pattern *pattern,
				char *buffer);

/** address_patterns_equal() - the same elements in the same order? */
bool address_patterns_equal(const struct address_pattern *a, size_t n_a,
			    const struct address_pattern *b, size_t n_b);

/** address_patterns_have() - is @addr in the list, as the file's head says? An
 * empty list has all. */
bool address_patterns_have(const struct address_pattern *patterns, size_t n,
			   const struct ip_addr *addr);

#endif
