// SPDX-License-Identifier: Apache-2.0
/* provision.c - what a rule wants a namespace to have besides listeners */
#include "common/provision.h"

#include <stdio.h>
#include <string.h>

bool provision_same(const struct provision *a, const struct provision *b)
{
	return a->kind == b->kind && strcmp(a->ifname, b->ifname) == 0 &&
	       ip_addr_equal(&a->addr, &b->addr);
}

bool provision_is_wanted(const struct provision *provision)
{
	return !provision->refusal && !provision->winner;
}

const char *provision_fmt(const struct provision *provision, char *buffer)
{
	char addr[IP_TEXT_MAX];

	if (provision->kind == PROVISION_LOOPBACK)
		(void)snprintf(buffer, PROVISION_TEXT_MAX, "%s up",
			       provision->ifname); /* fits */
	else
		(void)snprintf(buffer, PROVISION_TEXT_MAX, "%s/%u on %s",
			       ip_addr_fmt(&provision->addr, addr),
			       provision->prefix_bits,
			       provision->ifname); /* fits */
	return buffer;
}
