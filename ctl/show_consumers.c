// SPDX-License-Identifier: Apache-2.0
/* show_consumers.c - the programs that get listeners, for people */
#include "ctl/show.h"

#include <pwd.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void cell_user(struct table *table, json_int_t uid)
{
	const struct passwd *user = getpwuid((uid_t)uid);

	if (user)
		table_text(table, user->pw_name);
	else
		table_number(table, uid);
}

static void cell_duration(struct table *table, json_int_t us)
{
	char buffer[TEXT_DURATION_MAX];

	table_text(table, text_duration(us, buffer));
}

/* How many listeners it has and is to get: one that drains gets none. */
static void cells_given(struct table *table, const json_t *consumer)
{
	show_cell_number(table, show_number(consumer, "delivered"));
	show_cell_unless_zero(table, show_number(consumer, "undelivered"));
}

static void absent_row(struct table *table, const json_t *consumer)
{
	const char *then = show_text(consumer, "when_absent");

	table_text(table, show_text(consumer, "name"));
	table_cell(table, "absent (%s)", then);
	for (int i = 0; i < 4; i++)
		table_text(table, "");
	cells_given(table, consumer);
	table_text(table, "");
	table_text(table, "");
}

static void connection_row(struct table *table, const json_t *consumer,
			   const json_t *connection)
{
	json_int_t draining_us = show_number(connection, "draining_since_us");

	table_text(table, show_text(consumer, "name"));
	table_text(table, draining_us ? "draining" : "connected");
	cell_duration(table, draining_us ? draining_us
					 : show_number(connection, "since_us"));
	table_number(table, show_number(connection, "pid"));
	cell_user(table, show_number(connection, "uid"));
	table_text(table, show_text(connection, "program"));
	if (draining_us) {
		table_text(table, "");
		table_text(table, "");
	} else {
		cells_given(table, consumer);
	}
	show_cell_unless_zero(table, show_number(connection, "withdrawn"));
	show_cell_unless_zero(table, show_number(connection, "overdue"));
}

static void consumer_rows(struct table *table, const json_t *consumer)
{
	json_t *connection;
	bool present = false;
	size_t i;

	json_array_foreach (json_object_get(consumer, "connections"), i,
			    connection) {
		connection_row(table, consumer, connection);
		present = present ||
			  !show_number(connection, "draining_since_us");
	}
	if (!present)
		absent_row(table, consumer);
}

int show_consumers(const json_t *reply)
{
	static const struct table_column columns[] = {
		{ .name = "CONSUMER" },
		{ .name = "STATE", .state = true },
		{ .name = "SINCE" },
		{ .name = "PID", .right = true },
		{ .name = "USER" },
		{ .name = "PROGRAM" },
		{ .name = "LISTENERS", .right = true },
		{ .name = "TO GET", .right = true, .optional = true },
		{ .name = "WITHDRAWN", .right = true, .optional = true },
		{ .name = "OVERDUE", .right = true, .optional = true },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *consumer;
	size_t i;

	json_array_foreach (json_object_get(reply, "consumers"), i, consumer) {
		consumer_rows(table, consumer);
	}
	return table_print(table, stdout);
}
