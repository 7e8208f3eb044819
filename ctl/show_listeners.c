// SPDX-License-Identifier: Apache-2.0
/* show_listeners.c - the list of listeners for people
 *
 * There may be very many, so each reply is made into rows and let go. The
 * table is printed at the end: only then it is known how wide its columns are.
 */
#include "ctl/show.h"

#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

enum column {
	COLUMN_NAMESPACE = 1,
	COLUMN_PROTOCOL = 2,
	COLUMN_ADDRESS = 3,
	COLUMN_PORT = 4,
};

/**
 * struct show_listeners - what came so far
 * @silent:	names of consumers
 */
struct show_listeners {
	struct table *table;
	json_t *silent;
};

/* "EADDRINUSE: the port is taken; next attempt in 1.2 s (3 failed)" */
static void print_waiting(FILE *f, const json_t *listener)
{
	char duration[TEXT_DURATION_MAX];
	const char *error = show_text(listener, "error");
	json_int_t attempts = show_number(listener, "attempts");
	json_int_t next_us = show_number(listener, "next_attempt_us");

	(void)fprintf(f, "%s%s%s", error, *error ? ": " : "",
		      show_text(listener, "reason"));
	if (show_number(listener, "blocked_by"))
		(void)fprintf(f, "; held by listener %" JSON_INTEGER_FORMAT,
			      show_number(listener, "blocked_by"));
	if (next_us > 0)
		(void)fprintf(f, "; next attempt in %s",
			      text_duration(next_us, duration));
	if (attempts > 0)
		(void)fprintf(f, " (%" JSON_INTEGER_FORMAT " failed)",
			      attempts);
}

static char *waiting_text(const json_t *listener)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print_waiting(f, listener);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void show_detail(struct table *table, const json_t *listener)
{
	const char *state = show_text(listener, "state");
	_cleanup_free_ char *waiting = NULL;

	if (strcmp(state, "listening") == 0) {
		table_text(table, show_flag(listener, "delivered")
					  ? ""
					  : "its consumer does not have it "
					    "yet");
	} else if (strcmp(state, "waiting") == 0) {
		waiting = waiting_text(listener);
		table_text(table, waiting ? waiting : "?");
	} else if (strcmp(state, "absent") == 0) {
		table_text(table, "not tried yet");
	} else {
		table_text(table, show_text(listener, "reason"));
	}
}

static void cell_bytes(struct table *table, json_int_t bytes)
{
	char text[TEXT_BYTES_MAX];

	table_text(table, bytes ? text_bytes(bytes, text) : "");
}

static void listener_row(struct table *table, const json_t *listener)
{
	const char *namespace = show_text(listener, "namespace");
	const char *consumer = show_text(listener, "consumer");
	const char *action = show_text(listener, "action");
	const json_t *counters = json_object_get(listener, "counters");

	show_cell_number(table, show_number(listener, "id"));
	table_text(table, *namespace ? namespace : "-");
	table_text(table, show_text(listener, "protocol"));
	table_text(table, show_text(listener, "address"));
	show_cell_number(table, show_number(listener, "port"));
	table_text(table, show_text(listener, "interface"));
	table_text(table, show_text(listener, "rule"));
	if (strcmp(action, "handoff") == 0)
		table_cell(table, "%s to %s", action, consumer);
	else
		table_text(table, action);
	table_text(table, show_text(listener, "state"));
	show_cell_unless_zero(table, show_number(counters, "active"));
	show_cell_unless_zero(table, show_number(counters, "accepted"));
	cell_bytes(table, show_number(counters, "bytes_in"));
	cell_bytes(table, show_number(counters, "bytes_out"));
	show_detail(table, listener);
}

void *show_listeners_begin(void)
{
	static const struct table_column columns[] = {
		{ .name = "LISTENER", .right = true },
		{ .name = "NAMESPACE" },
		{ .name = "PROTOCOL" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "INTERFACE", .optional = true },
		{ .name = "RULE" },
		{ .name = "ACTION" },
		{ .name = "STATE" },
		{ .name = "ACTIVE", .right = true, .optional = true },
		{ .name = "ACCEPTED", .right = true, .optional = true },
		{ .name = "RECEIVED", .right = true, .optional = true },
		{ .name = "SENT", .right = true, .optional = true },
		{ .name = "DETAIL", .optional = true },
	};
	struct show_listeners *list = malloc(sizeof(*list));

	if (!list)
		return NULL;
	*list = (struct show_listeners){
		.table = table_new(columns, ARRAY_SIZE(columns)),
		.silent = json_array(),
	};
	if (list->table && list->silent)
		return list;
	show_listeners_free(list);
	return NULL;
}

int show_listeners_add(void *state, const json_t *reply)
{
	struct show_listeners *list = state;
	json_t *silent = json_object_get(reply, "silent"), *listener;
	size_t i;

	json_array_foreach (json_object_get(reply, "listeners"), i, listener)
		listener_row(list->table, listener);
	if (silent && json_array_extend(list->silent, silent) < 0)
		return -ENOMEM;
	return 0;
}

int show_listeners_end(void *state)
{
	static const size_t order[] = { COLUMN_NAMESPACE, COLUMN_PROTOCOL,
					COLUMN_PORT, COLUMN_ADDRESS };
	struct show_listeners *list = state;
	int r;

	table_sort(list->table, order, ARRAY_SIZE(order));
	r = table_print(TAKE_PTR(list->table), stdout);
	if (r == 0)
		show_silent(list->silent);
	return r;
}

void show_listeners_free(void *state)
{
	struct show_listeners *list = state;

	table_free(list->table);
	json_decref(list->silent);
	free(list);
}
