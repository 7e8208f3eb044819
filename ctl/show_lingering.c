// SPDX-License-Identifier: Apache-2.0
/* show_lingering.c - namespaces without a name that the kernel has not freed,
 * and which consumers keep it from that
 */
#include "ctl/show.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

static void held_cell(struct table *table, const json_t *netns)
{
	json_int_t open = show_number(netns, "open_listeners");
	json_int_t withdrawn = show_number(netns, "withdrawn_listeners");

	if (open || withdrawn)
		table_cell(table,
			   "%" JSON_INTEGER_FORMAT
			   " open, %" JSON_INTEGER_FORMAT
			   " not released by consumers",
			   open, withdrawn);
	else if (json_array_size(json_object_get(netns, "pinned_by")) > 0)
		table_text(table, "nothing, but see below");
	else
		table_text(table, "nothing");
}

static void netns_row(struct table *table, const json_t *netns)
{
	char duration[TEXT_DURATION_MAX];

	table_text(table, show_text(netns, "name"));
	table_cell(table, "%" PRIu64, (uint64_t)show_number(netns, "id"));
	if (json_is_integer(json_object_get(netns, "nsid")))
		show_cell_number(table, show_number(netns, "nsid"));
	else
		table_text(table, "-");
	table_text(table,
		   text_duration(show_number(netns, "since_us"), duration));
	held_cell(table, netns);
}

static void print_text(const char *text)
{
	_cleanup_free_ char *printable = text_printable(text, NULL);

	(void)fputs(printable ? printable : "?", stdout);
}

static void print_process(const json_t *pin)
{
	json_int_t uid = show_number(pin, "uid");
	const struct passwd *user = getpwuid((uid_t)uid);

	(void)printf("consumer '");
	print_text(show_text(pin, "consumer"));
	(void)printf("' (pid %" JSON_INTEGER_FORMAT ", ",
		     show_number(pin, "pid"));
	if (user)
		(void)printf("user %s)", user->pw_name);
	else
		(void)printf("uid %" JSON_INTEGER_FORMAT ")", uid);
}

static void print_endpoints(const json_t *endpoints, json_int_t n_listeners)
{
	json_t *endpoint;
	size_t i;

	json_array_foreach (endpoints, i, endpoint) {
		const char *address = show_text(endpoint, "address");

		(void)printf(strchr(address, ':')
				     ? "%s%s [%s]:%" JSON_INTEGER_FORMAT
				     : "%s%s %s:%" JSON_INTEGER_FORMAT,
			     i == 0 ? " (" : ", ",
			     show_text(endpoint, "protocol"), address,
			     show_number(endpoint, "port"));
	}
	if (n_listeners > (json_int_t)i)
		(void)fputs(", ...", stdout);
	if (i > 0)
		(void)putchar(')');
}

/* "3 listeners (tcp *:80, ...) and sockets for backends" */
static void print_held(const json_t *pin)
{
	json_int_t n = show_number(pin, "listeners");

	if (n > 0) {
		(void)printf("%" JSON_INTEGER_FORMAT " listener%s", n,
			     n == 1 ? "" : "s");
		print_endpoints(json_object_get(pin, "endpoints"), n);
	}
	if (show_flag(pin, "backend_sockets"))
		(void)printf("%ssockets for backends", n > 0 ? " and " : "");
}

static void print_pin(const json_t *pin)
{
	const json_t *ended = json_object_get(pin, "disconnected_us");
	bool connected = !json_is_integer(ended);
	bool told = json_is_integer(json_object_get(pin, "told_us"));
	char duration[TEXT_DURATION_MAX];

	print_process(pin);
	(void)fputs(told && connected ? " has not let go yet of "
		    : told	      ? " did not let go of "
		    : connected	      ? " has "
				      : " had ",
		    stdout);
	print_held(pin);
	if (!connected)
		(void)printf(
			told ? ", and was disconnected %s ago"
			     : ", ended its connection %s ago, and lives on",
			text_duration(json_integer_value(ended), duration));
	if (!show_flag(pin, "alive"))
		(void)fputs("; it has ended, another process may have this",
			    stdout);
	(void)putchar('\n');
}

static void print_pins(const json_t *netns)
{
	const json_t *pins = json_object_get(netns, "pinned_by");
	char duration[TEXT_DURATION_MAX];
	json_t *pin;
	size_t i;

	if (json_array_size(pins) == 0)
		return;
	(void)printf("namespace '");
	print_text(show_text(netns, "name"));
	(void)printf("' (deleted %s ago) is still pinned:\n",
		     text_duration(show_number(netns, "since_us"), duration));
	json_array_foreach (pins, i, pin) {
		(void)fputs("  ", stdout);
		print_pin(pin);
	}
}

int show_lingering(const json_t *lingering)
{
	static const struct table_column columns[] = {
		{ .name = "LINGERING" },
		{ .name = "ID", .right = true },
		{ .name = "NSID", .right = true },
		{ .name = "FOR", .right = true },
		{ .name = "HELD BY BERTH" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *netns;
	size_t i;
	int r;

	json_array_foreach (lingering, i, netns) {
		netns_row(table, netns);
	}
	r = table_print(table, stdout);
	json_array_foreach (lingering, i, netns) {
		print_pins(netns);
	}
	return r;
}
