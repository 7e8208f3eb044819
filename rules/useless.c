// SPDX-License-Identifier: Apache-2.0
/* useless.c - what a rule file says rightly, and to no use
 *
 * Told from the rules alone: only what holds in every namespace is said.
 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/backend.h"
#include "common/text.h"
#include "common/util.h"
#include "rules/parse.h"
#include "rules/rule.h"

static int warn(struct rules_errors *warnings, const struct rule *rule,
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int warn(struct rules_errors *warnings, const struct rule *rule,
		const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&message, fmt, args);
	va_end(args);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	return rules_errors_add(warnings, rule->file, rule->line, rule->column,
				message);
}

/* Rules that never win */

static bool patterns_equal(const struct pattern *a, size_t n_a,
			   const struct pattern *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (strcmp(a[i].text, b[i].text) != 0)
			return false;
	}
	return true;
}

/* Is every name that @b takes one that @a takes? */
static bool patterns_cover(const struct pattern *a, size_t n_a,
			   const struct pattern *b, size_t n_b)
{
	return n_a == 0 || (n_a == 1 && strcmp(a[0].text, "*") == 0) ||
	       patterns_equal(a, n_a, b, n_b);
}

static bool selectors_equal(const struct selector *a, const struct selector *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct requirement *ra = &a->list[i], *rb = &b->list[i];

		if (ra->op != rb->op || strcmp(ra->key, rb->key) != 0 ||
		    !texts_equal(ra->values, ra->n_values, rb->values,
				 rb->n_values))
			return false;
	}
	return true;
}

static bool covers_names(const struct match *a, const struct match *b)
{
	if (b->host && !a->host)
		return false;
	/* With `host` alone no other namespace matches. */
	if (a->host && a->n_namespaces == 0 && a->n_dirs == 0 &&
	    (!b->host || b->n_namespaces > 0 || b->n_dirs > 0))
		return false;
	return patterns_cover(a->namespaces, a->n_namespaces, b->namespaces,
			      b->n_namespaces) &&
	       (a->n_dirs == 0 ||
		texts_equal(a->dirs, a->n_dirs, b->dirs, b->n_dirs));
}

static bool covers_containers(const struct match *a, const struct match *b)
{
	if (a->unless_labels.n > 0 &&
	    !selectors_equal(&a->unless_labels, &b->unless_labels))
		return false;
	if (b->ignores_skip && !a->ignores_skip)
		return false;
	if (!a->on_containers)
		return true;
	return patterns_cover(a->containers, a->n_containers, b->containers,
			      b->n_containers) &&
	       (a->n_pod_namespaces == 0 ||
		patterns_equal(a->pod_namespaces, a->n_pod_namespaces,
			       b->pod_namespaces, b->n_pod_namespaces)) &&
	       (a->labels.n == 0 || selectors_equal(&a->labels, &b->labels)) &&
	       b->on_containers;
}

static bool covers_addresses(const struct match *a, const struct match *b)
{
	if (!a->on_addresses)
		return true;
	return b->on_addresses && a->family == b->family &&
	       a->scopes == b->scopes &&
	       address_patterns_equal(a->addresses, a->n_addresses,
				      b->addresses, b->n_addresses) &&
	       patterns_equal(a->interfaces, a->n_interfaces, b->interfaces,
			      b->n_interfaces);
}

/* Does @a hold wherever @b does? False also when that is not plain. */
static bool match_covers(const struct match *a, const struct match *b)
{
	return (a->unprivileged || !b->unprivileged) && covers_names(a, b) &&
	       covers_containers(a, b) && covers_addresses(a, b);
}

static bool has_protocol(const struct listen *listen, enum protocol protocol)
{
	for (size_t i = 0; i < listen->n_protocols; i++) {
		if (listen->protocols[i] == protocol)
			return true;
	}
	return false;
}

static bool has_ports(const struct listen *listen,
		      const struct port_range *ports)
{
	for (size_t i = 0; i < listen->n_ports; i++) {
		if (listen->ports[i].first <= ports->first &&
		    listen->ports[i].last >= ports->last)
			return true;
	}
	return false;
}

static bool has_literals(const struct listen *a, const struct listen *b)
{
	for (size_t i = 0; i < b->n_literals; i++) {
		size_t j = 0;

		while (j < a->n_literals &&
		       !ip_addr_equal(&a->literals[j], &b->literals[i]))
			j++;
		if (j == a->n_literals)
			return false;
	}
	return true;
}

