// SPDX-License-Identifier: Apache-2.0
/* parse_match.c - the match section of a rule */
#include <string.h>

#include "common/util.h"
#include "rules/match.h"
#include "rules/parse_rule.h"
#include "rules/suggest.h"

enum match_key {
	MATCH_NAMESPACE,
	MATCH_DIRECTORY,
	MATCH_HOST,
	MATCH_INTERFACE,
	MATCH_ADDRESS,
	MATCH_FAMILY,
	MATCH_SCOPE,
	MATCH_CONTAINER,
	MATCH_POD_NAMESPACE,
	MATCH_LABELS,
	MATCH_UNLESS_LABELS,
	MATCH_AFTER,
};

#define AFTER_MAX_MS (UINT64_C(24) * 3600 * 1000)

static const char *const match_keys[] = {
	[MATCH_NAMESPACE] = "namespace",
	[MATCH_DIRECTORY] = "directory",
	[MATCH_HOST] = "host",
	[MATCH_INTERFACE] = "interface",
	[MATCH_ADDRESS] = "address",
	[MATCH_FAMILY] = "family",
	[MATCH_SCOPE] = "scope",
	[MATCH_CONTAINER] = "container",
	[MATCH_POD_NAMESPACE] = "pod_namespace",
	[MATCH_LABELS] = "labels",
	[MATCH_UNLESS_LABELS] = "unless_labels",
	[MATCH_AFTER] = "after",
};

static void parse_patterns(struct parse *parse, const struct yaml_node *node,
			   const char *what, struct pattern **ret_patterns,
			   size_t *ret_n)
{
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, what, "a pattern", &items);
	struct pattern *patterns = calloc(n ? n : 1, sizeof(*patterns));
	char problem[PATTERN_PROBLEM_MAX];
	bool positive = false;
	const char *text;
	int r;

	if (!patterns) {
		(void)parse_oom(parse);
		return;
	}
	*ret_patterns = patterns;
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		if (!parse_text(parse, &items[i], what, "a pattern", &text))
			continue;
		positive |= text[0] != '!';
		r = pattern_parse(text, &patterns[*ret_n], problem);
		if (r == -EINVAL)
			(void)parse_error(parse, &items[i], "%s pattern %s: %s",
					  what, QUOTE(text), problem);
		else if (r < 0)
			(void)parse_oom(parse);
		else
			(*ret_n)++;
	}
	if (*ret_n == n && n > 0 && !positive)
		(void)parse_error(parse, node,
				  "%s has only \"!\" patterns, which match "
				  "nothing; add \"*\" in front",
				  what);
}

/* What is wrong with the path of a directory, or NULL. */
static const char *dir_problem(const char *dir)
{
	if (dir[0] != '/')
		return "expected an absolute path";
	if (strstr(dir, "/../") || strstr(dir, "/./") || strstr(dir, "//"))
		return "expected a path without \"..\", \".\" and \"//\"";
	if (strpbrk(dir, "*?["))
		return "expected a path; patterns have no meaning here";
	return NULL;
}

static void parse_dirs(struct parse *parse, const struct yaml_node *node,
		       struct match *match)
{
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, "directory", "a path", &items);
	const char *text, *problem;

	match->dirs = calloc(n ? n : 1, sizeof(*match->dirs));
	if (!match->dirs) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		size_t len;

		if (!parse_text(parse, &items[i], "directory", "a path", &text))
			continue;
		problem = dir_problem(text);
		if (problem) {
			(void)parse_error(parse, &items[i],
					  "directory is %s, %s", QUOTE(text),
					  problem);
			continue;
		}
		len = strlen(text);
		if (len > 1 && text[len - 1] == '/')
			len--;
		match->dirs[match->n_dirs] = strndup(text, len);
		if (!match->dirs[match->n_dirs])
			(void)parse_oom(parse);
		else
			match->n_dirs++;
	}
}

static void parse_address_patterns(struct parse *parse,
				   const struct yaml_node *node,
				   struct match *match)
{
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, "address", "an address or a CIDR",
			       &items);
	bool positive = false;

	match->addresses = calloc(n ? n : 1, sizeof(*match->addresses));
	if (!match->addresses) {
		(void)parse_oom(parse);
		return;
	}
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		struct address_pattern *pattern =
			&match->addresses[match->n_addresses];

		if (!parse_address_pattern(parse, &items[i], "address",
					   pattern))
			continue;
		positive |= !pattern->negated;
		match->n_addresses++;
	}
	if (match->n_addresses == n && n > 0 && !positive)
		(void)parse_error(parse, node,
				  "address has only \"!\" entries, which match "
				  "nothing; add \"0.0.0.0/0\" or \"::/0\" in "
				  "front");
}

