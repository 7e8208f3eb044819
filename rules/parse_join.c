// SPDX-License-Identifier: Apache-2.0
/* parse_join.c - do the listen entries and the action of a rule fit? */
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"

static void check_scheme(struct parse *parse, const struct yaml_node *node,
			 const struct listen *listen)
{
	enum scheme scheme = scheme_parse(node->text, NULL);

	for (size_t i = 0; i < listen->n_protocols; i++) {
		if (scheme_fits(scheme, listen->protocols[i]))
			continue;
		(void)parse_error(
			parse, node,
			"to is %s, which cannot serve the %s listener "
			"of line %u",
			QUOTE(node->text), protocol_name(listen->protocols[i]),
			listen->line);
		return;
	}
}

/* Can the templates of @what, "to" or "a value in tlvs", be filled in?
 * ${address} and ${interface} need a listener with exactly one of them. */
static void check_template(struct parse *parse, const struct yaml_node *node,
			   const char *what, struct listen *listen)
{
	char problem[TEMPLATE_PROBLEM_MAX];
	/* Names that only headers may have were reported elsewhere before. */
	int uses = template_check_header(node->text, problem);

	if ((uses & TEMPLATE_INTERFACE) && listen->address != LISTEN_EACH)
		(void)parse_error(parse, node,
				  "%s is %s: ${interface} needs \"address: "
				  "each\" in the listen entry of line %u",
				  what, QUOTE(node->text), listen->line);
	if ((uses & TEMPLATE_ADDRESS) && listen->address != LISTEN_EACH &&
	    listen->address != LISTEN_LITERAL)
		(void)parse_error(parse, node,
				  "%s is %s: ${address} needs \"address: "
				  "each\" or addresses in the listen entry of "
				  "line %u",
				  what, QUOTE(node->text), listen->line);
	listen->uses |= (unsigned int)uses;
}

/* Has the rule's expression the group? */
static void check_group(struct parse *parse, const struct yaml_node *node,
			const char *what, const struct template_ref *ref,
			const struct match *match)
{
	bool container = ref->use == TEMPLATE_CONTAINER_GROUP;

	if (container ? patterns_have_group(match->containers,
					    match->n_containers, ref->key)
		      : patterns_have_group(match->namespaces,
					    match->n_namespaces, ref->key))
		return;
	(void)parse_error(parse, node,
			  "%s is %s: no regular expression in \"%s\" has a "
			  "group with the name %s",
			  what, QUOTE(node->text),
			  container ? "container" : "namespace",
			  QUOTE(ref->key));
}

/* Can the templates be filled in with what the rule's conditions find? */
static void check_match_template(struct parse *parse,
				 const struct yaml_node *node, const char *what,
				 const struct match *match)
{
	const char *rest = node->text;
	struct template_ref ref;
	bool said = false;

	while ((rest = template_next(rest, &ref))) {
		if ((ref.use & TEMPLATE_OF_CONTAINER) &&
		    !match->on_containers && !said)
			said = !parse_error(parse, node,
					    "%s is %s: the rule matches "
					    "without any container; expected "
					    "\"container\", "
					    "\"pod_namespace\" or \"labels\" "
					    "in \"match\"",
					    what, QUOTE(node->text));
		else if (ref.use &
			 (TEMPLATE_NAMESPACE_GROUP | TEMPLATE_CONTAINER_GROUP))
			check_group(parse, node, what, &ref, match);
	}
}

static void check_matches(struct parse *parse, const struct yaml_node *node,
			  const struct match *match)
{
	for (size_t i = 0; i < parse_to_count(node); i++) {
		const struct yaml_node *item = parse_to_backend(node, i);

		if (item)
			check_match_template(parse, item, "to", match);
	}
}

static void check_to(struct parse *parse, const struct yaml_node *node,
		     struct listen *listen)
{
	for (size_t i = 0; i < parse_to_count(node); i++) {
		const struct yaml_node *item = parse_to_backend(node, i);

		if (!item)
			continue;
		check_scheme(parse, item, listen);
		check_template(parse, item, "to", listen);
	}
}

#define TLV_VALUE "a value in tlvs"
#define HEADER_VALUE "a value in set_headers"

/* The values of a mapping are every second item; what is no text was reported
 * before. */
static void check_values_match(struct parse *parse,
			       const struct yaml_node *node, const char *what,
			       const struct match *match)
{
	for (size_t i = 1; node->kind == NODE_MAPPING && i < node->n; i += 2) {
		if (node->items[i].kind == NODE_SCALAR)
			check_match_template(parse, &node->items[i], what,
					     match);
	}
}

static void check_values(struct parse *parse, const struct yaml_node *node,
			 const char *what, struct listen *listen)
{
	for (size_t i = 1; node->kind == NODE_MAPPING && i < node->n; i += 2) {
		if (node->items[i].kind == NODE_SCALAR)
			check_template(parse, &node->items[i], what, listen);
	}
}

static void check_http(struct parse *parse, const struct action_nodes *nodes,
		       struct listen *listen)
{
	parse_http_join(parse, nodes, listen);
	if (!nodes->headers)
		return;
	check_values(parse, nodes->headers, HEADER_VALUE, listen);
	/* Values of the consumer protocol differ from those of a rule, even
	 * where no name is filled in. */
	listen->uses |= TEMPLATE_CLIENT;
}

static void check_proxy(struct parse *parse, const struct yaml_node *node,
			const struct service *service,
			const struct listen *listen)
{
	if (service->proxy != SERVICE_PROXY_V1)
		return;
	for (size_t i = 0; i < listen->n_protocols; i++) {
		enum protocol protocol = listen->protocols[i];

		if (service_proxy_fits(service->proxy, protocol))
			continue;
		(void)parse_error(parse, node,
				  "proxy_protocol v1 knows TCP only, and the "
				  "listen entry of line %u has %s; expected v2",
				  listen->line, protocol_name(protocol));
		return;
	}
}

void parse_join(struct parse *parse, const struct action_nodes *nodes,
		const struct service *service, struct rule *rule)
{
	if (nodes->to)
		check_matches(parse, nodes->to, &rule->match);
	if (nodes->tlvs)
		check_values_match(parse, nodes->tlvs, TLV_VALUE, &rule->match);
	if (nodes->headers)
		check_values_match(parse, nodes->headers, HEADER_VALUE,
				   &rule->match);
	if (nodes->check_send && nodes->to)
		parse_check_send(parse, nodes, rule);
	for (size_t i = 0; i < rule->n_listens && !parse_full(parse); i++) {
		struct listen *listen = &rule->listens[i];
		struct service *joined;

		if (nodes->to)
			check_to(parse, nodes->to, listen);
		if (nodes->tlvs)
			check_values(parse, nodes->tlvs, TLV_VALUE, listen);
		if (nodes->http)
			check_http(parse, nodes, listen);
		if (nodes->proxy)
			check_proxy(parse, nodes->proxy, service, listen);
		if (nodes->from)
			parse_from_join(parse, nodes, service, listen);
		if (nodes->check && nodes->to)
			parse_check_join(parse, nodes, listen);
		joined = service_copy(service);
		if (!joined) {
			(void)parse_oom(parse);
			return;
		}
		joined->options = listen->service->options;
		joined->clients = TAKE_PTR(listen->service->clients);
		joined->n_clients = listen->service->n_clients;
		listen->service->n_clients = 0;
		service_unref(listen->service);
		listen->service = joined;
	}
}
