// SPDX-License-Identifier: Apache-2.0
/* provide_verdict.c - has a namespace what it is to have? */
#include "binder/provide_verdict.h"

#include <stddef.h>

#include "binder/provide_visit.h"

static enum provide_verdict judge_address(const struct netns *netns,
					  const struct provision *provision,
					  uint32_t ifindex)
{
	enum provide_verdict verdict = PROVIDE_ABSENT;

	for (size_t i = 0; i < netns->n_addresses; i++) {
		const struct netns_address *address = &netns->addresses[i];
		bool marked = address->proto == PROVIDE_MARK;

		if (address->ifindex != ifindex ||
		    !ip_addr_equal(&address->addr, &provision->addr))
			continue;
		if (address->prefix_bits == provision->prefix_bits)
			return marked ? PROVIDE_MARKED : PROVIDE_PRESENT;
		if (!marked)
			verdict = PROVIDE_OTHER_LENGTH;
		else if (verdict == PROVIDE_ABSENT)
			verdict = PROVIDE_MARKED_OTHER_LENGTH;
	}
	return verdict;
}

enum provide_verdict provide_judge(const struct netns *netns,
				   const struct provision *provision,
				   uint32_t ifindex, uint32_t *ret_ifindex)
{
	const struct netns_interface *interface;

	*ret_ifindex = 0;
	if (!netns->observed)
		return PROVIDE_UNKNOWN;
	interface = ifindex ? netns_find_interface(netns, ifindex)
			    : netns_named_interface(netns, provision->ifname);
	if (!interface)
		return PROVIDE_NO_INTERFACE;
	*ret_ifindex = interface->ifindex;
	if (provision->kind == PROVISION_ADDRESS)
		return judge_address(netns, provision, interface->ifindex);
	return interface->up ? PROVIDE_PRESENT : PROVIDE_ABSENT;
}
