// SPDX-License-Identifier: Apache-2.0
/* parse_action.c - forward, respond and handoff */
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/suggest.h"

/* One write(2) into a fresh connection takes the text of `respond` whole. */
#define TEXT_MAX 4096u
#define NETNS_NAME_MAX 255u
#define CONNECT_TIMEOUT_MAX_MS (UINT64_C(3600) * 1000)
#define IDLE_TIMEOUT_MAX_MS (UINT64_C(1000) * 3600 * 1000)
#define MAX_LIFETIME_MIN_MS UINT64_C(1000)
#define MAX_LIFETIME_MAX_MS (UINT64_C(1000) * 3600 * 1000)
/* As in berthd.yaml. */
#define DRAIN_TIMEOUT_MIN_MS UINT64_C(1000)
#define DRAIN_TIMEOUT_MAX_MS (UINT64_C(24) * 3600 * 1000)

enum forward_key {
	FORWARD_TO,
	FORWARD_BALANCE,
	FORWARD_NAMESPACE,
	FORWARD_PROXY_PROTOCOL,
	FORWARD_TRANSPARENT,
	FORWARD_FROM,
	FORWARD_CHECK,
	FORWARD_HTTP,
	FORWARD_CONNECT_TIMEOUT,
	FORWARD_IDLE_TIMEOUT,
	FORWARD_MAX_LIFETIME,
	FORWARD_DRAIN_TIMEOUT,
	FORWARD_MAX_CONNECTIONS,
	FORWARD_RATE_LIMIT,
};

static const char *const forward_keys[] = {
	[FORWARD_TO] = "to",
	[FORWARD_BALANCE] = "balance",
	[FORWARD_NAMESPACE] = "namespace",
	[FORWARD_PROXY_PROTOCOL] = "proxy_protocol",
	[FORWARD_TRANSPARENT] = "transparent",
	[FORWARD_FROM] = "from",
	[FORWARD_CHECK] = "check",
	[FORWARD_HTTP] = "http",
	[FORWARD_CONNECT_TIMEOUT] = "connect_timeout",
	[FORWARD_IDLE_TIMEOUT] = "idle_timeout",
	[FORWARD_MAX_LIFETIME] = "max_lifetime",
	[FORWARD_DRAIN_TIMEOUT] = "drain_timeout",
	[FORWARD_MAX_CONNECTIONS] = "max_connections",
	[FORWARD_RATE_LIMIT] = "rate_limit",
};

static void parse_netns(struct parse *parse, const struct yaml_node *node,
			struct service *service)
{
	const char *text;

	if (!parse_text(parse, node, "namespace", "the name of one namespace",
			&text))
		return;
	if (strchr(text, '/') || strstr(text, "${") || strpbrk(text, "*?[") ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
	    strlen(text) > NETNS_NAME_MAX) {
		(void)parse_error(parse, node,
				  "namespace is %s, expected the name of one "
				  "namespace, without \"/\", patterns and "
				  "\"${\"",
				  QUOTE(text));
		return;
	}
	service->netns = strdup(text);
	if (!service->netns)
		(void)parse_oom(parse);
}

/* `transparent` needs a backend with an address: a connection to a path has no
 * address to connect from. */
static void parse_transparent(struct parse *parse, const struct field *fields,
			      struct service *service)
{
	const struct yaml_node *to = fields[FORWARD_TO].value;

	if (!parse_bool(parse, fields[FORWARD_TRANSPARENT].value, "transparent",
			&service->transparent) ||
	    !service->transparent || !to)
		return;
	for (size_t i = 0; i < parse_to_count(to); i++) {
		const struct yaml_node *item = parse_to_backend(to, i);

		if (item && scheme_parse(item->text, NULL) == SCHEME_UNIX)
			(void)parse_error(parse, item,
					  "to is %s, which cannot be reached "
					  "from the client's address as "
					  "\"transparent\" asks; expected an "
					  "address",
					  QUOTE(item->text));
	}
}

static void parse_limits(struct parse *parse, const struct field *fields,
			 struct service *service)
{
	uint64_t value;

