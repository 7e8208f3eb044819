/* SPDX-License-Identifier: Apache-2.0 */
/* provision.h - what a rule wants a namespace to have besides listeners */
#ifndef COMMON_PROVISION_H
#define COMMON_PROVISION_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

/* The interface that every namespace is born with. */
#define PROVISION_LOOPBACK_NAME "lo"

/* For one namespace, from all rules: each costs system calls in it. */
#define PROVISIONS_MAX 64u

/* Longest text: an address, a slash, 3 digits, " on ", an interface's name. */
#define PROVISION_TEXT_MAX (IP_TEXT_MAX + IF_NAMESIZE + 8)

enum provision_kind {
	PROVISION_LOOPBACK, /* the loopback interface is up */
	PROVISION_ADDRESS, /* an interface has an address */
};

/**
 * struct provision - one thing that a namespace is to have
 * @addr, @prefix_bits: of an address
 * @rule:	the first rule that wants it; borrowed from the ruleset
 * @rules:	how many rules do
 * @refusal:	static text when it is never made; NULL: it is to be there
 * @winner:	the earlier rule that wants the address with another prefix
 *		length, so that this one is not made; borrowed. NULL: none
 */
struct provision {
	enum provision_kind kind;
	char ifname[IF_NAMESIZE];
	struct ip_addr addr;
	uint8_t prefix_bits;
	const char *rule;
	unsigned int rules;
	const char *refusal;
	const char *winner;
};

/** provision_same() - are both about the same address of the same interface,
 * whatever its prefix length, or both about loopback? */
bool provision_same(const struct provision *a, const struct provision *b);

/** provision_is_wanted() - is it to be made: neither refused, nor the loser of
 * two? */
bool provision_is_wanted(const struct provision *provision);

/** provision_fmt() - "169.254.169.254/32 on lo", or "lo up", in @buffer of
 * PROVISION_TEXT_MAX; returns it */
const char *provision_fmt(const struct provision *provision, char *buffer);

#endif
