/* SPDX-License-Identifier: Apache-2.0 */
/* observed.h - keeps the interfaces and addresses of one struct netns */
#ifndef WATCHER_OBSERVED_H
#define WATCHER_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netns.h"

/* What an update did, as bits: it changed the netns; the limit, or a lack of
 * memory, left something out, so that what is kept may be stale. */
#define OBSERVED_CHANGED 1u
#define OBSERVED_OMITTED 2u

/*
 * All functions keep both arrays sorted. @max limits each array.
 */

/** observed_compare() - the order of addresses, by what identifies them; all
 * else may change. Return: as strcmp(3). */
int observed_compare(const struct netns_address *x,
		     const struct netns_address *y);

/** observed_link() - there is this interface, maybe under a new name, up or
 * down. Return: bits. */
unsigned int observed_link(struct netns *netns,
			   const struct netns_interface *link, size_t max);

/** observed_link_gone() - the interface went, and its addresses with it.
 * Return: bits. */
unsigned int observed_link_gone(struct netns *netns, uint32_t ifindex);

/** observed_address() - there is this address, maybe with a new scope, new
 * flags or another adder. Return: bits. */
unsigned int observed_address(struct netns *netns,
			      const struct netns_address *address, size_t max);

/** observed_address_gone() - the address went. Return: bits. */
unsigned int observed_address_gone(struct netns *netns,
				   const struct netns_address *address);

/** observed_forget() - keeps nothing of @netns any more */
void observed_forget(struct netns *netns);

/**
 * struct observed_listing - what a listing found, before it replaces the old
 * @fresh:	only the arrays and the count of omitted addresses are used
 * @max:	limit of each array; set by the caller, all else is zero at
 * first
 * @omitted_interfaces: how many were left out because of it
 * @cut_off:	so much was left out that the listing was not read to its end
 * @failed:	out of memory
 */
struct observed_listing {
	struct netns fresh;
	size_t max;
	size_t omitted_interfaces;
	bool cut_off;
	bool failed;
};

/** observed_listing_link() - the listing has this interface. Return: false: the
 * listing is to be cut off. */
bool observed_listing_link(struct observed_listing *listing,
			   const struct netns_interface *link);

/** observed_listing_address() - the listing has this address. Return: as
 * observed_listing_link(). */
bool observed_listing_address(struct observed_listing *listing,
			      const struct netns_address *address);

/**
 * observed_listing_apply() - replaces what is kept of @netns by the listing,
 * which is empty afterwards
 *
 * Return: is @netns not what it was?
 */
bool observed_listing_apply(struct observed_listing *listing,
			    struct netns *netns);

/** observed_listing_done() - empties the listing; @max stays */
void observed_listing_done(struct observed_listing *listing);

#endif
