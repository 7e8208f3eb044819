// SPDX-License-Identifier: Apache-2.0
/* parse_to.c - forward: to and balance, the backends and how one is chosen */
#include <string.h>

#include "common/backend.h"
#include "common/protocol.h"
#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/template.h"

#define BACKEND_EXPECTED \
	"a backend such as 10.0.0.1:80, tcp://[::1]:80 or unix:/run/x.sock"

enum to_key {
	TO_BACKEND,
	TO_WEIGHT,
};

static const char *const to_keys[] = {
	[TO_BACKEND] = "backend",
	[TO_WEIGHT] = "weight",
};

size_t parse_to_count(const struct yaml_node *to)
{
	return to->kind == NODE_LIST ? to->n : 1;
}

const struct yaml_node *parse_to_backend(const struct yaml_node *to, size_t i)
{
	const struct yaml_node *item = to->kind == NODE_LIST ? &to->items[i]
							     : to;
	const struct yaml_node *backend = item;

	/* The keys stand before their values. */
	for (size_t k = 0; item->kind == NODE_MAPPING && k < item->n; k += 2) {
		if (item->items[k].kind == NODE_SCALAR &&
		    strcmp(item->items[k].text, to_keys[TO_BACKEND]) == 0)
			backend = &item->items[k + 1];
	}
	return backend->kind == NODE_SCALAR ? backend : NULL;
}

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

/* Reads an element that has a weight. Return: where its backend stands; NULL
 * after a report. */
static const struct yaml_node *parse_weighted(struct parse *parse,
					      const struct yaml_node *node,
					      uint16_t *ret_weight)
{
	struct field fields[ARRAY_SIZE(to_keys)];
	uint64_t weight = SERVICE_WEIGHT_DEFAULT;

	if (!parse_mapping(parse, node, "an element of to", to_keys,
			   ARRAY_SIZE(to_keys), fields))
		return NULL;
	if (!fields[TO_BACKEND].key) {
		(void)parse_error(parse, node,
				  "an element of to needs \"backend\"");
		return NULL;
	}
	if (fields[TO_WEIGHT].key &&
	    !parse_number(parse, fields[TO_WEIGHT].value, "weight", 0,
			  SERVICE_WEIGHT_MAX, &weight))
		return NULL;
	*ret_weight = (uint16_t)weight;
	return fields[TO_BACKEND].value;
}

/* Adds the backend of @node, an element of `to`. */
static void add_backend(struct parse *parse, const struct yaml_node *node,
			struct service *service)
{
	uint16_t *weight = &service->weights[service->n_to];
	const char *text;

	*weight = SERVICE_WEIGHT_DEFAULT;
	if (node->kind == NODE_MAPPING)
		node = parse_weighted(parse, node, weight);
	if (!node || !parse_text(parse, node, "to", BACKEND_EXPECTED, &text) ||
	    !check_backend(parse, node, text))
		return;
	service->to[service->n_to] = strdup(text);
	if (!service->to[service->n_to])
		(void)parse_oom(parse);
	else
		service->n_to++;
}

/* Is there a backend that gets clients? Nobody knows if one of the @n elements
 * was refused. Forgets weights that are all as without any. */
static void check_weights(struct parse *parse, const struct yaml_node *node,
			  size_t n, struct service *service)
{
	bool plain = true, some = service->n_to == 0 || service->n_to < n;

	for (size_t i = 0; i < service->n_to; i++) {
		plain &= service->weights[i] == SERVICE_WEIGHT_DEFAULT;
		some |= service->weights[i] > 0;
	}
	if (!some)
		(void)parse_error(parse, node,
				  "to has weight 0 for every backend, so that "
				  "clients would have none; expected another "
				  "weight for one at least");
	if (!plain)
		return;
	free(service->weights);
	service->weights = NULL;
}

void parse_to(struct parse *parse, const struct yaml_node *node,
	      struct service *service)
{
	const struct yaml_node *items = node;
	size_t n = 1;

	if (node->kind != NODE_MAPPING)
		n = parse_items(parse, node, "to", BACKEND_EXPECTED, &items);
	if (n > SERVICE_BACKENDS_MAX) {
		(void)parse_error(parse, node,
				  "to is a list of %zu, expected at most %u "
				  "backends",
				  n, SERVICE_BACKENDS_MAX);
		return;
	}
	service->to = calloc(n ? n : 1, sizeof(*service->to));
	service->weights = calloc(n ? n : 1, sizeof(*service->weights));
	if (!service->to || !service->weights) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		add_backend(parse, &items[i], service);
	check_weights(parse, node, n, service);
}

void parse_balance(struct parse *parse, const struct yaml_node *node,
		   struct service *service)
{
	if (node->kind != NODE_SCALAR ||
	    service_balance_parse(node->text, &service->balance) < 0)
		(void)parse_error(parse, node,
				  "balance is %s, expected round-robin, "
				  "least-connections or hash",
				  FOUND(node));
}
