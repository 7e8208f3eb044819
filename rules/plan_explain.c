// SPDX-License-Identifier: Apache-2.0
/* plan_explain.c - does one rule match, and if not, on which condition
 *
 * The conditions are those of match.c. Here they are applied one after the
 * other, so that the first one that nothing satisfies can be named.
 */
#include "rules/plan.h"

#include <assert.h>
#include <string.h>

#include "common/util.h"
#include "rules/match.h"

#define LISTED_MAX 4 /* more names do not fit into a reason of one line */

static void print_patterns(FILE *f, const struct pattern *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s\"%s\"", i ? ", " : "", patterns[i].text);
}

static void print_names(FILE *f, const struct match *match,
			const struct netns *netns)
{
	size_t n = 0;

	for (size_t i = 0; i < netns->n_names; i++) {
		if (!match_sees_name(match, &netns->names[i]) ||
		    n++ >= LISTED_MAX)
			continue;
		(void)fprintf(f, "%s%s", n > 1 ? ", " : "",
			      netns->names[i].name);
	}
	if (n > LISTED_MAX)
		(void)fprintf(f, " and %zu more", n - LISTED_MAX);
}

/* The negated pattern that excludes the name, which otherwise would match; or
 * NULL. */
static const struct pattern *find_exclusion(const struct match *match,
					    const char *name)
{
	const struct pattern *exclusion = NULL;
	bool found = false;

	for (size_t i = 0; i < match->n_namespaces; i++) {
		const struct pattern *pattern = &match->namespaces[i];

		if (!pattern_matches(pattern, name))
			continue;
		if (!pattern->negated)
			found = true;
		else if (!exclusion)
			exclusion = pattern;
	}
	return found ? exclusion : NULL;
}

/* Prints why no name that is in one of the rule's directories matches. */
static void explain_patterns(FILE *f, const struct match *match,
			     const struct netns *netns)
{
	for (size_t i = 0; i < netns->n_names; i++) {
		const struct netns_name *name = &netns->names[i];
		const struct pattern *exclusion =
			find_exclusion(match, name->name);

		if (!exclusion || !match_sees_name(match, name) ||
		    !match_name_dir(match, name))
			continue;
		(void)fprintf(f, "namespace: name %s is excluded by \"%s\"",
			      name->name, exclusion->text);
		return;
	}
	(void)fputs("namespace: no name of ", f);
	print_names(f, match, netns);
	(void)fputs(" matches ", f);
	print_patterns(f, match->namespaces, match->n_namespaces);
}

#define NOT_FOR_USERS "and the rule does not say \"unprivileged: true\""

static bool sees_a_name(const struct match *match, const struct netns *netns)
{
	for (size_t i = 0; i < netns->n_names; i++) {
		if (match_sees_name(match, &netns->names[i]))
			return true;
	}
	return false;
}

/* Prints why match_netns() refused. */
static void explain_netns(FILE *f, const struct match *match,
			  const struct netns *netns)
{
	bool in_dir = false;

	if (netns->host) {
		(void)fputs("host: this is the host's own namespace, and the "
			    "rule does not say \"host: true\"",
			    f);
		return;
	}
	if (match->host && match->n_namespaces == 0) {
		(void)fputs("host: the rule is for the host's own namespace "
			    "only",
			    f);
		return;
	}
	if (netns->n_names == 0) {
		(void)fputs("namespace: it has no name any more", f);
		return;
	}
	if (!sees_a_name(match, netns)) {
		(void)fprintf(f,
			      "unprivileged: only uid %u gave it a "
			      "name, " NOT_FOR_USERS,
			      (unsigned int)netns->names[0].uid);
		return;
	}
	for (size_t i = 0; i < netns->n_names; i++)
		in_dir |= match_sees_name(match, &netns->names[i]) &&
			  match_name_dir(match, &netns->names[i]);
	if (!in_dir) {
		(void)fputs("directory: no name of ", f);
		print_names(f, match, netns);
		(void)fputs(" is in", f);
		for (size_t i = 0; i < match->n_dirs; i++)
			(void)fprintf(f, "%s %s", i ? " or" : "",
				      match->dirs[i]);
		return;
	}
	explain_patterns(f, match, netns);
}