static bool literals_are(const struct listen *listen, uint8_t family)
{
	for (size_t i = 0; i < listen->n_literals; i++) {
		if (listen->literals[i].family != family)
			return false;
	}
	return listen->address == LISTEN_LITERAL;
}

/* Has @a every local address that @b wants, in one namespace? */
static bool has_addresses(const struct listen *a, const struct listen *b)
{
	/* Bound to an interface, a socket has only what comes through it. */
	if (a->service->options.interface_bound)
		return false;
	switch (a->address) {
	case LISTEN_ANY:
		return true;
	case LISTEN_ANY4:
		return b->address == LISTEN_ANY4 || literals_are(b, AF_INET);
	case LISTEN_ANY6:
		return b->address == LISTEN_ANY6 || literals_are(b, AF_INET6);
	case LISTEN_EACH:
	case LISTEN_ALL:
		return false;
	case LISTEN_LITERAL:
		return b->address == LISTEN_LITERAL && has_literals(a, b);
	}
	return false;
}

/* Does one entry of @a have every endpoint of @protocol and @ports? */
static bool rule_has(const struct rule *a, const struct listen *listen,
		     enum protocol protocol, const struct port_range *ports)
{
	for (size_t i = 0; i < a->n_listens; i++) {
		if (has_protocol(&a->listens[i], protocol) &&
		    has_ports(&a->listens[i], ports) &&
		    has_addresses(&a->listens[i], listen))
			return true;
	}
	return false;
}

static bool listen_is_covered(const struct rule *a, const struct listen *listen)
{
	for (size_t p = 0; p < listen->n_protocols; p++) {
		for (size_t i = 0; i < listen->n_ports; i++) {
			if (!rule_has(a, listen, listen->protocols[p],
				      &listen->ports[i]))
				return false;
		}
	}
	return true;
}

/* Does @a take all that @b wants, wherever @b holds? */
static bool rule_covers(const struct rule *a, const struct rule *b)
{
	for (size_t i = 0; i < b->n_listens; i++) {
		if (!listen_is_covered(a, &b->listens[i]))
			return false;
	}
	return match_covers(&a->match, &b->match);
}

static int warn_covered(const struct ruleset *ruleset, size_t index,
			struct rules_errors *warnings)
{
	const struct rule *rule = ruleset->rules[index];

	for (size_t i = 0; i < index; i++) {
		const struct rule *first = ruleset->rules[i];

		if (rule_covers(first, rule))
			return warn(warnings, rule,
				    "rule '%s' never opens a listener: "
				    "wherever it holds, rule '%s' (%s:%u) "
				    "comes first and has its addresses and "
				    "ports",
				    rule->name, first->name, first->file,
				    first->line);
	}
	return 0;
}

/* Backends that nobody can be */

static bool is_multicast(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? (addr->bytes[0] & 0xf0) == 0xe0
				       : addr->bytes[0] == 0xff;
}

/* Return: why no connection to it can succeed; NULL: one may. */
static const char *useless_address(const struct ip_addr *addr)
{
	if (is_multicast(addr))
		return "it is a multicast address, which never answers";
	if (ip_addr_is_link_local(addr))
		return "it is a link-local address, which is somewhere else on "
		       "each interface, and a backend names none";
	return NULL;
}

static int warn_backend(const struct rule *rule, const char *text,
			struct rules_errors *warnings)
{
	struct backend backend;

	/* What has templates is known in each namespace only. */
	if (backend_parse(text, &backend, NULL) < 0 ||
	    backend.scheme == SCHEME_UNIX)
		return 0;
	for (size_t i = 0; i < backend.addrs.n; i++) {
		const char *why = useless_address(&backend.addrs.addrs[i]);

		if (why)
			return warn(warnings, rule,
				    "rule '%s' never reaches the backend %s: "
				    "%s",
				    rule->name, text, why);
	}
	return 0;
}

static int warn_backends(const struct rule *rule, struct rules_errors *warnings)
{
	/* All entries have the same. */
	const struct service *service = rule->listens[0].service;
	int r = 0;

	for (size_t i = 0; i < service->n_to && r == 0; i++)
		r = warn_backend(rule, service->to[i], warnings);
	return r;
}

int ruleset_warn(const struct ruleset *ruleset, struct rules_errors *warnings)
{
	int r = 0;

	for (size_t i = 0; i < ruleset->n_rules && r == 0; i++) {
		r = warn_backends(ruleset->rules[i], warnings);
		if (r == 0)
			r = warn_covered(ruleset, i, warnings);
	}
	return r;
}
