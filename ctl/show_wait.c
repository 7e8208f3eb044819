// SPDX-License-Identifier: Apache-2.0
/* show_wait.c - whether the listeners of a namespace are open, for people */
#include "ctl/show.h"

#include <string.h>

#include "common/util.h"
#include "ctl/exit_code.h"
#include "ctl/table.h"
#include "ctl/text.h"

static bool is_open(const json_t *listener)
{
	return strcmp(show_text(listener, "state"), "listening") == 0;
}

static size_t count_open(const json_t *listeners)
{
	json_t *listener;
	size_t i, n = 0;

	json_array_foreach (listeners, i, listener)
		n += is_open(listener);
	return n;
}

static void print_summary(const json_t *reply, size_t open, size_t n)
{
	_cleanup_free_ char *label =
		text_printable(show_text(reply, "namespace"), NULL);
	json_int_t omitted = show_number(reply, "omitted");

	(void)printf("%s: ", label ? label : "?");
	if (n == 0 && omitted == 0)
		(void)puts(show_flag(reply, "ready")
				   ? "no listener is wanted here"
				   : "not planned yet");
	else
		(void)printf("%zu of %zu listeners are listening\n", open, n);
	if (omitted > 0)
		(void)printf("%" JSON_INTEGER_FORMAT
			     " more are wanted than the limit for one "
			     "namespace allows.\n",
			     omitted);
}

static int show_not_open(const json_t *listeners)
{
	static const struct table_column columns[] = {
		{ .name = "PROTOCOL" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "RULE" },
		{ .name = "STATE" },
		{ .name = "DETAIL", .optional = true },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *listener;
	size_t i;

	json_array_foreach (listeners, i, listener) {
		const struct show_attempt attempt = {
			.state = show_text(listener, "state"),
			.reason = show_text(listener, "reason"),
			.error = show_text(listener, "error"),
			.next_attempt_us =
				show_number(listener, "next_attempt_us"),
		};

		if (is_open(listener))
			continue;
		table_text(table, show_text(listener, "protocol"));
		table_text(table, show_text(listener, "address"));
		show_cell_number(table, show_number(listener, "port"));
		table_text(table, show_text(listener, "rule"));
		table_text(table, show_text(listener, "state"));
		show_detail(table, &attempt);
	}
	return table_print(table, stdout);
}

int show_waited(const json_t *reply)
{
	const json_t *listeners = json_object_get(reply, "listeners");
	size_t n = json_array_size(listeners), open = count_open(listeners);
	int r = 0;

	print_summary(reply, open, n);
	if (open < n) {
		(void)putchar('\n');
		r = show_not_open(listeners);
	}
	return r == 0 && !show_flag(reply, "ready") ? EXIT_NOT_READY : r;
}

int show_registered(const json_t *reply)
{
	_cleanup_free_ char *id =
		text_printable(show_text(reply, "registration"), NULL);

	(void)printf("registration %s\n", id ? id : "?");
	return show_waited(reply);
}

int show_unregistered(const json_t *reply)
{
	(void)printf("%" JSON_INTEGER_FORMAT " registrations ended\n",
		     show_number(reply, "ended"));
	return 0;
}
