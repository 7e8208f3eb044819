// SPDX-License-Identifier: Apache-2.0
/* config_consumers.c - the section `consumers` of berthd.yaml */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/config_parse.h"
#include "daemon/consumers/consumer_config.h"
#include "rules/suggest.h"
#include "rules/yaml_node.h"

enum consumer_key {
	CONSUMER_USER, /* these three as config_parse_access() takes them */
	CONSUMER_GROUP,
	CONSUMER_MODE,
	CONSUMER_WHEN_ABSENT,
};

static const char *const consumer_keys[] = {
	[CONSUMER_USER] = "user",
	[CONSUMER_GROUP] = "group",
	[CONSUMER_MODE] = "mode",
	[CONSUMER_WHEN_ABSENT] = "when_absent",
};

static void parse_when_absent(struct parse *parse, const struct yaml_node *node,
			      bool *ret_close)
{
	static const char *const words[] = { "hold", "close" };
	const char *near = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (node->kind == NODE_SCALAR &&
		    strcmp(node->text, words[i]) == 0) {
			*ret_close = i == 1;
			return;
		}
	}
	if (node->kind == NODE_SCALAR)
		near = suggest(node->text, words, ARRAY_SIZE(words));
	if (near)
		(void)parse_error(parse, node,
				  "when_absent is %s; did you mean \"%s\"?",
				  FOUND(node), near);
	else
		(void)parse_error(parse, node,
				  "when_absent is %s, expected hold or close",
				  FOUND(node));
}

static void parse_fields(struct parse *parse, const struct field *fields,
			 const struct accounts *accounts,
			 struct consumer_config *consumer)
{
	struct socket_access access = { .mode = consumer->mode };

	config_parse_access(parse, &fields[CONSUMER_USER], accounts, &access);
	consumer->uid = access.uid;
	consumer->gid = access.gid;
	consumer->mode = access.mode;
	if (fields[CONSUMER_WHEN_ABSENT].key)
		parse_when_absent(parse, fields[CONSUMER_WHEN_ABSENT].value,
				  &consumer->close_when_absent);
}

/* The first key of @node that is the same text as @key. */
static const struct yaml_node *first_key(const struct yaml_node *node,
					 const struct yaml_node *key)
{
	const struct yaml_node *first = node->items;

	while (first->kind != NODE_SCALAR ||
	       strcmp(first->text, key->text) != 0)
		first += 2;
	return first;
}

static void parse_consumer(struct parse *parse, const struct yaml_node *node,
			   const struct yaml_node *key,
			   const struct accounts *accounts,
			   struct config *config)
{
	struct field fields[ARRAY_SIZE(consumer_keys)];
	const struct yaml_node *value = key + 1;
	struct consumer_config *consumer =
		&config->consumers[config->n_consumers];
	const struct yaml_node *first;
	const char *name;
	char where[128];

	if (!parse_consumer_name(parse, key, "a key of consumers",
				 "relay_user says whom it runs as", &name))
		return;
	first = first_key(node, key);
	if (first != key) {
		(void)parse_error(parse, key,
				  "consumer %s stands twice, first on line %u",
				  QUOTE(name), first->line);
		return;
	}
	*consumer = (struct consumer_config){
		.name = strdup(name),
		.mode = SOCKET_MODE_PRIVATE,
	};
	if (!consumer->name) {
		(void)parse_oom(parse);
		return;
	}
	config->n_consumers++;
	(void)snprintf(where, sizeof(where), "consumer \"%s\"",
		       name); /* fits: a name has few bytes */
	if (!yaml_node_is_null(value) &&
	    parse_mapping(parse, value, where, consumer_keys,
			  ARRAY_SIZE(consumer_keys), fields))
		parse_fields(parse, fields, accounts, consumer);
}

static int compare_names(const void *a, const void *b)
{
	const struct consumer_config *x = a, *y = b;

	return strcmp(x->name, y->name);
}

bool config_parse_consumers(struct parse *parse, const struct yaml_node *node,
			    const struct accounts *accounts,
			    struct config *config)
{
	size_t n = node->n / 2, before = parse->n_errors;

	if (yaml_node_is_null(node))
		return true;
	if (node->kind != NODE_MAPPING)
		return parse_error(parse, node,
				   "consumers is %s, expected a mapping with "
				   "the name of a consumer as each key",
				   FOUND(node));
	if (n > CONSUMER_CONFIGS_MAX)
		return parse_error(parse, node,
				   "consumers has %zu entries, expected at "
				   "most %u",
				   n, CONSUMER_CONFIGS_MAX);
	config->consumers = calloc(n + 1, sizeof(*config->consumers));
	if (!config->consumers)
		return parse_oom(parse);
	for (size_t i = 0; i < n && !parse_full(parse); i++)
		parse_consumer(parse, node, &node->items[2 * i], accounts,
			       config);
	qsort(config->consumers, config->n_consumers,
	      sizeof(*config->consumers), compare_names);
	return parse->error == 0 && parse->n_errors == before;
}
