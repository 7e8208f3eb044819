// SPDX-License-Identifier: Apache-2.0
/* parse_action.c - forward, respond and handoff */
#include <string.h>

#include "common/backend.h"
#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/suggest.h"
#include "rules/template.h"

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

#define BACKEND_EXPECTED \
	"a backend such as 10.0.0.1:80, tcp://[::1]:80 or unix:/run/x.sock"

enum forward_key {
	FORWARD_TO,
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

/* Parses a backend with harmless values in place of its templates. */
static int backend_sample(const char *text, uint8_t family,
			  struct backend *ret_backend, const char **ret_problem)
{
	const struct template_values values = {
		.namespace = "n",
		.ifname = "i",
		.addr = { .family = family },
		.port = UINT16_MAX,
	};
	char expanded[BACKEND_TEXT_MAX * 4];

	if (template_expand(text, &values, expanded, sizeof(expanded)) < 0) {
		*ret_problem = "something shorter";
		return -EINVAL;
	}
	return backend_parse(expanded, ret_backend, ret_problem);
}

/* Does the text begin with a scheme that backend_parse() does not know, as
 * "http://"? */
static bool has_unknown_scheme(const char *text)
{
	return strstr(text, "://") && scheme_parse(text, NULL) == SCHEME_NONE;
}

/* A name is never an address: it can only stand in a path. */
static bool check_backend(struct parse *parse, const struct yaml_node *node,
			  const char *text)
{
	char template_problem[TEMPLATE_PROBLEM_MAX];
	const char *problem = NULL;
	struct backend backend;
	int uses = template_check(text, template_problem);

	if (uses < 0)
		return parse_error(parse, node, "to is %s: %s", QUOTE(text),
				   template_problem);
	if ((uses & ~(TEMPLATE_ADDRESS | TEMPLATE_PORT)) &&
	    scheme_parse(text, NULL) != SCHEME_UNIX)
		return parse_error(
			parse, node,
			"to is %s: %s are names, expected them in a "
			"\"unix:\" path only",
			QUOTE(text),
			uses & (TEMPLATE_OF_CONTAINER |
				TEMPLATE_NAMESPACE_GROUP)
				? "what is of a container, and groups,"
				: "${namespace} and ${interface}");
	if (has_unknown_scheme(text))
		return parse_error(parse, node,
				   "to is %s, expected tcp://, udp://, sctp:// "
				   "or unix: in front, or no scheme",
				   QUOTE(text));
	if (backend_sample(text, AF_INET, &backend, &problem) < 0 &&
	    backend_sample(text, AF_INET6, &backend, &problem) < 0)
		return parse_error(parse, node, "to is %s, expected %s",
				   QUOTE(text), problem);
	return true;
}

static void parse_to(struct parse *parse, const struct yaml_node *node,
		     struct service *service)
{
	const struct yaml_node *items;
	const char *text;
	size_t n = parse_items(parse, node, "to", BACKEND_EXPECTED, &items);

	if (n > SERVICE_BACKENDS_MAX) {
		(void)parse_error(parse, node,
				  "to is a list of %zu, expected at most %u "
				  "backends",
				  n, SERVICE_BACKENDS_MAX);
		return;
	}
	service->to = calloc(n ? n : 1, sizeof(*service->to));
	if (!service->to) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		if (!parse_text(parse, &items[i], "to", BACKEND_EXPECTED,
				&text) ||
		    !check_backend(parse, &items[i], text))
			continue;
		service->to[service->n_to] = strdup(text);
		if (!service->to[service->n_to])
			(void)parse_oom(parse);
		else
			service->n_to++;
	}
}

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
	bool list;

	if (!parse_bool(parse, fields[FORWARD_TRANSPARENT].value, "transparent",
			&service->transparent) ||
	    !service->transparent || !to)
		return;
	list = to->kind == NODE_LIST;
	for (size_t i = 0; i < (list ? to->n : 1); i++) {
		const struct yaml_node *item = list ? &to->items[i] : to;

		if (item->kind == NODE_SCALAR &&
		    scheme_parse(item->text, NULL) == SCHEME_UNIX)
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
		parse_check(parse, fields[FORWARD_CHECK].value, service);
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
