// SPDX-License-Identifier: Apache-2.0
/* match.c - do the conditions of a rule hold? */
#include "rules/match.h"

#include <string.h>

#include "common/util.h"

/* Values of struct netns_address: scope, as rtnetlink(7) defines them; its
 * header has no place in a layer that knows no kernel. */
#define SCOPE_LINK 253
#define SCOPE_HOST 254
#define SCOPE_NOWHERE 255

/* The parser has taken slashes off the end of the rule's directory; the
 * watcher's directory may still have one. */
static bool dir_equal(const char *rule_dir, const char *dir)
{
	size_t len = strlen(rule_dir);

	return strncmp(rule_dir, dir, len) == 0 &&
	       (dir[len] == '\0' || (dir[len] == '/' && dir[len + 1] == '\0'));
}

bool match_sees_name(const struct match *match, const struct netns_name *name)
{
	return match->unprivileged || name->uid == 0;
}

bool match_sees_container(const struct match *match,
			  const struct container *container)
{
	return match->unprivileged || container->uid == 0;
}

bool match_name_dir(const struct match *match, const struct netns_name *name)
{
	for (size_t i = 0; i < match->n_dirs; i++) {
		if (dir_equal(match->dirs[i], name->dir))
			return true;
	}
	return match->n_dirs == 0;
}

bool match_name_pattern(const struct match *match,
			const struct netns_name *name)
{
	return match->n_namespaces == 0 ||
	       patterns_match(match->namespaces, match->n_namespaces,
			      name->name);
}

const char *match_netns(const struct match *match, const struct netns *netns)
{
	if (netns->host)
		return match->host ? netns_label(netns) : NULL;
	if (match->host && match->n_namespaces == 0)
		return NULL;
	for (size_t i = 0; i < netns->n_names; i++) {
		if (match_sees_name(match, &netns->names[i]) &&
		    match_name_dir(match, &netns->names[i]) &&
		    match_name_pattern(match, &netns->names[i]))
			return netns->names[i].name;
	}
	return NULL;
}

bool match_container_name(const struct match *match,
			  const struct container *container)
{
	return match->n_containers == 0 ||
	       patterns_match(match->containers, match->n_containers,
			      container->name);
}

bool match_pod_namespace(const struct match *match,
			 const struct container *container)
{
	return match->n_pod_namespaces == 0 ||
	       (*container->pod_namespace &&
		patterns_match(match->pod_namespaces, match->n_pod_namespaces,
			       container->pod_namespace));
}

/* Does the container satisfy all conditions on containers? */
static bool container_matches(const struct match *match,
			      const struct container *container)
{
	return match_sees_container(match, container) &&
	       selector_matches(&match->labels, container) &&
	       match_container_name(match, container) &&
	       match_pod_namespace(match, container);
}

const struct container *match_container(const struct match *match,
					const struct netns *netns)
{
	for (size_t i = 0; match->on_containers && i < netns->n_containers;
	     i++) {
		if (container_matches(match, netns->containers[i]))
			return netns->containers[i];
	}
	return NULL;
}

uint64_t match_not_before(const struct match *match, const struct netns *netns)
{
	uint64_t since_us = UINT64_MAX;

	if (match->after_ms == 0)
		return 0;
	for (size_t i = 0; match->on_containers && i < netns->n_containers;
	     i++) {
		const struct container *container = netns->containers[i];

		if (container->since_us < since_us &&
		    container_matches(match, container))
			since_us = container->since_us;
	}
	/* A container may be told of before its namespace is there. */
	if (since_us == UINT64_MAX || since_us < netns->since_us)
		since_us = netns->since_us;
	return since_us + match->after_ms * USEC_PER_MSEC;
}

const struct container *match_skip(const struct netns *netns)
{
	for (size_t i = 0; !netns->host && i < netns->n_containers; i++) {
		const char *value =
			container_label(netns->containers[i], MATCH_SKIP_LABEL);

		if (value && strcmp(value, MATCH_SKIP_VALUE) == 0)
			return netns->containers[i];
	}
	return NULL;
}

const struct container *match_unless(const struct match *match,
				     const struct netns *netns)
{
	for (size_t i = 0; match->unless_labels.n && i < netns->n_containers;
	     i++) {
		const struct container *container = netns->containers[i];

		if (match_sees_container(match, container) &&
		    selector_matches(&match->unless_labels, container))
			return container;
	}
	return NULL;
}

bool match_interface(const struct match *match, const struct candidate *c)
{
	return match->n_interfaces == 0 ||
	       patterns_match(match->interfaces, match->n_interfaces,
			      c->ifname);
}

bool match_address(const struct match *match, const struct candidate *c)
{
	return address_patterns_have(match->addresses, match->n_addresses,
				     &c->address->addr);
}

bool match_family(const struct match *match, const struct candidate *c)
{
	return match->family == AF_UNSPEC ||
	       match->family == c->address->addr.family;
}

bool match_scope(const struct match *match, const struct candidate *c)
{
	switch (c->address->scope) {
	case SCOPE_LINK:
		return match->scopes & RULE_SCOPE_LINK;
	case SCOPE_HOST:
		return match->scopes & RULE_SCOPE_HOST;
	case SCOPE_NOWHERE:
		return false;
	default: /* global, site, and the numbers a user may define */
		return match->scopes & RULE_SCOPE_GLOBAL;
	}
}

/* The cheap conditions come first. */
bool match_candidate(const struct match *match, const struct candidate *c)
{
	return match_scope(match, c) && match_family(match, c) &&
	       match_address(match, c) && match_interface(match, c);
}

static int interface_compare(const void *a, const void *b)
{
	const struct netns_interface *const *ia = a, *const *ib = b;

	return ((*ia)->ifindex > (*ib)->ifindex) -
	       ((*ia)->ifindex < (*ib)->ifindex);
}

static const char *find_ifname(const struct netns_interface **sorted, size_t n,
			       uint32_t ifindex)
{
	const struct netns_interface key = { .ifindex = ifindex };
	const struct netns_interface *wanted = &key, **found;

	found = n ? bsearch(&wanted, sorted, n, sizeof(*sorted),
			    interface_compare)
		  : NULL;
	return found ? (*found)->ifname : "";
}

int candidates_new(const struct netns *netns, struct candidate **ret,
		   size_t *ret_n)
{
	size_t n_if = netns->n_interfaces, n = netns->n_addresses, used = 0;
	/* A container may have as many interfaces as addresses: sorted once,
	 * instead of a search through all for each. */
	_cleanup_free_ const struct netns_interface **sorted =
		calloc(n_if ? n_if : 1, sizeof(struct netns_interface *));
	struct candidate *list = calloc(n ? n : 1, sizeof(*list));

	if (!sorted || !list) {
		free(list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_if; i++)
		sorted[i] = &netns->interfaces[i];
	qsort(sorted, n_if, sizeof(*sorted), interface_compare);
	for (size_t i = 0; i < n; i++) {
		const struct netns_address *address = &netns->addresses[i];
		bool local = ip_addr_is_link_local(&address->addr);

		if (!netns_address_usable(address))
			continue;
		list[used++] = (struct candidate){
			.address = address,
			.ifname = find_ifname(sorted, n_if, address->ifindex),
			.scope_id = local ? address->ifindex : 0,
		};
	}
	*ret = list;
	*ret_n = used;
	return 0;
}