static void parse_family(struct parse *parse, const struct yaml_node *node,
			 struct match *match)
{
	static const char *const names[] = { "ipv4", "ipv6" };
	const char *text, *near;

	if (!parse_text(parse, node, "family", "ipv4 or ipv6", &text))
		return;
	if (strcmp(text, names[0]) == 0) {
		match->family = AF_INET;
	} else if (strcmp(text, names[1]) == 0) {
		match->family = AF_INET6;
	} else {
		near = suggest(text, names, ARRAY_SIZE(names));
		(void)parse_error(parse, node,
				  "family is %s, expected ipv4 or ipv6%s%s%s",
				  QUOTE(text), near ? "; did you mean \"" : "",
				  near ? near : "", near ? "\"?" : "");
	}
}

static void parse_scope(struct parse *parse, const struct yaml_node *node,
			struct match *match)
{
	/* In the order of the RULE_SCOPE_* bits. */
	static const char *const names[] = { "global", "link", "host" };
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, "scope", "global, link or host",
			       &items);
	const char *text, *near;

	match->scopes = 0;
	for (size_t i = 0; i < n && !parse_full(parse); i++) {
		size_t k = 0;

		if (!parse_text(parse, &items[i], "scope",
				"global, link or host", &text))
			continue;
		while (k < ARRAY_SIZE(names) && strcmp(text, names[k]) != 0)
			k++;
		if (k < ARRAY_SIZE(names)) {
			match->scopes |= (uint8_t)(1u << k);
			continue;
		}
		near = suggest(text, names, ARRAY_SIZE(names));
		(void)parse_error(
			parse, &items[i],
			"scope is %s, expected global, link or host%s%s%s",
			QUOTE(text), near ? "; did you mean \"" : "",
			near ? near : "", near ? "\"?" : "");
	}
}

static void parse_address_conditions(struct parse *parse,
				     const struct field *fields,
				     struct match *match)
{
	if (fields[MATCH_INTERFACE].key)
		parse_patterns(parse, fields[MATCH_INTERFACE].value,
			       "interface", &match->interfaces,
			       &match->n_interfaces);
	if (fields[MATCH_ADDRESS].key)
		parse_address_patterns(parse, fields[MATCH_ADDRESS].value,
				       match);
	if (fields[MATCH_FAMILY].key)
		parse_family(parse, fields[MATCH_FAMILY].value, match);
	if (fields[MATCH_SCOPE].key)
		parse_scope(parse, fields[MATCH_SCOPE].value, match);
	match->on_addresses =
		fields[MATCH_INTERFACE].key || fields[MATCH_ADDRESS].key ||
		fields[MATCH_FAMILY].key || fields[MATCH_SCOPE].key;
}

#define LABELS_EXPECTED \
	"a selector such as \"app=web, !canary\", or a mapping of labels"

/* Where in the file @offset bytes into the text of @node are. It is exact for
 * a text in one line without escapes. */
static struct yaml_node node_at(const struct yaml_node *node, size_t offset)
{
	struct yaml_node at = { .line = node->line, .column = node->column };

	at.column += (unsigned int)offset + (node->plain ? 0 : 1);
	return at;
}

static void parse_selector(struct parse *parse, const struct yaml_node *node,
			   const char *what, struct selector *selector)
{
	struct selector_problem problem = { 0 };
	struct yaml_node at;
	int r = selector_parse(node->text, selector, &problem);

	if (r == -ENOMEM)
		(void)parse_oom(parse);
	if (r != -EINVAL)
		return;
	at = node_at(node, problem.offset);
	(void)parse_error(parse, &at, "%s: %s", what, problem.message);
}

