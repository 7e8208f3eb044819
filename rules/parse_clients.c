// SPDX-License-Identifier: Apache-2.0
/* parse_clients.c - lists of addresses and networks: `clients` of a listen
 * entry, and the element that `address` of `match` has, too */
#include <string.h>

#include "common/util.h"
#include "rules/parse_rule.h"

#define PATTERN_EXPECTED "an address or a CIDR"

bool parse_address_pattern(struct parse *parse, const struct yaml_node *node,
			   const char *what, struct address_pattern *ret)
{
	const char *text, *expected;

	if (!parse_text(parse, node, what, PATTERN_EXPECTED, &text))
		return false;
	switch (address_pattern_parse(text, ret)) {
	case 0:
		return true;
	case -ERANGE:
		expected = "expected at most /32 for IPv4 and /128 for IPv6";
		break;
	case -EDOM:
		expected = "which has bits set behind the prefix length; "
			   "expected the first address of the network";
		break;
	case -EAFNOSUPPORT:
		expected = "expected plain IPv4";
		break;
	default:
		expected = "expected an address or a CIDR such as 10.0.0.0/8 "
			   "or fd00::/8";
	}
	return parse_error(parse, node, "%s is %s, %s", what, QUOTE(text),
			   expected);
}

void parse_clients(struct parse *parse, const struct yaml_node *node,
		   struct service *service)
{
	const struct yaml_node *items;
	size_t n =
		parse_items(parse, node, "clients", PATTERN_EXPECTED, &items);

	if (n > SERVICE_CLIENTS_MAX) {
		(void)parse_error(parse, node,
				  "clients is a list of %zu, expected at most "
				  "%u",
				  n, SERVICE_CLIENTS_MAX);
		return;
	}
	service->clients = calloc(n ? n : 1, sizeof(*service->clients));
	if (!service->clients) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		if (parse_address_pattern(
			    parse, &items[i], "clients",
			    &service->clients[service->n_clients]))
			service->n_clients++;
	}
}

/* The keys of a mapping are its even items. */
static void refuse_clients(struct parse *parse, const struct yaml_node *entry)
{
	for (size_t i = 0; entry->kind == NODE_MAPPING && i < entry->n;
	     i += 2) {
		const struct yaml_node *key = &entry->items[i];

		if (key->kind == NODE_SCALAR &&
		    strcmp(key->text, "clients") == 0)
			(void)parse_error(parse, key,
					  "clients has no effect with handoff: "
					  "the consumer accepts its clients "
					  "itself");
	}
}

void parse_clients_handoff(struct parse *parse, const struct yaml_node *listen)
{
	if (listen->kind != NODE_LIST)
		refuse_clients(parse, listen);
	for (size_t i = 0; listen->kind == NODE_LIST && i < listen->n; i++)
		refuse_clients(parse, &listen->items[i]);
}
