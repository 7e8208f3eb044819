// SPDX-License-Identifier: Apache-2.0
/* parse_provide.c - the provide section of a rule */
#include <string.h>

#include "common/util.h"
#include "rules/parse_rule.h"

#define ADDRESS_EXPECTED "ADDRESS/BITS such as 169.254.169.254/32"

/* More addresses in one rule are a mistake of a generator. */
#define ADDRESSES_MAX 32u

enum provide_key {
	PROVIDE_LOOPBACK,
	PROVIDE_INTERFACE,
	PROVIDE_ADDRESSES,
};

static const char *const provide_keys[] = {
	[PROVIDE_LOOPBACK] = "loopback",
	[PROVIDE_INTERFACE] = "interface",
	[PROVIDE_ADDRESSES] = "addresses",
};

/* As the kernel sees it: no slash, colon or space. */
static bool ifname_is_valid(const char *name)
{
	return strlen(name) < IF_NAMESIZE && !strpbrk(name, "/: \t\v\f\r\n") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void parse_ifname(struct parse *parse, const struct yaml_node *node,
			 char *ret_ifname)
{
	const char *text;

	if (!parse_text(parse, node, "interface", "an interface's name", &text))
		return;
	if (!ifname_is_valid(text)) {
		(void)parse_error(parse, node,
				  "interface is %s, expected the name of one "
				  "interface: at most %d bytes, without \"/\", "
				  "\":\" and spaces",
				  QUOTE(text), IF_NAMESIZE - 1);
		return;
	}
	memcpy(ret_ifname, text, strlen(text) + 1);
}

static void parse_loopback(struct parse *parse, const struct yaml_node *node,
			   struct rule *rule)
{
	const char *text;

	if (!parse_text(parse, node, "loopback", "up", &text))
		return;
	if (strcmp(text, "up") != 0) {
		(void)parse_error(parse, node, "loopback is %s, expected up",
				  QUOTE(text));
		return;
	}
	rule->provisions[rule->n_provisions++] = (struct provision){
		.kind = PROVISION_LOOPBACK,
		.ifname = PROVISION_LOOPBACK_NAME,
	};
}

static bool is_multicast(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? (addr->bytes[0] & 0xf0) == 0xe0
				       : addr->bytes[0] == 0xff;
}

/* Return: what is wrong with the address; NULL: an interface can have it. */
static const char *address_problem(const struct ip_prefix *prefix)
{
	static const uint8_t broadcast[] = { 255, 255, 255, 255 };

	if (ip_addr_is_any(&prefix->addr))
		return "the address of no host";
	if (is_multicast(&prefix->addr))
		return "a multicast address";
	if (prefix->addr.family == AF_INET &&
	    memcmp(prefix->addr.bytes, broadcast, sizeof(broadcast)) == 0)
		return "the broadcast address";
	if (ip_addr_is_v4_mapped(&prefix->addr))
		return "an IPv4 address in IPv6's form";
	if (prefix->bits == 0)
		return "an address whose net is everything";
	return NULL;
}

static bool parse_provided(struct parse *parse, const struct yaml_node *node,
			   struct ip_prefix *ret_prefix)
{
	struct ip_prefix prefix = { 0 };
	const char *text, *problem;
	int r;

	if (!parse_text(parse, node, "addresses", ADDRESS_EXPECTED, &text))
		return false;
	r = ip_host_prefix_parse(text, &prefix);
	if (r == -ERANGE)
		return parse_error(parse, node,
				   "addresses has %s, expected at most /32 for "
				   "IPv4 and /128 for IPv6",
				   QUOTE(text));
	if (r < 0)
		return parse_error(
			parse, node,
			"addresses has %s, expected " ADDRESS_EXPECTED,
			QUOTE(text));
	problem = address_problem(&prefix);
	if (problem)
		return parse_error(parse, node,
				   "addresses has %s, which is %s; expected an "
				   "address of one host",
				   QUOTE(text), problem);
	*ret_prefix = prefix;
	return true;
}

static void add_address(struct parse *parse, const struct yaml_node *node,
			const char *ifname, struct rule *rule)
{
	struct provision *added = &rule->provisions[rule->n_provisions];
	struct ip_prefix prefix = { 0 };

	if (!parse_provided(parse, node, &prefix))
		return;
	*added = (struct provision){
		.kind = PROVISION_ADDRESS,
		.addr = prefix.addr,
		.prefix_bits = prefix.bits,
	};
	memcpy(added->ifname, ifname, IF_NAMESIZE);
	for (size_t i = 0; i < rule->n_provisions; i++) {
		if (!provision_same(&rule->provisions[i], added))
			continue;
		(void)parse_error(parse, node, "address %s stands twice",
				  QUOTE(node->text));
		return;
	}
	rule->n_provisions++;
}

static void parse_addresses(struct parse *parse, const struct yaml_node *node,
			    const char *ifname, struct rule *rule)
{
	const struct yaml_node *items;
	size_t n =
		parse_items(parse, node, "addresses", ADDRESS_EXPECTED, &items);

	if (n > ADDRESSES_MAX) {
		(void)parse_error(parse, node,
				  "addresses is a list of %zu, expected at "
				  "most %u",
				  n, ADDRESSES_MAX);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		add_address(parse, &items[i], ifname, rule);
}

/* What a rule provides must not decide whether the rule holds: an address that
 * it has added once would keep the rule holding for ever. */
static void check_match(struct parse *parse, const struct yaml_node *key,
			const struct rule *rule)
{
	const struct match *match = &rule->match;

	if (match->on_addresses)
		(void)parse_error(parse, key,
				  "provide stands beside a condition on "
				  "addresses (interface, address, family, "
				  "scope), expected conditions on the "
				  "namespace and its containers alone: the "
				  "rule must not depend on what it adds");
	if (match->host && match->n_namespaces == 0)
		(void)parse_error(parse, key,
				  "provide in a rule for the host's own "
				  "namespace, where berth never adds "
				  "anything; expected \"namespace\" patterns "
				  "beside \"host: true\", or no \"host\"");
}

void parse_provide(struct parse *parse, const struct yaml_node *key,
		   const struct yaml_node *node, struct rule *rule)
{
	struct field fields[ARRAY_SIZE(provide_keys)];
	char ifname[IF_NAMESIZE] = PROVISION_LOOPBACK_NAME;

	if (!parse_mapping(parse, node, "provide", provide_keys,
			   ARRAY_SIZE(provide_keys), fields))
		return;
	rule->provisions = calloc(ADDRESSES_MAX + 1, sizeof(*rule->provisions));
	if (!rule->provisions) {
		(void)parse_oom(parse);
		return;
	}
	if (fields[PROVIDE_INTERFACE].key)
		parse_ifname(parse, fields[PROVIDE_INTERFACE].value, ifname);
	if (fields[PROVIDE_LOOPBACK].key)
		parse_loopback(parse, fields[PROVIDE_LOOPBACK].value, rule);
	if (fields[PROVIDE_ADDRESSES].key)
		parse_addresses(parse, fields[PROVIDE_ADDRESSES].value, ifname,
				rule);
	else if (fields[PROVIDE_INTERFACE].key)
		(void)parse_error(parse, fields[PROVIDE_INTERFACE].key,
				  "interface has no effect without addresses");
	else if (!fields[PROVIDE_LOOPBACK].key)
		(void)parse_error(parse, node,
				  "provide names nothing, expected loopback or "
				  "addresses");
	check_match(parse, key, rule);
}
