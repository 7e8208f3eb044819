// SPDX-License-Identifier: Apache-2.0
/* netns.c - questions about one observed network namespace */
#include "common/netns.h"

#include <linux/if_addr.h>
#include <string.h>

const char *netns_label(const struct netns *netns)
{
	if (netns->n_names > 0)
		return netns->names[0].name;
	return netns->host ? "host" : "netns";
}

const struct netns_interface *netns_find_interface(const struct netns *netns,
						   uint32_t ifindex)
{
	for (size_t i = 0; i < netns->n_interfaces; i++) {
		if (netns->interfaces[i].ifindex == ifindex)
			return &netns->interfaces[i];
	}
	return NULL;
}

const struct netns_interface *netns_named_interface(const struct netns *netns,
						    const char *ifname)
{
	for (size_t i = 0; i < netns->n_interfaces; i++) {
		if (strcmp(netns->interfaces[i].ifname, ifname) == 0)
			return &netns->interfaces[i];
	}
	return NULL;
}

bool netns_address_failed(const struct netns_address *address)
{
	return address->flags & IFA_F_DADFAILED;
}

bool netns_address_usable(const struct netns_address *address)
{
	if (netns_address_failed(address))
		return false;
	return !(address->flags & IFA_F_TENTATIVE) ||
	       (address->flags & IFA_F_OPTIMISTIC);
}