static void print_containers(FILE *f, const struct container *const *list,
			     size_t n)
{
	for (size_t i = 0; i < n && i < LISTED_MAX; i++)
		(void)fprintf(f, "%s%s", i ? ", " : "", list[i]->name);
	if (n > LISTED_MAX)
		(void)fprintf(f, " and %zu more", n - LISTED_MAX);
}

/* One condition on containers: of the patterns, or one of the selector. */
struct container_condition {
	bool (*holds)(const struct match *match,
		      const struct container *container);
	const struct requirement *requirement;
};

static bool condition_holds(const struct match *match,
			    const struct container_condition *condition,
			    const struct container *container)
{
	if (condition->requirement)
		return requirement_met(condition->requirement, container);
	return !condition->holds || condition->holds(match, container);
}

/* Leaves in @list the containers that satisfy the condition. Return: how many;
 * those that do not are behind them. */
static size_t filter_containers(const struct match *match,
				const struct container_condition *condition,
				const struct container **list, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		const struct container *c = list[i];

		if (!condition_holds(match, condition, c))
			continue;
		list[i] = list[left];
		list[left++] = c;
	}
	return left;
}

static size_t filter_labels(FILE *f, const struct match *match,
			    const struct container **list, size_t n)
{
	for (size_t i = 0; i < match->labels.n && n > 0; i++) {
		const struct container_condition condition = {
			.requirement = &match->labels.list[i],
		};
		size_t left = filter_containers(match, &condition, list, n);

		if (left == 0) {
			(void)fputs("labels: none meets \"", f);
			requirement_print(f, condition.requirement);
			(void)fputs("\"; looked at ", f);
			print_containers(f, list, n);
		}
		n = left;
	}
	return n;
}

static size_t filter_patterns(FILE *f, const struct match *match,
			      const struct container **list, size_t n)
{
	static const struct container_condition name = {
		.holds = match_container_name
	};
	static const struct container_condition pod_namespace = {
		.holds = match_pod_namespace
	};
	size_t left = filter_containers(match, &name, list, n);

	if (left == 0) {
		(void)fputs("container: none matches ", f);
		print_patterns(f, match->containers, match->n_containers);
		(void)fputs("; looked at ", f);
		print_containers(f, list, n);
		return 0;
	}
	n = left;
	left = filter_containers(match, &pod_namespace, list, n);
	if (left == 0) {
		(void)fputs("pod_namespace: none matches ", f);
		print_patterns(f, match->pod_namespaces,
			       match->n_pod_namespaces);
		(void)fputs("; looked at ", f);
		print_containers(f, list, n);
	}
	return left;
}

/* Does any container satisfy the conditions on containers? Prints the first
 * condition that none does, of those that satisfy the ones before. Return: 1;
 * 0; -ENOMEM. */
static int explain_containers(FILE *f, const struct match *match,
			      const struct netns *netns)
{
	_cleanup_free_ const struct container **list = NULL;
	size_t n = 0;

	if (!match->on_containers)
		return 1;
	if (netns->n_containers == 0) {
		(void)fputs("container: berthd was told of none here", f);
		return 0;
	}
	list = calloc(netns->n_containers, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < netns->n_containers; i++) {
		if (match_sees_container(match, netns->containers[i]))
			list[n++] = netns->containers[i];
	}
	if (n == 0) {
		(void)fprintf(f,
			      "unprivileged: only uid %u told of containers "
			      "here, " NOT_FOR_USERS,
			      (unsigned int)netns->containers[0]->uid);
		return 0;
	}
	n = filter_patterns(f, match, list, n);
	return filter_labels(f, match, list, n) > 0;
}

/* Prints which container keeps the rule from the namespace. Return: does
 * one? */
