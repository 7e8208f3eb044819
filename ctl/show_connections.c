// SPDX-License-Identifier: Apache-2.0
/* show_connections.c - the list of connections for people
 *
 * As with listeners, there may be very many: see show_listeners.c.
 */
#include "ctl/show.h"

#include <stdio.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

enum column {
	COLUMN_NAMESPACE = 1,
	COLUMN_CLIENT = 5,
	COLUMN_LOCAL = 6,
};

/**
 * struct show_connections - what came so far
 * @silent:	names of consumers
 */
struct show_connections {
	struct table *table;
	json_t *silent;
};

/** struct row - what the table shows, as the members are called */
struct row {
	const char *id;
	const char *namespace;
	const char *container;
	const char *rule;
	const char *protocol;
	const char *client;
	const char *local;
	const char *backend;
	const char *state;
	bool draining;
	int64_t age_us;
	int64_t idle_us;
	int64_t bytes_in;
	int64_t bytes_out;
};

#define MEMBER(name, kind, field)                                         \
	{                                                                 \
		name, JSON_KIND_##kind, offsetof(struct row, field), NULL \
	}

/* In the order of berthd's replies. */
static const struct json_member members[] = {
	MEMBER("id", TEXT, id),
	MEMBER("namespace", TEXT, namespace),
	MEMBER("rule", TEXT, rule),
	MEMBER("protocol", TEXT, protocol),
	MEMBER("client", TEXT, client),
	MEMBER("local", TEXT, local),
	MEMBER("backend", TEXT, backend),
	MEMBER("state", TEXT, state),
	MEMBER("draining", FLAG, draining),
	MEMBER("age_us", NUMBER, age_us),
	MEMBER("idle_us", NUMBER, idle_us),
	MEMBER("bytes_in", NUMBER, bytes_in),
	MEMBER("bytes_out", NUMBER, bytes_out),
	MEMBER("container", TEXT, container),
	{ .name = NULL },
};

static void cell_duration(struct table *table, int64_t us)
{
	char text[TEXT_DURATION_MAX];

	table_text(table, text_duration(us, text));
}

static void cell_bytes(struct table *table, int64_t bytes)
{
	char text[TEXT_BYTES_MAX];

	table_text(table, text_bytes(bytes, text));
}

static void add_row(struct table *table, const struct row *row)
{
	table_text(table, row->id);
	table_text(table, *row->namespace ? row->namespace : "-");
	table_text(table, row->container);
	table_text(table, row->rule);
	table_text(table, row->protocol);
	table_text(table, *row->client ? row->client : "-");
	table_text(table, row->local);
	table_text(table, row->backend);
	table_cell(table, "%s%s", row->state,
		   row->draining ? ", draining" : "");
	cell_duration(table, row->age_us);
	cell_duration(table, row->idle_us);
	cell_bytes(table, row->bytes_in);
	cell_bytes(table, row->bytes_out);
}

static int add_element(struct table *table, struct json_span element)
{
	struct row row = {
		.id = "",
		.namespace = "",
		.container = "",
		.rule = "",
		.protocol = "",
		.client = "",
		.local = "",
		.backend = "",
		.state = "",
	};
	int r = json_scan_read(element, members, &row);

	if (r == 0)
		add_row(table, &row);
	return r;
}

void *show_connections_begin(void)
{
	static const struct table_column columns[] = {
		{ .name = "CONNECTION" },
		{ .name = "NAMESPACE" },
		{ .name = "CONTAINER", .optional = true },
		{ .name = "RULE" },
		{ .name = "PROTOCOL" },
		{ .name = "CLIENT" },
		{ .name = "LOCAL" },
		{ .name = "BACKEND", .optional = true },
		{ .name = "STATE", .state = true },
		{ .name = "AGE", .right = true },
		{ .name = "IDLE", .right = true },
		{ .name = "RECEIVED", .right = true },
		{ .name = "SENT", .right = true },
	};
	struct show_connections *list = malloc(sizeof(*list));

	if (!list)
		return NULL;
	*list = (struct show_connections){
		.table = table_new(columns, ARRAY_SIZE(columns)),
		.silent = json_array(),
	};
	if (list->table && list->silent)
		return list;
	show_connections_free(list);
	return NULL;
}

int show_connections_add(void *state, const json_t *reply,
			 struct json_span connections)
{
	struct show_connections *list = state;
	json_t *silent = json_object_get(reply, "silent");
	struct json_span element;
	int r = 1;

	if (silent && json_array_extend(list->silent, silent) < 0)
		return -ENOMEM;
	while (r > 0) {
		r = json_scan_next(&connections, &element);
		if (r > 0 && add_element(list->table, element) < 0)
			return -EPROTO;
	}
	return r;
}

static void show_unlisted(const json_t *names)
{
	json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		_cleanup_free_ char *text = text_printable(
			json_string_length(name) ? json_string_value(name) : "",
			NULL);

		(void)printf("%sconsumer '%s' does not say which connections "
			     "it has\n",
			     i == 0 ? "\n" : "",
			     text ? text : "?"); /* main checks ferror(3) */
	}
}

int show_connections_end(void *state)
{
	static const size_t order[] = { COLUMN_NAMESPACE, COLUMN_LOCAL,
					COLUMN_CLIENT };
	struct show_connections *list = state;
	int r;

	table_sort(list->table, order, ARRAY_SIZE(order));
	r = table_print(TAKE_PTR(list->table), stdout);
	if (r == 0)
		show_unlisted(list->silent);
	return r;
}

void show_connections_free(void *state)
{
	struct show_connections *list = state;

	table_free(list->table);
	json_decref(list->silent);
	free(list);
}
