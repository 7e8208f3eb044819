// SPDX-License-Identifier: Apache-2.0
/* parse.c - what all files share that people write: errors, keys, lists */
#include "rules/parse.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "common/util.h"
#include "rules/suggest.h"

#define KEYS_TEXT_MAX 256

const char *quote_text(const char *text, char *buffer)
{
	/* Room for the last character, "…" and the quote. */
	const size_t room = QUOTE_MAX - 10;
	size_t used = 0;

	buffer[used++] = '"';
	for (; *text && used < room; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n' || c == '\t') {
			buffer[used++] = '\\';
			buffer[used++] = c == '\n' ? 'n' : 't';
		} else if (c < 0x20 || c == 0x7f) {
			used += (size_t)snprintf(buffer + used,
						 QUOTE_MAX - used, "\\x%02x",
						 c); /* fits: see room */
		} else if (c == 0xc2 && (unsigned char)text[1] < 0xa0) {
			/* U+0080 to U+009F: control characters as well. */
			used += (size_t)snprintf(buffer + used,
						 QUOTE_MAX - used, "\\x%02x",
						 (unsigned char)*++text);
		} else {
			buffer[used++] = (char)c;
		}
	}
	/* A character of several bytes is not cut in two. */
	while (*text && ((unsigned char)*text & 0xc0) == 0x80) {
		used--;
		text--;
	}
	(void)snprintf(buffer + used, QUOTE_MAX - used, "%s\"",
		       *text ? "…" : ""); /* fits: see room */
	return buffer;
}

const char *node_found(const struct yaml_node *node, char *buffer)
{
	if (node->kind == NODE_LIST)
		return node->n ? "a list" : "an empty list";
	if (node->kind == NODE_MAPPING)
		return "a mapping";
	if (yaml_node_is_null(node))
		return "nothing";
	return quote_text(node->text, buffer);
}

int rules_errors_add(struct rules_errors *errors, const char *path,
		     unsigned int line, unsigned int column,
		     const char *message)
{
	struct rules_error error = { .line = line, .column = column };
	struct rules_error *list;

	list = realloc(errors->list, (errors->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	errors->list = list;
	error.file = strdup(path);
	error.message = strdup(message);
	if (!error.file || !error.message) {
		free(error.file);
		free(error.message);
		return -ENOMEM;
	}
	errors->list[errors->n++] = error;
	return 0;
}

void rules_errors_done(struct rules_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		free(errors->list[i].file);
		free(errors->list[i].message);
	}
	free(TAKE_PTR(errors->list));
	errors->n = 0;
}

bool rules_errors_equal(const struct rules_errors *a,
			const struct rules_errors *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct rules_error *ea = &a->list[i], *eb = &b->list[i];

		if (ea->line != eb->line || ea->column != eb->column ||
		    strcmp(ea->file, eb->file) != 0 ||
		    strcmp(ea->message, eb->message) != 0)
			return false;
	}
	return true;
}

char *rules_error_fmt(const struct rules_error *error)
{
	char *text;
	int n;

	if (error->line == 0)
		n = asprintf(&text, "%s: %s", error->file, error->message);
	else
		n = asprintf(&text, "%s:%u:%u: %s", error->file, error->line,
			     error->column, error->message);
	return n < 0 ? NULL : text;
}

bool parse_oom(struct parse *parse)
{
	parse->error = -ENOMEM;
	return false;
}

bool parse_full(const struct parse *parse)
{
	return parse->error < 0 || parse->n_errors >= RULES_ERRORS_MAX;
}

bool parse_error(struct parse *parse, const struct yaml_node *node,
		 const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list args;
	int n;

	if (parse_full(parse))
		return false;
	va_start(args, fmt);
	n = vasprintf(&message, fmt, args);
	va_end(args);
	if (n < 0) {
		message = NULL;
		return parse_oom(parse);
	}
	parse->n_errors++;
	if (rules_errors_add(parse->errors, parse->path, node->line,
			     node->column, message) < 0)
		return parse_oom(parse);
	return false;
}

