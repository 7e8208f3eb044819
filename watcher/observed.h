/* SPDX-License-Identifier: Apache-2.0 */
/* observed.h - keeps the interfaces and addresses of one struct netns */
#ifndef WATCHER_OBSERVED_H
#define WATCHER_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netns.h"

/* What an update did: bits. */
#define OBSERVED_CHANGED 1u
#define OBSERVED_OMITTED \
	2u /* the limit, or memory: what is kept may be stale */

/* All of them keep both arrays sorted; @max is the limit of each array. */
unsigned int observed_link(struct netns *netns,
			   const struct netns_interface *link, size_t max);

/** observed_link_gone() - its addresses went with it */
unsigned int observed_link_gone(struct netns *netns, uint32_t ifindex);
unsigned int observed_address(struct netns *netns,
			      const struct netns_address *address, size_t max);
unsigned int observed_address_gone(struct netns *netns,
				   const struct netns_address *address);

/**
 * struct observed_listing - what a listing found, before it replaces the old
 * @cut_off:	so much was left out that the listing was not read to its end
 */
struct observed_listing {
	struct netns fresh; /* only the arrays and the count are used */
	size_t max;
	size_t omitted_interfaces;
	bool cut_off;
	bool failed; /* out of memory */
};

/** Return: false when the listing is to be cut off. */
bool observed_listing_link(struct observed_listing *listing,
			   const struct netns_interface *link);
bool observed_listing_address(struct observed_listing *listing,
			      const struct netns_address *address);

/**
 * observed_listing_apply() - the listing is what exists
 * Return: did @netns change? The listing is empty afterwards.
 */
bool observed_listing_apply(struct observed_listing *listing,
			    struct netns *netns);
void observed_listing_done(struct observed_listing *listing);

#endif
