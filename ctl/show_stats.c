// SPDX-License-Identifier: Apache-2.0
/* show_stats.c - what the consumers counted, for people */
#include "ctl/show.h"

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

void show_silent(const json_t *names)
{
	json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		_cleanup_free_ char *text = text_printable(
			json_string_length(name) ? json_string_value(name) : "",
			NULL);

		(void)printf("%sconsumer '%s' does not say what it counts\n",
			     i == 0 ? "\n" : "",
			     text ? text : "?"); /* main checks ferror(3) */
	}
}

/* "ECONNREFUSED 3, ETIMEDOUT 1" */
static char *failures_text(const json_t *counters)
{
	char *text = NULL;
	json_t *failure;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	json_array_foreach (json_object_get(counters, "errors"), i, failure) {
		const char *error = show_text(failure, "error");

		(void)fprintf(f, "%s%s %" JSON_INTEGER_FORMAT,
			      i > 0 ? ", " : "", *error ? error : "other",
			      show_number(failure, "count"));
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static void cell_count(struct table *table, const json_t *counters,
		       const char *key)
{
	show_cell_number(table, show_number(counters, key));
}

static void cell_seldom(struct table *table, const json_t *counters,
			const char *key)
{
	show_cell_unless_zero(table, show_number(counters, key));
}

static void stats_row(struct table *table, const char *rule,
		      const json_t *counters)
{
	_cleanup_free_ char *failures = failures_text(counters);
	char in[TEXT_BYTES_MAX], out[TEXT_BYTES_MAX];

	table_text(table, rule);
	cell_count(table, counters, "active");
	cell_count(table, counters, "accepted");
	table_text(table, text_bytes(show_number(counters, "bytes_in"), in));
	table_text(table, text_bytes(show_number(counters, "bytes_out"), out));
	cell_seldom(table, counters, "messages_in");
	cell_seldom(table, counters, "messages_out");
	cell_seldom(table, counters, "limited");
	cell_seldom(table, counters, "dropped");
	cell_seldom(table, counters, "looped");
	cell_seldom(table, counters, "not_admitted");
	cell_seldom(table, counters, "unlogged");
	table_text(table, failures ? failures : "?");
}

int show_stats(const json_t *reply)
{
	static const struct table_column columns[] = {
		{ .name = "RULE" },
		{ .name = "ACTIVE", .right = true },
		{ .name = "ACCEPTED", .right = true },
		{ .name = "RECEIVED", .right = true },
		{ .name = "SENT", .right = true },
		{ .name = "MESSAGES IN", .right = true, .optional = true },
		{ .name = "MESSAGES OUT", .right = true, .optional = true },
		{ .name = "LIMITED", .right = true, .optional = true },
		{ .name = "DROPPED", .right = true, .optional = true },
		{ .name = "LOOPED", .right = true, .optional = true },
		{ .name = "NOT ADMITTED", .right = true, .optional = true },
		{ .name = "UNLOGGED", .right = true, .optional = true },
		{ .name = "BACKEND FAILURES", .optional = true },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *rule;
	size_t i;
	int r;

	json_array_foreach (json_object_get(reply, "rules"), i, rule) {
		stats_row(table, show_text(rule, "name"),
			  json_object_get(rule, "counters"));
	}
	stats_row(table, "total", json_object_get(reply, "total"));
	r = table_print(table, stdout);
	if (r == 0)
		show_silent(json_object_get(reply, "silent"));
	return r;
}