static bool explain_exclusion(FILE *f, const struct match *match,
			      const struct netns *netns)
{
	const struct container *container =
		match->ignores_skip ? NULL : match_skip(netns);

	if (container) {
		(void)fprintf(f,
			      "skip: container %s has the label "
			      "\"" MATCH_SKIP_LABEL "=" MATCH_SKIP_VALUE "\"",
			      container->name);
		return true;
	}
	container = match_unless(match, netns);
	if (!container)
		return false;
	(void)fprintf(f, "unless_labels: container %s meets \"",
		      container->name);
	selector_print(f, &match->unless_labels);
	(void)fputc('"', f);
	return true;
}

static void print_candidates(FILE *f, const struct candidate *list, size_t n)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < n && i < LISTED_MAX; i++)
		(void)fprintf(f, "%s%s on %s", i ? ", " : "",
			      ip_addr_fmt(&list[i].address->addr, text),
			      list[i].ifname);
	if (n > LISTED_MAX)
		(void)fprintf(f, " and %zu more", n - LISTED_MAX);
}

static void print_interface(FILE *f, const struct match *match)
{
	(void)fputs("interface: none matches ", f);
	print_patterns(f, match->interfaces, match->n_interfaces);
}

static void print_address(FILE *f, const struct match *match)
{
	char text[IP_TEXT_MAX];

	(void)fputs("address: none is in ", f);
	for (size_t i = 0; i < match->n_addresses; i++)
		(void)fprintf(f, "%s%s%s/%u", i ? ", " : "",
			      match->addresses[i].negated ? "!" : "",
			      ip_addr_fmt(&match->addresses[i].prefix.addr,
					  text),
			      match->addresses[i].prefix.bits);
}

static void print_family(FILE *f, const struct match *match)
{
	(void)fprintf(f, "family: none is %s",
		      match->family == AF_INET ? "IPv4" : "IPv6");
}

static void print_scope(FILE *f, const struct match *match)
{
	(void)fprintf(f, "scope: none is %s", scopes_text(match->scopes));
	if (!(match->scopes & RULE_SCOPE_LINK))
		(void)fputs(" (link-local only with \"scope: link\")", f);
}

/* Conditions on addresses, in the order of berth-rules(5). A candidate that
 * satisfies one is tried against the next. */
static const struct {
	bool (*holds)(const struct match *match, const struct candidate *c);
	void (*print)(FILE *f, const struct match *match);
} conditions[] = {
	{ match_interface, print_interface },
	{ match_address, print_address },
	{ match_family, print_family },
	{ match_scope, print_scope },
};

/* Leaves in @list the candidates that satisfy all conditions. Return: how
 * many; when none is left, the reason is printed. */
static size_t filter_candidates(FILE *f, const struct match *match,
				struct candidate *list, size_t n)
{
	if (n == 0)
		(void)fputs("address: it has no usable address", f);
	for (size_t k = 0; k < ARRAY_SIZE(conditions) && n > 0; k++) {
		size_t left = 0;

		for (size_t i = 0; i < n; i++) {
			struct candidate c = list[i];

			if (!conditions[k].holds(match, &c))
				continue;
			/* Candidates that fail stay behind the others, for the
			 * message. */
			list[i] = list[left];
			list[left++] = c;
		}
		if (left == 0) {
			conditions[k].print(f, match);
			(void)fputs("; looked at ", f);
			print_candidates(f, list, n);
		}
		n = left;
	}
	return n;
}

static bool any_matches(const struct match *match, const struct candidate *list,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (match_candidate(match, &list[i]))
			return true;
	}
	return false;
}

/* Prints the first address that satisfies all conditions and cannot be used.
 * Return: is there one? */
static bool explain_unusable(FILE *f, const struct match *match,
			     const struct netns *netns)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < netns->n_addresses; i++) {
		const struct netns_address *address = &netns->addresses[i];
		const struct netns_interface *interface =
			netns_find_interface(netns, address->ifindex);
		const struct candidate c = {
			.address = address,
			.ifname = interface ? interface->ifname : "",
		};

		if (netns_address_usable(address) ||
		    !match_candidate(match, &c))
			continue;
		(void)fprintf(f,
			      "address: duplicate address detection %s on %s "
			      "on %s, and no other matches",
			      netns_address_failed(address) ? "failed" : "runs",
			      ip_addr_fmt(&address->addr, text), c.ifname);
		return true;
	}
	return false;
}