	if (fields[FORWARD_CONNECT_TIMEOUT].key &&
	    parse_duration(parse, fields[FORWARD_CONNECT_TIMEOUT].value,
			   "connect_timeout", 1, CONNECT_TIMEOUT_MAX_MS,
			   &value))
		service->connect_timeout_ms = (uint32_t)value;
	if (fields[FORWARD_IDLE_TIMEOUT].key &&
	    parse_duration_or_off(parse, fields[FORWARD_IDLE_TIMEOUT].value,
				  "idle_timeout", 1, IDLE_TIMEOUT_MAX_MS,
				  &value))
		service->idle_timeout_ms = value ? (uint32_t)value
						 : SERVICE_TIMEOUT_OFF;
	if (fields[FORWARD_MAX_LIFETIME].key &&
	    parse_duration(parse, fields[FORWARD_MAX_LIFETIME].value,
			   "max_lifetime", MAX_LIFETIME_MIN_MS,
			   MAX_LIFETIME_MAX_MS, &value))
		service->max_lifetime_ms = (uint32_t)value;
	if (fields[FORWARD_DRAIN_TIMEOUT].key &&
	    parse_duration(parse, fields[FORWARD_DRAIN_TIMEOUT].value,
			   "drain_timeout", DRAIN_TIMEOUT_MIN_MS,
			   DRAIN_TIMEOUT_MAX_MS, &value))
		service->drain_timeout_ms = (uint32_t)value;
	if (fields[FORWARD_MAX_CONNECTIONS].key &&
	    parse_number(parse, fields[FORWARD_MAX_CONNECTIONS].value,
			 "max_connections", 1, UINT32_MAX, &value))
		service->max_connections = (uint32_t)value;
	if (fields[FORWARD_RATE_LIMIT].key)
		parse_rate_limits(parse, fields[FORWARD_RATE_LIMIT].value,
				  RATE_UNIT_CONNECTIONS, &service->rates,
				  &service->n_rates);
}

static void set_consumer(struct parse *parse, struct service *service,
			 const char *name)
{
	service->consumer = strdup(name);
	if (!service->consumer)
		(void)parse_oom(parse);
}

void parse_forward(struct parse *parse, const struct yaml_node *node,
		   struct service *service, struct action_nodes *ret_nodes)
{
	struct field fields[ARRAY_SIZE(forward_keys)];

	service->action = SERVICE_FORWARD;
	set_consumer(parse, service, SERVICE_RELAY);
	if (!parse_mapping(parse, node, "forward", forward_keys,
			   ARRAY_SIZE(forward_keys), fields))
		return;
	ret_nodes->to = fields[FORWARD_TO].value;
	ret_nodes->from = fields[FORWARD_FROM].value;
	ret_nodes->check = fields[FORWARD_CHECK].key;
	ret_nodes->http = fields[FORWARD_HTTP].key;
	if (fields[FORWARD_TO].key)
		parse_to(parse, fields[FORWARD_TO].value, service);
	else
		(void)parse_error(parse, node, "forward needs \"to\"");
	if (fields[FORWARD_BALANCE].key)
		parse_balance(parse, fields[FORWARD_BALANCE].value, service);
	if (fields[FORWARD_NAMESPACE].key)
		parse_netns(parse, fields[FORWARD_NAMESPACE].value, service);
	if (fields[FORWARD_PROXY_PROTOCOL].key)
		parse_proxy(parse, fields[FORWARD_PROXY_PROTOCOL].value,
			    service, ret_nodes);
	if (fields[FORWARD_TRANSPARENT].key)
		parse_transparent(parse, fields, service);
	if (fields[FORWARD_FROM].key)
		parse_from(parse, fields[FORWARD_FROM].value, service);
	if (fields[FORWARD_FROM].key && service->transparent)
		(void)parse_error(parse, fields[FORWARD_FROM].key,
				  "from beside \"transparent\", which connects "
				  "from the client's address; expected one of "
				  "the two");
	if (fields[FORWARD_CHECK].key) {
		parse_check(parse, fields[FORWARD_CHECK].value, service,
			    ret_nodes);
		parse_check_origin(parse, fields[FORWARD_CHECK].key, service);
	}
	if (fields[FORWARD_HTTP].key)
		parse_http(parse, fields[FORWARD_HTTP].value, service,
			   ret_nodes);
	parse_limits(parse, fields, service);
}

void parse_respond(struct parse *parse, const struct yaml_node *node,
		   struct service *service)
{
	set_consumer(parse, service, SERVICE_RELAY);
	service->action = SERVICE_RESPOND;
	if (node->kind != NODE_SCALAR || yaml_node_is_null(node) ||
	    !*node->text) {
		(void)parse_error(parse, node,
				  "respond is %s, expected a text, echo or "
				  "discard",
				  FOUND(node));
		return;
	}
	if (strcmp(node->text, "echo") == 0) {
		service->action = SERVICE_ECHO;
		return;
	}
	if (strcmp(node->text, "discard") == 0) {
		service->action = SERVICE_DISCARD;
		return;
	}
	if (strlen(node->text) > TEXT_MAX) {
		(void)parse_error(parse, node,
				  "respond is a text of %zu bytes, expected at "
				  "most %u",
				  strlen(node->text), TEXT_MAX);
		return;
	}
	service->text = strdup(node->text);
	if (!service->text)
		(void)parse_oom(parse);
}

void parse_handoff(struct parse *parse, const struct yaml_node *node,
		   struct service *service)
{
	const char *name;

	service->action = SERVICE_HANDOFF;
	if (parse_consumer_name(parse, node, "handoff",
				"expected another consumer, or \"forward\" or "
				"\"respond\" instead",
				&name))
		set_consumer(parse, service, name);
}
