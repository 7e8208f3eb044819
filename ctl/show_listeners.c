// SPDX-License-Identifier: Apache-2.0
/* show_listeners.c - the list of listeners for people
 *
 * There may be very many, so each reply is made into rows and let go, and its
 * text is not parsed into a tree: that took most of the time. The table is
 * printed at the end: only then it is known how wide its columns are.
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

enum column {
	COLUMN_NAMESPACE = 1,
	COLUMN_PROTOCOL = 3,
	COLUMN_ADDRESS = 4,
	COLUMN_PORT = 5,
};

/**
 * struct show_listeners - what came so far
 * @silent:	names of consumers
 */
struct show_listeners {
	struct table *table;
	json_t *silent;
};

/**
 * struct row - what the table shows of a listener, as its members are called
 */
struct row {
	int64_t id;
	const char *namespace;
	const char *container;
	const char *protocol;
	const char *address;
	int64_t port;
	const char *interface;
	const char *rule;
	const char *action;
	const char *consumer;
	const char *health;
	struct show_attempt attempt;
	int64_t active;
	int64_t accepted;
	int64_t bytes_in;
	int64_t bytes_out;
};

#define MEMBER(name, kind, field)                                         \
	{                                                                 \
		name, JSON_KIND_##kind, offsetof(struct row, field), NULL \
	}

/* In the order of berthd's replies. */
static const struct json_member counters[] = {
	MEMBER("accepted", NUMBER, accepted),
	MEMBER("active", NUMBER, active),
	MEMBER("bytes_in", NUMBER, bytes_in),
	MEMBER("bytes_out", NUMBER, bytes_out),
	{ .name = NULL },
};

static const struct json_member draining[] = {
	MEMBER("since_us", NUMBER, attempt.draining_us),
	MEMBER("ends_us", NUMBER, attempt.ends_us),
	{ .name = NULL },
};

static const struct json_member members[] = {
	MEMBER("id", NUMBER, id),
	MEMBER("namespace", TEXT, namespace),
	MEMBER("protocol", TEXT, protocol),
	MEMBER("address", TEXT, address),
	MEMBER("port", NUMBER, port),
	MEMBER("rule", TEXT, rule),
	MEMBER("action", TEXT, action),
	MEMBER("consumer", TEXT, consumer),
	MEMBER("interface", TEXT, interface),
	MEMBER("state", TEXT, attempt.state),
	MEMBER("reason", TEXT, attempt.reason),
	MEMBER("error", TEXT, attempt.error),
	MEMBER("next_attempt_us", NUMBER, attempt.next_attempt_us),
	MEMBER("delivered", FLAG, attempt.delivered),
	MEMBER("blocked_by", NUMBER, attempt.blocked_by),
	MEMBER("attempts", NUMBER, attempt.attempts),
	{ "draining", JSON_KIND_OBJECT, 0, draining },
	MEMBER("health", TEXT, health),
	MEMBER("health_reason", TEXT, attempt.health_reason),
	{ "counters", JSON_KIND_OBJECT, 0, counters },
	MEMBER("container", TEXT, container),
	{ .name = NULL },
};

/* "EADDRINUSE: the port is taken; next attempt in 1.2 s (3 failed)" */
static void print_waiting(FILE *f, const struct show_attempt *attempt)
{
	char duration[TEXT_DURATION_MAX];

	(void)fprintf(f, "%s%s%s", attempt->error, *attempt->error ? ": " : "",
		      attempt->reason);
	if (attempt->blocked_by)
		(void)fprintf(f, "; held by listener %" PRId64,
			      attempt->blocked_by);
	if (attempt->holders)
		(void)fprintf(f, "; held by %s", attempt->holders);
	if (attempt->next_attempt_us > 0)
		(void)fprintf(f, "; next attempt in %s",
			      text_duration(attempt->next_attempt_us,
					    duration));
	if (attempt->attempts > 0)
		(void)fprintf(f, " (%" PRId64 " failed)", attempt->attempts);
}

