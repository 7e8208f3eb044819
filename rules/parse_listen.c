// SPDX-License-Identifier: Apache-2.0
/* parse_listen.c - the listen section of a rule */
#include <string.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/parse_option.h"
#include "rules/suggest.h"

#define PORTS_EXPECTED "1-65535 or a range \"a-b\""

/* More port ranges or addresses in one entry are a mistake of a generator; the
 * checks for repetition take time by the square of these. */
#define PORT_RANGES_MAX 256
#define LITERALS_MAX 256

enum listen_key {
	LISTEN_PROTOCOL,
	LISTEN_PORT,
	LISTEN_ADDRESS,
	LISTEN_CLIENTS,
	LISTEN_OPTIONS, /* the first of OPTION_COUNT */
};

#define LISTEN_KEY_COUNT (LISTEN_OPTIONS + OPTION_COUNT)

static void parse_protocols(struct parse *parse, const struct yaml_node *node,
			    struct listen *listen)
{
	const char *names[PROTOCOL_COUNT];
	const struct yaml_node *items;
	const char *text, *near;
	enum protocol protocol;
	size_t n = parse_items(parse, node, "protocol", "a protocol", &items);

	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		names[i] = protocol_name((enum protocol)i);
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		bool twice = false;

		if (!parse_text(parse, &items[i], "protocol", "a protocol",
				&text))
			continue;
		if (protocol_parse(text, &protocol) < 0) {
			near = suggest(text, names, PROTOCOL_COUNT);
			(void)parse_error(parse, &items[i],
					  "protocol is %s, expected tcp, udp, "
					  "mptcp, sctp or sctp-seqpacket%s%s%s",
					  QUOTE(text),
					  near ? "; did you mean \"" : "",
					  near ? near : "", near ? "\"?" : "");
			continue;
		}
		for (size_t k = 0; k < listen->n_protocols; k++)
			twice |= listen->protocols[k] == protocol;
		if (twice)
			(void)parse_error(parse, &items[i],
					  "protocol \"%s\" stands twice", text);
		else
			listen->protocols[listen->n_protocols++] = protocol;
	}
}

/* Digits up to *ret_end without a leading zero: 1 to 65535, else 0. */
static uint16_t port_parse(const char *text, const char **ret_end)
{
	unsigned int port = 0;

	*ret_end = text;
	if (*text == '0')
		return 0;
	for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
		port = port * 10 + (unsigned int)(*text - '0');
	*ret_end = text;
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool parse_port_range(struct parse *parse, const struct yaml_node *node,
			     struct port_range *ret_range)
{
	struct port_range range;
	const char *text, *end;

	if (!parse_text(parse, node, "port", PORTS_EXPECTED, &text))
		return false;
	range.first = port_parse(text, &end);
	range.last = range.first;
	if (range.first && *end == '-')
		range.last = port_parse(end + 1, &end);
	if (!range.first || !range.last || *end)
		return parse_error(parse, node,
				   "port is %s, expected " PORTS_EXPECTED,
				   QUOTE(text));
	if (range.last < range.first)
		return parse_error(parse, node,
				   "port range %s goes down, expected the "
				   "smaller port first",
				   QUOTE(text));
	*ret_range = range;
	return true;
}

static void parse_ports(struct parse *parse, const struct yaml_node *node,
			struct listen *listen)
{
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, "port", PORTS_EXPECTED, &items);
	struct port_range range = { 0 };

	if (n > PORT_RANGES_MAX) {
		(void)parse_error(parse, node,
				  "port is a list of %zu, expected at most %d; "
				  "ranges \"a-b\" make it shorter",
				  n, PORT_RANGES_MAX);
		return;
	}
	listen->ports = calloc(n ? n : 1, sizeof(*listen->ports));
	if (!listen->ports) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		const struct port_range *other = NULL;

		if (!parse_port_range(parse, &items[i], &range))
			continue;
		for (size_t k = 0; k < listen->n_ports && !other; k++) {
			if (listen->ports[k].first <= range.last &&
			    range.first <= listen->ports[k].last)
				other = &listen->ports[k];
		}
		if (other)
			(void)parse_error(parse, &items[i],
					  "port %u stands twice",
					  other->first > range.first
						  ? other->first
						  : range.first);
		else
			listen->ports[listen->n_ports++] = range;
	}
}

static bool parse_literal(struct parse *parse, const struct yaml_node *node,
			  struct ip_addr *ret_addr)
{
	struct ip_addr addr;
	const char *text;

	if (!parse_text(parse, node, "address", "an address", &text))
		return false;
	if (ip_addr_parse(text, &addr) < 0)
		return parse_error(parse, node,
				   "address is %s, expected an address such as "
				   "192.0.2.1 or 2001:db8::1",
				   QUOTE(text));
	if (addr.family == AF_INET6 && ip_addr_is_any(&addr))
		return parse_error(parse, node,
				   "address is \"::\", expected any (both "
				   "families) or any6 (IPv6 alone)");
	if (ip_addr_is_link_local(&addr))
		return parse_error(
			parse, node,
			"address is %s: a link-local address needs "
			"its interface; expected \"each\", and match "
			"with \"scope: link\"",
			QUOTE(text));
	if (addr.family == AF_INET6 &&
	    memcmp(addr.bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		return parse_error(parse, node,
				   "address is %s, expected plain IPv4",
				   QUOTE(text));
	*ret_addr = addr;
	return true;
}

static void parse_literals(struct parse *parse, const struct yaml_node *node,
			   struct listen *listen)
{
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, "address", "an address", &items);

	listen->address = LISTEN_LITERAL;
	if (n > LITERALS_MAX) {
		(void)parse_error(parse, node,
				  "address is a list of %zu, expected at most "
				  "%d",
				  n, LITERALS_MAX);
		return;
	}
	listen->literals = calloc(n ? n : 1, sizeof(*listen->literals));
	if (!listen->literals) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		struct ip_addr *addr = &listen->literals[listen->n_literals];
		bool twice = false;

		if (!parse_literal(parse, &items[i], addr))
			continue;
		for (size_t k = 0; k < listen->n_literals; k++)
			twice |= ip_addr_equal(&listen->literals[k], addr);
		if (twice)
			(void)parse_error(parse, &items[i],
					  "address %s stands twice",
					  QUOTE(items[i].text));
		else
			listen->n_literals++;
	}
}