static void parse_label(struct parse *parse, const struct yaml_node *key,
			const char *what, struct selector *selector)
{
	const struct yaml_node *value = key + 1;
	int r;

	if (key->kind != NODE_SCALAR || !*key->text) {
		(void)parse_error(parse, key,
				  "%s as a key in %s, expected the key of "
				  "a label",
				  FOUND(key), what);
		return;
	}
	if (value->kind != NODE_SCALAR || yaml_node_is_null(value)) {
		(void)parse_error(parse, value,
				  "label %s is %s, expected its value",
				  QUOTE(key->text), FOUND(value));
		return;
	}
	for (size_t i = 0; i < selector->n; i++) {
		if (strcmp(selector->list[i].key, key->text) != 0)
			continue;
		(void)parse_error(parse, key, "label %s stands twice in %s",
				  QUOTE(key->text), what);
		return;
	}
	r = selector_add_equal(selector, key->text, value->text);
	if (r == -E2BIG)
		(void)parse_error(parse, key, "%s has more than %u labels",
				  what, SELECTOR_REQUIREMENTS_MAX);
	else if (r < 0)
		(void)parse_oom(parse);
}

/* @what: "labels" or "unless_labels" */
static void parse_labels(struct parse *parse, const struct yaml_node *node,
			 const char *what, struct selector *selector)
{
	if (node->kind == NODE_SCALAR && !yaml_node_is_null(node)) {
		parse_selector(parse, node, what, selector);
		return;
	}
	if (node->kind != NODE_MAPPING || node->n == 0) {
		(void)parse_error(parse, node, "%s is %s, expected %s", what,
				  node->kind == NODE_MAPPING
					  ? "an empty mapping"
					  : FOUND(node),
				  LABELS_EXPECTED);
		return;
	}
	for (size_t i = 0; i + 1 < node->n && !parse_full(parse); i += 2)
		parse_label(parse, &node->items[i], what, selector);
}

static void parse_container_conditions(struct parse *parse,
				       const struct field *fields,
				       struct match *match)
{
	if (fields[MATCH_CONTAINER].key)
		parse_patterns(parse, fields[MATCH_CONTAINER].value,
			       "container", &match->containers,
			       &match->n_containers);
	if (fields[MATCH_POD_NAMESPACE].key)
		parse_patterns(parse, fields[MATCH_POD_NAMESPACE].value,
			       "pod_namespace", &match->pod_namespaces,
			       &match->n_pod_namespaces);
	if (fields[MATCH_LABELS].key)
		parse_labels(parse, fields[MATCH_LABELS].value, "labels",
			     &match->labels);
	if (fields[MATCH_UNLESS_LABELS].key)
		parse_labels(parse, fields[MATCH_UNLESS_LABELS].value,
			     "unless_labels", &match->unless_labels);
	match->ignores_skip = selector_names(&match->labels, MATCH_SKIP_LABEL);
	match->on_containers = fields[MATCH_CONTAINER].key ||
			       fields[MATCH_POD_NAMESPACE].key ||
			       fields[MATCH_LABELS].key;
}

void parse_match(struct parse *parse, const struct yaml_node *node,
		 struct match *match)
{
	struct field fields[ARRAY_SIZE(match_keys)];
	uint64_t after_ms;

	if (!parse_mapping(parse, node, "match", match_keys,
			   ARRAY_SIZE(match_keys), fields))
		return;
	if (fields[MATCH_NAMESPACE].key)
		parse_patterns(parse, fields[MATCH_NAMESPACE].value,
			       "namespace", &match->namespaces,
			       &match->n_namespaces);
	if (fields[MATCH_DIRECTORY].key)
		parse_dirs(parse, fields[MATCH_DIRECTORY].value, match);
	if (fields[MATCH_HOST].key)
		(void)parse_bool(parse, fields[MATCH_HOST].value, "host",
				 &match->host);
	parse_address_conditions(parse, fields, match);
	parse_container_conditions(parse, fields, match);
	if (fields[MATCH_AFTER].key &&
	    parse_duration(parse, fields[MATCH_AFTER].value, "after", 1,
			   AFTER_MAX_MS, &after_ms))
		match->after_ms = (uint32_t)after_ms;
	if (match->host && fields[MATCH_DIRECTORY].key &&
	    !fields[MATCH_NAMESPACE].key)
		(void)parse_error(
			parse, fields[MATCH_DIRECTORY].key,
			"directory has no effect: with \"host: true\" "
			"and no namespace only the host's own "
			"namespace matches; add \"namespace\"");
}
