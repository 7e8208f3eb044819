/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - do the conditions of a rule hold? */
#ifndef RULES_MATCH_H
#define RULES_MATCH_H

#include <stdbool.h>

#include "common/netns.h"
#include "rules/rule.h"

/**
 * struct candidate - a usable address as the conditions see it
 * @ifname:	"" when the interface is not known
 * @scope_id:	interface index for link-local IPv6, else 0
 */
struct candidate {
	const struct netns_address *address;
	const char *ifname;
	uint32_t scope_id;
};

/**
 * match_netns() - do the conditions on the namespace hold?
 *
 * Return: the name through which it matches, of those that count for the rule,
 * or NULL. For the host's own namespace: netns_label().
 */
const char *match_netns(const struct match *match, const struct netns *netns);

/** match_sees_name() - does a name count for the rule? Those that others than
 * root gave count only for a rule with `unprivileged: true`. */
bool match_sees_name(const struct match *match, const struct netns_name *name);

/** match_sees_container() - does a container count for the rule? As
 * match_sees_name(). */
bool match_sees_container(const struct match *match,
			  const struct container *container);

/** match_name_dir() - is a name in one of the rule's directories? True when the
 * rule names none. */
bool match_name_dir(const struct match *match, const struct netns_name *name);

/** match_name_pattern() - does a name match the rule's patterns? True when the
 * rule has none. */
bool match_name_pattern(const struct match *match,
			const struct netns_name *name);

/** match_container_name() - does the name of a container match the rule's
 * patterns? True when the rule has none. */
bool match_container_name(const struct match *match,
			  const struct container *container);

/** match_pod_namespace() - does the pod namespace of a container match the
 * rule's patterns? True when the rule has none; a container without a pod
 * namespace matches no pattern. */
bool match_pod_namespace(const struct match *match,
			 const struct container *container);

/**
 * match_container() - does a container satisfy all conditions on containers?
 *
 * Return: the first one of @netns that counts and does; NULL: none does, or the
 * rule has no such conditions.
 */
const struct container *match_container(const struct match *match,
					const struct netns *netns);

/**
 * match_not_before() - when are the listeners of a rule that matches opened?
 *
 * With conditions on containers, the first container that satisfies them must
 * have the age that the rule says, else the namespace.
 * Return: monotonic, in microseconds; 0: at once.
 */
uint64_t match_not_before(const struct match *match, const struct netns *netns);

/** With this label a container keeps its namespace from all rules, whoever told
 * of the container. */
#define MATCH_SKIP_LABEL "berth.io/skip"
#define MATCH_SKIP_VALUE "true"

/**
 * match_skip() - does a container want no listener in its namespace?
 *
 * Not asked by a rule that ignores the label. Nor is a container heard in the
 * host's own namespace, which is no container's.
 * Return: the first one of @netns that has the label; NULL: none.
 */
const struct container *match_skip(const struct netns *netns);

/** match_unless() - Return: the first container of @netns that counts for the
 * rule and satisfies its `unless_labels`; NULL: none does, or the rule has
 * none. */
const struct container *match_unless(const struct match *match,
				     const struct netns *netns);

/** match_interface() - does the interface of an address match the rule's
 * patterns? True when the rule has none. */
bool match_interface(const struct match *match, const struct candidate *c);

/** match_address() - is an address in the rule's prefixes, and in none that is
 * negated? True when the rule has none. */
bool match_address(const struct match *match, const struct candidate *c);

/** match_family() - is an address of the rule's family? True when the rule
 * names none. */
bool match_family(const struct match *match, const struct candidate *c);

/** match_scope() - does an address have one of the rule's scopes? */
bool match_scope(const struct match *match, const struct candidate *c);

/** match_candidate() - do all four conditions on an address hold? */
bool match_candidate(const struct match *match, const struct candidate *c);

/**
 * candidates_new() - the usable addresses of a namespace
 * @ret:	allocated
 * @ret_n:	how many
 *
 * Return: 0 or -ENOMEM.
 */
int candidates_new(const struct netns *netns, struct candidate **ret,
		   size_t *ret_n);

#endif
