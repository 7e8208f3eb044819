// SPDX-License-Identifier: Apache-2.0
/* show.c - lists of namespaces and rules for people */
#include "ctl/show.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

/* How many of a list stand in a cell; --json has them all. */
#define LIST_SHOWN 4

const char *show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

json_int_t show_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool show_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* Sorts the elements of @array for people. The caller frees the result. */
static const json_t **sorted(const json_t *array,
			     int (*compare)(const void *a, const void *b))
{
	size_t n = json_array_size(array), i;
	const json_t **list = calloc(n + 1, sizeof(list[0]));
	json_t *element;

	if (!list)
		return NULL;
	json_array_foreach (array, i, element)
		list[i] = element;
	qsort(list, n, sizeof(list[0]), compare);
	return list;
}

static const char *namespace_name(const json_t *namespace)
{
	const json_t *names = json_object_get(namespace, "names");

	return show_text(json_array_get(names, 0), "name");
}

/* The host's namespace comes first, then by name, blue2 before blue10. */
static int compare_namespaces(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int host = show_flag(*y, "host") - show_flag(*x, "host");

	return host ? host : strverscmp(namespace_name(*x), namespace_name(*y));
}

/* Writes all names into one cell; there may be any number of them. */
static char *namespace_names(const json_t *namespace)
{
	const json_t *names = json_object_get(namespace, "names");
	char *text = NULL;
	json_t *name;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (show_flag(namespace, "host"))
		(void)fputs("host", f);
	json_array_foreach (names, i, name)
		(void)fprintf(f, "%s%s",
			      i > 0 || show_flag(namespace, "host") ? " " : "",
			      show_text(name, "name"));
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Writes the first elements of an array into one cell; @key: the member of each
 * that is shown, or NULL for strings. Return: the text, the caller's; NULL: out
 * of memory. */
static char *list_cell(const json_t *array, const char *key,
		       const char *separator)
{
	size_t n = json_array_size(array), size;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < n && i < LIST_SHOWN; i++) {
		const json_t *element = json_array_get(array, i);

		(void)fprintf(f, "%s%s", i > 0 ? separator : "",
			      key ? show_text(element, key)
				  : json_string_value(element));
	}
	if (n > LIST_SHOWN)
		(void)fprintf(f, " and %zu more", n - LIST_SHOWN);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static char *namespace_addresses(const json_t *namespace)
{
	const json_t *addresses = json_object_get(namespace, "addresses");
	json_int_t omitted = show_number(namespace, "addresses_omitted");
	size_t n = json_array_size(addresses), size;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < n && i < LIST_SHOWN; i++) {
		const json_t *address = json_array_get(addresses, i);

		(void)fprintf(f, "%s%s/%" JSON_INTEGER_FORMAT "%s",
			      i > 0 ? " " : "", show_text(address, "address"),
			      show_number(address, "prefix"),
			      show_flag(address, "usable") ? ""
							   : " (unusable)");
	}
	if (n > LIST_SHOWN)
		(void)fprintf(f, " and %zu more", n - LIST_SHOWN);
	if (omitted > 0)
		(void)fprintf(f, ", %" JSON_INTEGER_FORMAT " above the limit",
			      omitted);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void show_cell_number(struct table *table, json_int_t number)
{
	table_number(table, (int64_t)number);
}

void show_cell_unless_zero(struct table *table, json_int_t number)
{
	if (number)
		show_cell_number(table, number);
	else
		table_text(table, "");
}

static void namespace_row(struct table *table, const json_t *namespace)
{
	_cleanup_free_ char *names = namespace_names(namespace);
	_cleanup_free_ char *addresses = namespace_addresses(namespace);
	_cleanup_free_ char *containers = list_cell(
		json_object_get(namespace, "containers"), "name", " ");
	_cleanup_free_ char *provided =
		list_cell(json_object_get(namespace, "provided"), NULL, ", ");
	const json_t *counts = json_object_get(namespace, "listeners");
	const json_t *nsid = json_object_get(namespace, "nsid");

	table_text(table, names ? names : "?");
	table_cell(table, "%" PRIu64, (uint64_t)show_number(namespace, "id"));
	if (json_is_integer(nsid))
		show_cell_number(table, json_integer_value(nsid));
	else
		table_text(table, "-");
	show_cell_number(table, show_number(counts, "open"));
	show_cell_number(table, show_number(counts, "waiting"));
	show_cell_unless_zero(table, show_number(counts, "refused"));
	show_cell_unless_zero(table,
			      show_number(namespace, "listeners_omitted"));
	table_text(table, containers ? containers : "?");
	table_text(table, addresses ? addresses : "?");
	table_text(table, provided ? provided : "?");
}

static int show_present(const json_t *array)
{
	static const struct table_column columns[] = {
		{ .name = "NAMESPACE" },
		{ .name = "ID", .right = true },
		{ .name = "NSID", .right = true },
		{ .name = "LISTENING", .right = true },
		{ .name = "WAITING", .right = true },
		{ .name = "REFUSED", .right = true, .optional = true },
		{ .name = "OMITTED", .right = true, .optional = true },
		{ .name = "CONTAINERS", .optional = true },
		{ .name = "ADDRESSES", .optional = true },
		{ .name = "PROVIDED", .optional = true },
	};
	_cleanup_free_ const json_t **list = sorted(array, compare_namespaces);
	struct table *table = table_new(columns, ARRAY_SIZE(columns));

	if (!list) {
		table_free(table);
		return -ENOMEM;
	}
	for (size_t i = 0; list[i]; i++)
		namespace_row(table, list[i]);
	return table_print(table, stdout);
}

int show_pending(const json_t *pending)
{
	static const struct table_column columns[] = {
		{ .name = "PENDING NAME" },
		{ .name = "FOR", .right = true },
		{ .name = "ERROR", .optional = true },
		{ .name = "REASON" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	char duration[TEXT_DURATION_MAX];
	json_t *name;
	size_t i;

	json_array_foreach (pending, i, name) {
		table_cell(table, "%s/%s", show_text(name, "directory"),
			   show_text(name, "name"));
		table_text(table, text_duration(show_number(name, "since_us"),
						duration));
		table_text(table, show_text(name, "error"));
		table_text(table, show_text(name, "reason"));
	}
	return table_print(table, stdout);
}

static int show_pending_containers(const json_t *containers)
{
	static const struct table_column columns[] = {
		{ .name = "CONTAINER WITHOUT NAMESPACE" },
		{ .name = "ERROR", .optional = true },
		{ .name = "REASON" },
		{ .name = "PATH" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *container;
	size_t i;

	json_array_foreach (containers, i, container) {
		table_text(table, show_text(container, "name"));
		table_text(table, show_text(container, "error"));
		table_text(table, show_text(container, "reason"));
		table_text(table, show_text(container, "path"));
	}
	return table_print(table, stdout);
}

int show_namespaces(const json_t *reply)
{
	const json_t *containers = json_object_get(reply, "pending_containers");
	const json_t *pending = json_object_get(reply, "pending");
	const json_t *lingering = json_object_get(reply, "lingering");
	int r = show_present(json_object_get(reply, "namespaces"));

	if (r == 0 && json_array_size(pending) > 0) {
		(void)putchar('\n');
		r = show_pending(pending);
	}
	if (r == 0 && json_array_size(containers) > 0) {
		(void)putchar('\n');
		r = show_pending_containers(containers);
	}
	if (r == 0 && json_array_size(lingering) > 0) {
		(void)putchar('\n');
		r = show_lingering(lingering);
	}
	return r;
}

static void rule_row(struct table *table, const json_t *rule)
{
	const json_t *counts = json_object_get(rule, "listeners");
	const char *action = show_text(rule, "action");
	const char *serve = show_text(rule, "serve");

	if (strcmp(action, serve) == 0)
		serve = ""; /* of an action that has no more to say */
	table_text(table, show_text(rule, "name"));
	table_text(table, show_text(rule, "match"));
	table_text(table, show_text(rule, "listen"));
	table_cell(table, "%s%s%s", action, *serve ? " " : "", serve);
	table_text(table, show_text(rule, "provide"));
	show_cell_number(table, show_number(counts, "open"));
	show_cell_unless_zero(table, show_number(counts, "waiting"));
	show_cell_unless_zero(table, show_number(counts, "refused"));
	table_cell(table, "%s:%" JSON_INTEGER_FORMAT, show_text(rule, "file"),
		   show_number(rule, "line"));
}

int show_rules(const json_t *reply)
{
	static const struct table_column columns[] = {
		{ .name = "RULE" },
		{ .name = "MATCH" },
		{ .name = "LISTEN" },
		{ .name = "ACTION" },
		{ .name = "PROVIDES", .optional = true },
		{ .name = "LISTENING", .right = true },
		{ .name = "WAITING", .right = true, .optional = true },
		{ .name = "REFUSED", .right = true, .optional = true },
		{ .name = "FILE" },
	};
	const json_t *rules = json_object_get(reply, "rules");
	const json_t *files = json_object_get(reply, "files");
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *rule;
	size_t i;
	int r;

	json_array_foreach (rules, i, rule) {
		rule_row(table, rule);
	}
	r = table_print(table, stdout);
	/* Problems do not fail the command: it was asked to list. */
	if (r == 0)
		(void)show_problems(files, "\n");
	return r;
}