static void explain_match(FILE *f, const struct match *match,
			  const struct netns *netns, const char *name)
{
	const struct pattern *pattern;

	if (netns->host) {
		(void)fputs("host: true", f);
		return;
	}
	if (match->n_namespaces == 0) {
		if (match->n_dirs)
			(void)fprintf(f, "directory: %s is in it", name);
		else if (!match->on_containers)
			(void)fputs("every namespace matches", f);
		return;
	}
	for (size_t i = 0; i < match->n_namespaces; i++) {
		pattern = &match->namespaces[i];
		if (pattern->negated || !pattern_matches(pattern, name))
			continue;
		(void)fprintf(f, "namespace %s matches \"%s\"", name,
			      pattern->text);
		return;
	}
}

/* Prints through which container the rule matches. */
static void print_container(FILE *f, const struct match *match,
			    const struct netns *netns)
{
	const struct container *container = match_container(match, netns);
	bool alone = !netns->host && !match->n_namespaces && !match->n_dirs;

	if (container)
		(void)fprintf(f, "%scontainer %s matches", alone ? "" : "; ",
			      container->name);
}

/* Says how many addresses were left out, because the writer of the rule
 * expects them to be there. */
static void print_omitted(FILE *f, const struct netns *netns)
{
	size_t n = netns->addresses_omitted;

	if (n > 0)
		(void)fprintf(f,
			      "; %zu more address%s above the limit and %s not "
			      "looked at",
			      n, n == 1 ? " is" : "es are",
			      n == 1 ? "was" : "were");
}

/* The listeners say how long it is until then. */
static void print_after(FILE *f, const struct match *match)
{
	if (match->after_ms == 0)
		return;
	duration_print(f,
		       match->on_containers
			       ? "; opens when berthd has known the container"
			       : "; opens when the namespace is",
		       match->after_ms);
	(void)fputs(match->on_containers ? "" : " old", f);
}

static int explain(FILE *f, const struct rule *rule, const struct netns *netns)
{
	const struct match *match = &rule->match;
	_cleanup_free_ struct candidate *list = NULL;
	const char *name = match_netns(match, netns);
	size_t n = 0;
	int r;

	if (!name) {
		explain_netns(f, match, netns);
		return 0;
	}
	r = explain_containers(f, match, netns);
	if (r <= 0)
		return r;
	if (explain_exclusion(f, match, netns))
		return 0;
	if (!match->on_addresses) {
		explain_match(f, match, netns, name);
		print_container(f, match, netns);
		print_after(f, match);
		if (rule_uses_addresses(rule))
			print_omitted(f, netns);
		return 1;
	}
	if (!netns->observed) {
		(void)fputs("address: its addresses are not known yet", f);
		return 0;
	}
	if (candidates_new(netns, &list, &n) < 0)
		return -ENOMEM;
	/* It is not the other addresses that are to blame. */
	if (!any_matches(match, list, n) && explain_unusable(f, match, netns))
		return 0;
	n = filter_candidates(f, match, list, n);
	if (n == 0) {
		print_omitted(f, netns);
		return 0;
	}
	explain_match(f, match, netns, name);
	print_container(f, match, netns);
	print_after(f, match);
	(void)fprintf(f, "; %zu address%s match%s: ", n, n == 1 ? "" : "es",
		      n == 1 ? "es" : "");
	print_candidates(f, list, n);
	print_omitted(f, netns);
	return 1;
}

int plan_explain(const struct ruleset *ruleset, size_t rule_index,
		 const struct netns *netns, char **ret_reason)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int r;

	assert(rule_index < ruleset->n_rules);
	if (!f)
		return -ENOMEM;
	r = explain(f, ruleset->rules[rule_index], netns);
	if (fclose(f) != 0)
		r = -ENOMEM;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_reason = text;
	return r;
}
