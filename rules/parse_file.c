// SPDX-License-Identifier: Apache-2.0
/* parse_file.c - the rules of one file */
#include <string.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/rule_names.h"

#define RULE_NAME_MAX 64u /* a rule's name stands in log lines and tables */
#define NAME_EXPECTED "a name of at most 64 bytes"

enum rule_key {
	RULE_NAME,
	RULE_MATCH,
	RULE_PROVIDE,
	RULE_LISTEN,
	RULE_UNPRIVILEGED,
	RULE_LOG,
	RULE_FORWARD, /* the actions are the last three */
	RULE_RESPOND,
	RULE_HANDOFF,
};

static const char *const rule_keys[] = {
	[RULE_NAME] = "name",
	[RULE_MATCH] = "match",
	[RULE_PROVIDE] = "provide",
	[RULE_LISTEN] = "listen",
	[RULE_UNPRIVILEGED] = "unprivileged",
	[RULE_LOG] = "log",
	[RULE_FORWARD] = "forward",
	[RULE_RESPOND] = "respond",
	[RULE_HANDOFF] = "handoff",
};

static void parse_name(struct parse *parse, const struct yaml_node *node,
		       struct rule *rule)
{
	const char *text;

	rule->line = node->line;
	rule->column = node->column;
	if (!parse_text(parse, node, "name", NAME_EXPECTED, &text))
		return;
	if (strlen(text) > RULE_NAME_MAX || text[0] == ' ' ||
	    text[strlen(text) - 1] == ' ') {
		(void)parse_error(parse, node,
				  "name is %s, expected " NAME_EXPECTED
				  ", without space at its ends",
				  QUOTE(text));
		return;
	}
	rule->name = strdup(text);
	if (!rule->name)
		(void)parse_oom(parse);
}

static void parse_action(struct parse *parse, const struct field *fields,
			 struct service *service, struct action_nodes *nodes)
{
	if (fields[RULE_FORWARD].key)
		parse_forward(parse, fields[RULE_FORWARD].value, service,
			      nodes);
	else if (fields[RULE_RESPOND].key)
		parse_respond(parse, fields[RULE_RESPOND].value, service);
	else
		parse_handoff(parse, fields[RULE_HANDOFF].value, service);
}

/* A rule has exactly one of the three actions. */
static bool check_actions(struct parse *parse, const struct yaml_node *node,
			  const struct field *fields)
{
	const struct field *found = NULL;
	bool ok = true;

	for (int k = RULE_FORWARD; k <= RULE_HANDOFF; k++) {
		if (!fields[k].key)
			continue;
		if (found)
			ok = parse_error(parse, fields[k].key,
					 "a second action \"%s\" beside "
					 "\"%s\", expected exactly one",
					 rule_keys[k], found->key->text);
		else
			found = &fields[k];
	}
	if (!found)
		ok = parse_error(parse, node,
				 "a rule needs an action: forward, respond or "
				 "handoff");
	return ok;
}

/* The host's namespace is root's, whoever asks. */
static void parse_unprivileged(struct parse *parse, const struct field *field,
			       struct match *match)
{
	if (!field->key)
		return;
	if (parse_bool(parse, field->value, "unprivileged",
		       &match->unprivileged) &&
	    match->unprivileged && match->host && match->n_namespaces == 0)
		(void)parse_error(parse, field->key,
				  "unprivileged has no effect: with \"host: "
				  "true\" and no namespace only the host's own "
				  "namespace matches; add \"namespace\"");
}

/* What a handoff's consumer serves, only that consumer could log. */
static void parse_log(struct parse *parse, const struct field *fields,
		      struct service *service)
{
	const struct field *field = &fields[RULE_LOG];

	if (!field->key)
		return;
	if (field->value->kind != NODE_SCALAR || !*field->value->text ||
	    service_log_parse(field->value->text, &service->log) < 0)
		(void)parse_error(parse, field->value,
				  "log is %s, expected connections or failures",
				  FOUND(field->value));
	else if (fields[RULE_HANDOFF].key)
		(void)parse_error(parse, field->key,
				  "log has no effect with handoff: the "
				  "consumer serves the connections");
}

static void parse_rule_fields(struct parse *parse, const struct yaml_node *node,
			      const struct field *fields, struct rule *rule,
			      struct service *service)
{
	struct action_nodes nodes = { 0 };
	size_t before = parse->n_errors;