static char *waiting_text(const struct show_attempt *attempt)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print_waiting(f, attempt);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* "its connections may finish; since 4.0 s, for 4 min 56 s more" */
static void draining_cell(struct table *table,
			  const struct show_attempt *attempt)
{
	char since[TEXT_DURATION_MAX], ends[TEXT_DURATION_MAX];

	if (attempt->ends_us)
		table_cell(table, "%s; since %s, for %s more", attempt->reason,
			   text_duration(attempt->draining_us, since),
			   text_duration(attempt->ends_us, ends));
	else
		table_cell(table, "%s; since %s", attempt->reason,
			   text_duration(attempt->draining_us, since));
}

static const char *listening_text(const struct show_attempt *attempt)
{
	if (attempt->health_reason && *attempt->health_reason)
		return attempt->health_reason;
	return attempt->delivered ? "" : "its consumer does not have it yet";
}

void show_detail(struct table *table, const struct show_attempt *attempt)
{
	_cleanup_free_ char *waiting = NULL;

	if (strcmp(attempt->state, "listening") == 0) {
		table_text(table, listening_text(attempt));
	} else if (strcmp(attempt->state, "waiting") == 0) {
		waiting = waiting_text(attempt);
		table_text(table, waiting ? waiting : "?");
	} else if (strcmp(attempt->state, "absent") == 0) {
		table_text(table, "not tried yet");
	} else if (strcmp(attempt->state, "draining") == 0) {
		draining_cell(table, attempt);
	} else {
		table_text(table, attempt->reason);
	}
}

static void cell_bytes(struct table *table, int64_t bytes)
{
	char text[TEXT_BYTES_MAX];

	table_text(table, bytes ? text_bytes(bytes, text) : "");
}

static void add_row(struct table *table, const struct row *row)
{
	table_number(table, row->id);
	table_text(table, *row->namespace ? row->namespace : "-");
	table_text(table, row->container);
	table_text(table, row->protocol);
	table_text(table, row->address);
	table_number(table, row->port);
	table_text(table, row->interface);
	table_text(table, row->rule);
	if (strcmp(row->action, "handoff") == 0)
		table_cell(table, "%s to %s", row->action, row->consumer);
	else
		table_text(table, row->action);
	table_text(table, row->attempt.state);
	table_text(table, row->health);
	show_cell_unless_zero(table, row->active);
	show_cell_unless_zero(table, row->accepted);
	cell_bytes(table, row->bytes_in);
	cell_bytes(table, row->bytes_out);
	show_detail(table, &row->attempt);
}

static int add_element(struct table *table, struct json_span element)
{
	struct row row = {
		.namespace = "",
		.container = "",
		.protocol = "",
		.address = "",
		.interface = "",
		.rule = "",
		.action = "",
		.consumer = "",
		.health = "",
		.attempt = { .state = "", .reason = "", .error = "" },
	};
	int r = json_scan_read(element, members, &row);

	if (r == 0)
		add_row(table, &row);
	return r;
}

void *show_listeners_begin(void)
{
	static const struct table_column columns[] = {
		{ .name = "LISTENER", .right = true },
		{ .name = "NAMESPACE" },
		{ .name = "CONTAINER", .optional = true },
		{ .name = "PROTOCOL" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "INTERFACE", .optional = true },
		{ .name = "RULE" },
		{ .name = "ACTION" },
		{ .name = "STATE", .state = true },
		{ .name = "HEALTH", .state = true },
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

int show_listeners_add(void *state, const json_t *reply,
		       struct json_span listeners)
{
	struct show_listeners *list = state;
	json_t *silent = json_object_get(reply, "silent");
	struct json_span element;
	int r = 1;

	if (silent && json_array_extend(list->silent, silent) < 0)
		return -ENOMEM;
	while (r > 0) {
		r = json_scan_next(&listeners, &element);
		if (r > 0 && add_element(list->table, element) < 0)
			return -EPROTO;
	}
	return r;
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
