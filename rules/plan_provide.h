/* SPDX-License-Identifier: Apache-2.0 */
/* plan_provide.h - from the rules that hold to what a namespace is to have */
#ifndef RULES_PLAN_PROVIDE_H
#define RULES_PLAN_PROVIDE_H

#include <stddef.h>

#include "common/netns.h"
#include "common/provision.h"
#include "rules/rule.h"

/**
 * plan_provide() - adds what @rule, which holds, wants @netns to have
 * @list:	allocated; grows
 * @n:		its length, at most PROVISIONS_MAX + 1
 *
 * What several rules want alike is there once, and counted. If they want an
 * address with different prefix lengths, the first rule has its way.
 * Return: 0 or -ENOMEM.
 */
int plan_provide(struct provision **list, size_t *n, const struct rule *rule,
		 const struct netns *netns);

#endif
