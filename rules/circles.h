/* SPDX-License-Identifier: Apache-2.0 */
/* circles.h - listeners that would forward to themselves are not opened */
#ifndef RULES_CIRCLES_H
#define RULES_CIRCLES_H

#include <stdbool.h>

#include "common/netns.h"
#include "rules/plan.h"

/**
 * circles_refuse() - refuses the listeners of a plan that lead back to
 * themselves within the namespace, one of each circle
 * @netns:	what @plan was made for; plan->needs_addresses is set where a
 *		listener leads to itself if an address is the namespace's, and
 *		netns->observed is false
 * @is_here:	does a backend's `namespace` mean @netns? NULL: none does
 *
 * Only what is certain: the endpoint of a backend is a listener's own, or a
 * wildcard's at a local address. What leaves the namespace and comes back is
 * left to the relay.
 * Return: 0 or -ENOMEM, with some of them refused perhaps.
 */
int circles_refuse(struct plan *plan, const struct netns *netns,
		   bool (*is_here)(const char *name, void *user_data),
		   void *user_data);

#endif