/* A keyword inside a list would make one entry two kinds of listeners. */
static bool list_has_keyword(struct parse *parse, const struct yaml_node *list)
{
	for (size_t i = 0; i < list->n; i++) {
		for (int k = LISTEN_ANY; k < LISTEN_LITERAL; k++) {
			const struct yaml_node *item = &list->items[i];
			const char *name = listen_address_name(k);

			if (item->kind == NODE_SCALAR &&
			    strcmp(item->text, name) == 0) {
				(void)parse_error(
					parse, item,
					"address \"%s\" stands in a list, "
					"expected it alone or addresses only",
					name);
				return true;
			}
		}
	}
	return false;
}

static void parse_address(struct parse *parse, const struct yaml_node *node,
			  struct listen *listen)
{
	const char *names[LISTEN_LITERAL];
	const char *near = NULL;

	if (node->kind == NODE_LIST && list_has_keyword(parse, node))
		return;
	for (int k = LISTEN_ANY; k < LISTEN_LITERAL; k++) {
		names[k] = listen_address_name(k);
		if (node->kind == NODE_SCALAR &&
		    strcmp(node->text, names[k]) == 0) {
			listen->address = k;
			return;
		}
	}
	/* Suggest a keyword for words only, not for what looks like an
	 * address. */
	if (node->kind == NODE_SCALAR && !strpbrk(node->text, ".:"))
		near = suggest(node->text, names, ARRAY_SIZE(names));
	if (near)
		(void)parse_error(parse, node,
				  "address is %s; did you mean \"%s\"?",
				  QUOTE(node->text), near);
	else if (node->kind == NODE_SCALAR && *node->text &&
		 !strpbrk(node->text, ".:"))
		(void)parse_error(parse, node,
				  "address is %s, expected any, any4, any6, "
				  "each, all, an address or a list of "
				  "addresses",
				  FOUND(node));
	else
		parse_literals(parse, node, listen);
}

static void check_address(struct parse *parse, const struct field *fields,
			  const struct listen *listen)
{
	if (listen->address != LISTEN_ALL)
		return;
	for (size_t i = 0; i < listen->n_protocols; i++) {
		if (protocol_is_sctp(listen->protocols[i]))
			continue;
		(void)parse_error(parse, fields[LISTEN_ADDRESS].value,
				  "address \"all\" is one SCTP endpoint on "
				  "several addresses, which %s has not; "
				  "expected \"each\"",
				  protocol_name(listen->protocols[i]));
		return;
	}
}

static void parse_options(struct parse *parse, const struct field *fields,
			  struct listen *listen)
{
	for (int option = 0; option < OPTION_COUNT; option++) {
		const struct field *field = &fields[LISTEN_OPTIONS + option];

		if (field->key)
			parse_option(parse, option, field, listen);
	}
}

static void parse_listen_entry(struct parse *parse,
			       const struct yaml_node *node,
			       struct listen *listen)
{
	const char *keys[LISTEN_KEY_COUNT] = {
		[LISTEN_PROTOCOL] = "protocol",
		[LISTEN_PORT] = "port",
		[LISTEN_ADDRESS] = "address",
		[LISTEN_CLIENTS] = "clients",
	};
	struct field fields[LISTEN_KEY_COUNT];

	for (int option = 0; option < OPTION_COUNT; option++)
		keys[LISTEN_OPTIONS + option] = option_name(option);
	listen->line = node->line;
	listen->service = service_new();
	if (!listen->service) {
		(void)parse_oom(parse);
		return;
	}
	if (!parse_mapping(parse, node, "a listen entry", keys,
			   LISTEN_KEY_COUNT, fields))
		return;
	if (fields[LISTEN_PROTOCOL].key)
		parse_protocols(parse, fields[LISTEN_PROTOCOL].value, listen);
	else
		(void)parse_error(parse, node,
				  "a listen entry needs \"protocol\"");
	if (fields[LISTEN_PORT].key)
		parse_ports(parse, fields[LISTEN_PORT].value, listen);
	else
		(void)parse_error(parse, node, "a listen entry needs \"port\"");
	if (fields[LISTEN_ADDRESS].key)
		parse_address(parse, fields[LISTEN_ADDRESS].value, listen);
	check_address(parse, fields, listen);
	if (fields[LISTEN_CLIENTS].key)
		parse_clients(parse, fields[LISTEN_CLIENTS].value,
			      listen->service);
	parse_options(parse, fields, listen);
}

void parse_listen(struct parse *parse, const struct yaml_node *node,
		  struct rule *rule)
{
	bool one = node->kind == NODE_MAPPING;
	const struct yaml_node *entries = one ? node : node->items;
	size_t n = one ? 1 : node->n;

	if (!one && (node->kind != NODE_LIST || n == 0)) {
		(void)parse_error(parse, node,
				  "listen is %s, expected a mapping such as "
				  "\"{protocol: tcp, port: 80}\" or a list of "
				  "them",
				  FOUND(node));
		return;
	}
	rule->listens = calloc(n, sizeof(*rule->listens));
	if (!rule->listens) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_listen_entry(parse, &entries[i],
				   &rule->listens[rule->n_listens++]);
}
