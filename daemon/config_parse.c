// SPDX-License-Identifier: Apache-2.0
/* config_parse.c - from the text of berthd.yaml to settings */
#include "daemon/config_parse.h"

#include <limits.h>
#include <string.h>

#include "common/util.h"
#include "daemon/config_internal.h"
#include "rules/suggest.h"
#include "rules/yaml_node.h"

#define PATH_EXPECTED "an absolute path"

static bool parse_path(struct parse *parse, const struct yaml_node *node,
		       const char *what, const char *expected,
		       const char **ret_path)
{
	const char *text;

	if (!parse_text(parse, node, what, expected, &text))
		return false;
	if (text[0] != '/') {
		(void)parse_error(parse, node, "%s is %s, expected %s", what,
				  FOUND(node), expected);
		return false;
	}
	if (strlen(text) >= PATH_MAX) {
		(void)parse_error(
			parse, node,
			"%s is a path of %zu bytes, expected fewer than %d",
			what, strlen(text), PATH_MAX);
		return false;
	}
	*ret_path = text;
	return true;
}

static bool parse_path_copy(struct parse *parse, const struct yaml_node *node,
			    const char *what, char **ret_path)
{
	const char *path;

	if (!parse_path(parse, node, what, PATH_EXPECTED, &path))
		return false;
	*ret_path = strdup(path);
	return *ret_path ? true : parse_oom(parse);
}

static bool parse_dirs(struct parse *parse, const struct yaml_node *node,
		       const char *what, struct config_dirs *dirs)
{
	static const char expected[] = PATH_EXPECTED " of a directory";
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, what, expected, &items);
	size_t before = parse->n_errors;

	for (size_t i = 0; i < n; i++) {
		const char *path;

		if (!parse_path(parse, &items[i], what, expected, &path))
			continue;
		if (config_dirs_add(dirs, path) < 0)
			return parse_oom(parse);
	}
	return n > 0 && parse->n_errors == before;
}

static bool parse_level(struct parse *parse, const struct yaml_node *node,
			const char *what, enum log_level *ret_level)
{
	static const char *const words[] = { "error", "warning", "info",
					     "debug" };
	const char *near = NULL;

	if (node->kind == NODE_SCALAR &&
	    log_level_parse(node->text, ret_level) == 0)
		return true;
	if (node->kind == NODE_SCALAR)
		near = suggest(node->text, words, ARRAY_SIZE(words));
	if (near)
		return parse_error(parse, node,
				   "%s is %s; did you mean \"%s\"?", what,
				   FOUND(node), near);
	return parse_error(parse, node,
			   "%s is %s, expected error, warning, info or debug",
			   what, FOUND(node));
}

static bool parse_format(struct parse *parse, const struct yaml_node *node,
			 const char *what, enum log_format *ret_format)
{
	if (node->kind == NODE_SCALAR &&
	    log_format_parse(node->text, ret_format) == 0)
		return true;
	return parse_error(parse, node,
			   "%s is %s, expected auto, text, journal or json",
			   what, FOUND(node));
}

static bool parse_relay(struct parse *parse, const struct yaml_node *node,
			const char *what, enum config_relay *ret_relay)
{
	if (node->kind == NODE_SCALAR &&
	    config_relay_parse(node->text, ret_relay) == 0)
		return true;
	return parse_error(parse, node,
			   "%s is %s, expected own (berthd starts berth-relay) "
			   "or unit (the service manager does)",
			   what, FOUND(node));
}

bool config_parse_user(struct parse *parse, const struct yaml_node *node,
		       const struct accounts *accounts, const char *what,
		       struct account *ret_account)
{
	const char *text;
	int r;

	if (!parse_text(parse, node, what, "the name or number of a user",
			&text))
		return false;
	r = accounts->user(text, ret_account);
	if (r == -ENOENT)
		return parse_error(parse, node,
				   "%s is %s: there is no such user", what,
				   QUOTE(text));
	if (r == -ERANGE)
		return parse_error(parse, node,
				   "%s is %s: no user can have this number",
				   what, QUOTE(text));
	if (r < 0)
		return parse_error(parse, node,
				   "%s is %s: cannot look this user up: %s",
				   what, QUOTE(text), strerror(-r));
	return true;
}

/* Whom berth-relay runs as has a group, too: a bare number will not do. */
static bool parse_relay_user(struct parse *parse, const struct yaml_node *node,
			     const struct accounts *accounts, const char *what,
			     char **ret_user)
{
	struct account account;

	if (!config_parse_user(parse, node, accounts, what, &account))
		return false;
	if (!account.known)
		return parse_error(parse, node,
				   "%s is %s: there is no such user", what,
				   FOUND(node));
	*ret_user = strdup(node->text);
	return *ret_user ? true : parse_oom(parse);
}

static bool parse_value(struct parse *parse, const struct yaml_node *node,
			const struct config_field *field,
			const struct accounts *accounts, struct config *config)
{
	void *target = (char *)config + field->offset;
	uint64_t *number = target;

	switch (field->kind) {
	case CONFIG_KIND_NUMBER:
		return parse_number(parse, node, field->key, field->min,
				    field->max, number);
	case CONFIG_KIND_BYTES:
		return parse_size(parse, node, field->key, field->max, number);
	case CONFIG_KIND_DURATION:
		if (!parse_duration(parse, node, field->key, field->min,
				    field->max, number))
			return false;
		*number *= USEC_PER_MSEC;
		return true;
	case CONFIG_KIND_LEVEL:
		return parse_level(parse, node, field->key, target);
	case CONFIG_KIND_FORMAT:
		return parse_format(parse, node, field->key, target);
	case CONFIG_KIND_RELAY:
		return parse_relay(parse, node, field->key, target);
	case CONFIG_KIND_USER:
		return parse_relay_user(parse, node, accounts, field->key,
					target);
	case CONFIG_KIND_PATH:
		return parse_path_copy(parse, node, field->key, target);
	case CONFIG_KIND_DIRS:
		return parse_dirs(parse, node, field->key, target);
	case CONFIG_KIND_CONSUMERS:
		return config_parse_consumers(parse, node, accounts, config);
	case CONFIG_KIND_CONTROL:
		return config_parse_control(parse, node, accounts,
					    &config->control);
	}
	return false;
}

static void parse_root(struct parse *parse, const struct yaml_node *root,
		       const struct accounts *accounts, struct config *config)
{
	const char *keys[CONFIG_SETTINGS];
	struct field fields[CONFIG_SETTINGS];

	if (yaml_node_is_null(root))
		return;
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++)
		keys[i] = config_fields[i].key;
	if (!parse_mapping(parse, root, "the file", keys, CONFIG_SETTINGS,
			   fields))
		return;
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (parse_full(parse))
			return;
		if (fields[i].key &&
		    parse_value(parse, fields[i].value, &config_fields[i],
				accounts, config))
			config->given |= UINT32_C(1) << i;
	}
}

int config_parse(const char *path, const char *text, size_t len,
		 const struct accounts *accounts, struct rules_errors *errors,
		 struct config *config)
{
	struct parse parse = { .path = path, .errors = errors };
	struct yaml_node *root;
	int r = parse_tree(&parse, text, len, &root);

	if (root)
		parse_root(&parse, root, accounts, config);
	yaml_node_free(root);
	return r < 0 ? r : parse_finish(&parse);
}
