// SPDX-License-Identifier: Apache-2.0
/* show_backends.c - which backends work, for people */
#include "ctl/show.h"

#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void cell_duration(struct table *table, json_int_t us)
{
	char buffer[TEXT_DURATION_MAX];

	table_text(table, text_duration(us, buffer));
}

/* "ECONNREFUSED", or "HTTP 503". */
static void cell_error(struct table *table, const json_t *backend)
{
	char text[sizeof("HTTP ") + 20];
	json_int_t status = show_number(backend, "http_status");

	(void)snprintf(text, sizeof(text), "HTTP %" JSON_INTEGER_FORMAT,
		       status); /* it fits */
	table_text(table, status ? text : show_text(backend, "error"));
}

static void backend_row(struct table *table, const json_t *backend)
{
	const json_t *failed = json_object_get(backend, "failed_us");

	table_text(table, show_text(backend, "rule"));
	table_text(table, show_text(backend, "protocol"));
	table_text(table, show_text(backend, "state"));
	cell_duration(table, show_number(backend, "since_us"));
	table_text(table, show_flag(backend, "checked") ? "yes" : "");
	show_cell_unless_zero(table, show_number(backend, "failures"));
	cell_error(table, backend);
	if (json_is_integer(failed))
		cell_duration(table, json_integer_value(failed));
	else
		table_text(table, "");
	show_cell_unless_zero(table, show_number(backend, "connections"));
	table_text(table, show_text(backend, "namespace"));
	table_text(table, show_text(backend, "backend"));
}

int show_backends(const json_t *reply)
{
	static const struct table_column columns[] = {
		{ .name = "RULE" },
		{ .name = "PROTOCOL" },
		{ .name = "STATE", .state = true },
		{ .name = "SINCE", .right = true },
		{ .name = "CHECKED", .optional = true },
		{ .name = "FAILURES", .right = true, .optional = true },
		{ .name = "ERROR", .optional = true },
		{ .name = "FAILED", .right = true, .optional = true },
		{ .name = "CLIENTS", .right = true, .optional = true },
		{ .name = "NAMESPACE", .optional = true },
		{ .name = "BACKEND" },
	};
	static const size_t order[] = { 0, 10, 1 };
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *backend;
	size_t i;

	json_array_foreach (json_object_get(reply, "backends"), i, backend) {
		backend_row(table, backend);
	}
	if (table)
		table_sort(table, order, ARRAY_SIZE(order));
	return table_print(table, stdout);
}
