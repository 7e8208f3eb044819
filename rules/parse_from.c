// SPDX-License-Identifier: Apache-2.0
/* parse_from.c - forward: from, the addresses to connect from */
#include <string.h>

#include "common/backend_source.h"
#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"

#define FROM_EXPECTED                                             \
	"an address such as 192.0.2.1, 2001:db8::1, or for SCTP " \
	"192.0.2.1:38412"

static const char *family_name(uint8_t family)
{
	return family == AF_INET ? "IPv4" : "IPv6";
}

/* Can @source stand beside the addresses before it? All have the same port,
 * because an SCTP endpoint has one. */
static bool check_source(struct parse *parse, const struct yaml_node *node,
			 const struct service *service,
			 const struct backend_source *source)
{
	for (size_t i = 0; i < service->n_from; i++) {
		const struct backend_source *other = &service->from[i];

		if (ip_addr_equal(&other->addr, &source->addr))
			return parse_error(parse, node, "from %s stands twice",
					   QUOTE(node->text));
		if (other->port != source->port)
			return parse_error(parse, node,
					   "from is %s, expected the same port "
					   "with each address, or none",
					   QUOTE(node->text));
	}
	return true;
}

void parse_from(struct parse *parse, const struct yaml_node *node,
		struct service *service)
{
	const struct yaml_node *items;
	const char *text, *problem;
	size_t n = parse_items(parse, node, "from", FROM_EXPECTED, &items);

	if (n > SERVICE_FROM_MAX) {
		(void)parse_error(parse, node,
				  "from is a list of %zu, expected at most %u "
				  "addresses",
				  n, SERVICE_FROM_MAX);
		return;
	}
	service->from = calloc(n ? n : 1, sizeof(*service->from));
	if (!service->from) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		struct backend_source *source = &service->from[service->n_from];

		if (!parse_text(parse, &items[i], "from", FROM_EXPECTED, &text))
			continue;
		if (backend_source_parse(text, source, &problem) < 0)
			(void)parse_error(parse, &items[i],
					  "from is %s, expected %s",
					  QUOTE(text), problem);
		else if (check_source(parse, &items[i], service, source))
			service->n_from++;
	}
}

/* The address family of a backend's text, which was checked: an IPv6 address
 * stands in brackets. */
static uint8_t family_of(const char *text)
{
	const char *host, *end;

	(void)scheme_parse(text, &host);
	end = *host == '[' ? strchr(host, ']') : NULL;
	return end && memchr(host, ':', (size_t)(end - host)) ? AF_INET6
							      : AF_INET;
}

static size_t count_of_family(const struct service *service, uint8_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < service->n_from; i++)
		n += service->from[i].addr.family == family;
	return n;
}

/* `from` with a port is for SCTP only: by TCP and UDP there could be only one
 * connection or session at a time from one address and port. */
static bool check_protocol(struct parse *parse,
			   const struct action_nodes *nodes,
			   const struct yaml_node *to,
			   const struct service *service,
			   const struct listen *listen, enum protocol protocol)
{
	enum scheme scheme = scheme_parse(to->text, NULL);
	uint8_t family = family_of(to->text);

	if (scheme_protocol(scheme, protocol) == PROTOCOL_SCTP)
		return true;
	if (service->n_from && service->from[0].port)
		return parse_error(
			parse, nodes->from,
			"from has a port, which is for SCTP backends "
			"only, and %s of the %s listener of line %u "
			"is none",
			QUOTE(to->text), protocol_name(protocol), listen->line);
	if (count_of_family(service, family) > 1)
		return parse_error(parse, nodes->from,
				   "from has several %s addresses, expected "
				   "one for %s of the %s listener of line %u",
				   family_name(family), QUOTE(to->text),
				   protocol_name(protocol), listen->line);
	return true;
}

static bool check_to(struct parse *parse, const struct action_nodes *nodes,
		     const struct yaml_node *to, const struct service *service,
		     const struct listen *listen)
{
	char problem[TEMPLATE_PROBLEM_MAX];
	int uses = template_check(to->text, problem);
	uint8_t family = family_of(to->text);

	if (uses < 0)
		return true; /* check_template() reported the error */
	if (scheme_parse(to->text, NULL) == SCHEME_UNIX)
		return parse_error(parse, to,
				   "to is %s, which cannot be reached from an "
				   "address as \"from\" asks; expected an "
				   "address",
				   QUOTE(to->text));
	if (!(uses & TEMPLATE_ADDRESS) && service->n_from &&
	    count_of_family(service, family) == 0)
		return parse_error(parse, to,
				   "to is %s, and \"from\" has no %s address "
				   "to connect from",
				   QUOTE(to->text), family_name(family));
	for (size_t i = 0; i < listen->n_protocols; i++) {
		if (!check_protocol(parse, nodes, to, service, listen,
				    listen->protocols[i]))
			return false;
	}
	return true;
}

void parse_from_join(struct parse *parse, const struct action_nodes *nodes,
		     const struct service *service, const struct listen *listen)
{
	const struct yaml_node *to = nodes->to;

	for (size_t i = 0; to && i < parse_to_count(to); i++) {
		const struct yaml_node *item = parse_to_backend(to, i);

		if (item && !check_to(parse, nodes, item, service, listen))
			return;
	}
}