/* Lists the keys in one text: "a, b, c". */
static const char *keys_text(const char *const *keys, size_t n, char *buffer)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		used += (size_t)snprintf(buffer + used, KEYS_TEXT_MAX - used,
					 "%s%s", i ? ", " : "", keys[i]);
		assert(used < KEYS_TEXT_MAX); /* they are our own words */
	}
	return buffer;
}

static bool unknown_key(struct parse *parse, const struct yaml_node *key,
			const char *where, const char *const *keys, size_t n)
{
	char buffer[KEYS_TEXT_MAX];
	const char *near;

	if (key->kind != NODE_SCALAR)
		return parse_error(parse, key,
				   "%s as a key in %s, expected one of: %s",
				   FOUND(key), where,
				   keys_text(keys, n, buffer));
	near = suggest(key->text, keys, n);
	if (near)
		return parse_error(parse, key,
				   "unknown key %s in %s; did you mean \"%s\"?",
				   QUOTE(key->text), where, near);
	return parse_error(parse, key,
			   "unknown key %s in %s, expected one of: %s",
			   QUOTE(key->text), where, keys_text(keys, n, buffer));
}

bool parse_mapping(struct parse *parse, const struct yaml_node *node,
		   const char *where, const char *const *keys, size_t n,
		   struct field *ret_fields)
{
	char buffer[KEYS_TEXT_MAX];

	for (size_t k = 0; k < n; k++)
		ret_fields[k] = (struct field){ 0 };
	if (node->kind != NODE_MAPPING)
		return parse_error(
			parse, node,
			"%s is %s, expected a mapping with the keys: %s", where,
			FOUND(node), keys_text(keys, n, buffer));
	for (size_t i = 0; i + 1 < node->n && !parse_full(parse); i += 2) {
		const struct yaml_node *key = &node->items[i];
		size_t k = 0;

		while (k < n && (key->kind != NODE_SCALAR ||
				 strcmp(key->text, keys[k]) != 0))
			k++;
		if (k == n)
			(void)unknown_key(parse, key, where, keys, n);
		else if (ret_fields[k].key)
			(void)parse_error(parse, key,
					  "key \"%s\" stands twice in %s, "
					  "first on line %u",
					  keys[k], where,
					  ret_fields[k].key->line);
		else
			ret_fields[k] = (struct field){ key, key + 1 };
	}
	return true;
}

size_t parse_items(struct parse *parse, const struct yaml_node *node,
		   const char *what, const char *expected,
		   const struct yaml_node **ret_items)
{
	if (node->kind == NODE_LIST && node->n > 0) {
		*ret_items = node->items;
		return node->n;
	}
	if (node->kind == NODE_SCALAR && !yaml_node_is_null(node)) {
		*ret_items = node;
		return 1;
	}
	(void)parse_error(parse, node,
			  "%s is %s, expected %s or a list of these", what,
			  FOUND(node), expected);
	return 0;
}

int parse_tree(struct parse *parse, const char *text, size_t len,
	       struct yaml_node **ret_root)
{
	struct yaml_problem problem;
	struct yaml_node *root = NULL;
	int r;

	*ret_root = NULL;
	r = yaml_read(text, len, &root, &problem);
	if (r == -EINVAL) {
		const struct yaml_node at = { .line = problem.line,
					      .column = problem.column };

		(void)parse_error(parse, &at, "%s", problem.message);
		return parse->error;
	}
	if (r < 0)
		return r;
	*ret_root = root;
	return 0;
}

/* They are few, and those of one place stay as they were found. */
static void sort_errors(const struct parse *parse)
{
	size_t first = parse->errors->n - parse->n_errors;
	struct rules_error *list = parse->errors->list;

	for (size_t i = first + 1; i < parse->errors->n; i++) {
		struct rules_error error = list[i];
		size_t k = i;

		for (; k > first && (list[k - 1].line > error.line ||
				     (list[k - 1].line == error.line &&
				      list[k - 1].column > error.column));
		     k--)
			list[k] = list[k - 1];
		list[k] = error;
	}
}

int parse_finish(struct parse *parse)
{
	if (parse->error < 0)
		return parse->error;
	if (parse->n_errors == 0)
		return 0;
	sort_errors(parse);
	return -EINVAL;
}