	if (fields[RULE_NAME].key)
		parse_name(parse, fields[RULE_NAME].value, rule);
	else
		(void)parse_error(parse, node, "a rule needs \"name\"");
	if (fields[RULE_MATCH].key)
		parse_match(parse, fields[RULE_MATCH].value, &rule->match);
	parse_unprivileged(parse, &fields[RULE_UNPRIVILEGED], &rule->match);
	if (fields[RULE_PROVIDE].key)
		parse_provide(parse, fields[RULE_PROVIDE].key,
			      fields[RULE_PROVIDE].value, rule);
	if (fields[RULE_LISTEN].key)
		parse_listen(parse, fields[RULE_LISTEN].value, rule);
	else
		(void)parse_error(parse, node, "a rule needs \"listen\"");
	if (fields[RULE_LISTEN].key && fields[RULE_HANDOFF].key)
		parse_clients_handoff(parse, fields[RULE_LISTEN].value);
	parse_log(parse, fields, service);
	if (check_actions(parse, node, fields))
		parse_action(parse, fields, service, &nodes);
	rule->action = service->action;
	/* A rule with a wrong part is not checked further, and after the limit
	 * of errors nothing is. */
	if (parse_full(parse) || parse->n_errors > before)
		return;
	service->rule = strdup(rule->name);
	service->file = strdup(rule->file);
	if (!service->rule || !service->file) {
		(void)parse_oom(parse);
		return;
	}
	parse_join(parse, &nodes, service, rule);
	if (parse->error == 0 && rule_make_texts(rule, service) < 0)
		(void)parse_oom(parse);
}

static void parse_rule(struct parse *parse, const struct yaml_node *node,
		       struct rule *rule)
{
	struct field fields[ARRAY_SIZE(rule_keys)];
	struct service *service;

	rule->match.scopes = RULE_SCOPES_DEFAULT;
	if (!parse_mapping(parse, node, "a rule", rule_keys,
			   ARRAY_SIZE(rule_keys), fields))
		return;
	service = service_new();
	if (!service) {
		(void)parse_oom(parse);
		return;
	}
	parse_rule_fields(parse, node, fields, rule, service);
	service_unref(service);
}

static void parse_rule_list(struct parse *parse, const struct yaml_node *node,
			    struct rule_file *file)
{
	if (yaml_node_is_null(node) || (node->kind == NODE_LIST && !node->n))
		return;
	if (node->kind != NODE_LIST) {
		(void)parse_error(parse, node,
				  "rules is %s, expected a list of rules",
				  FOUND(node));
		return;
	}
	file->rules = calloc(node->n, sizeof(*file->rules));
	if (!file->rules) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < node->n && !parse_full(parse); i++) {
		struct rule *rule = &file->rules[file->n_rules++];

		rule->file = file->path;
		parse_rule(parse, &node->items[i], rule);
	}
}

static void parse_root(struct parse *parse, const struct yaml_node *root,
		       struct rule_file *file)
{
	static const char *const keys[] = { "rules" };
	struct field fields[ARRAY_SIZE(keys)];

	if (yaml_node_is_null(root))
		return;
	if (root->kind == NODE_LIST) {
		(void)parse_error(parse, root,
				  "the file is a list, expected a mapping with "
				  "the key \"rules\" above it");
		return;
	}
	if (!parse_mapping(parse, root, "the file", keys, ARRAY_SIZE(keys),
			   fields))
		return;
	if (fields[0].key)
		parse_rule_list(parse, fields[0].value, file);
}

/* Reports the names that stand twice within the file. */
static void check_names(struct parse *parse, const struct rule_file *file)
{
	struct rule_names names = { 0 };

	for (size_t i = 0; i < file->n_rules && !parse_full(parse); i++) {
		const struct rule *rule = &file->rules[i];
		const struct yaml_node at = { .line = rule->line,
					      .column = rule->column };
		const struct rule *first;

		if (!rule->name)
			continue;
		if (rule_names_add(&names, rule, &first) < 0)
			(void)parse_oom(parse);
		else if (first)
			(void)parse_error(parse, &at,
					  "rule name %s is taken by the rule "
					  "of line %u",
					  QUOTE(rule->name), first->line);
	}
	rule_names_done(&names);
}

int parse_rules(const char *path, const char *text, size_t len,
		struct rules_errors *errors, struct rule_file **ret_file)
{
	struct parse parse = { .path = path, .errors = errors };
	struct rule_file *file = rule_file_new(path);
	struct yaml_node *root = NULL;
	int r;

	if (!file)
		return -ENOMEM;
	r = parse_tree(&parse, text, len, &root);
	if (root) {
		parse_root(&parse, root, file);
		check_names(&parse, file);
	}
	yaml_node_free(root);
	if (r == 0)
		r = parse_finish(&parse);
	if (r < 0) {
		rule_file_unref(file);
		return r;
	}
	*ret_file = file;
	return 0;
}
