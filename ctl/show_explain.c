// SPDX-License-Identifier: Apache-2.0
/* show_explain.c - why a namespace has its listeners, for people */
#include "ctl/show.h"
#include "ctl/socket_owner.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "ctl/table.h"
#include "ctl/text.h"

/* Prints a member that is not empty. */
static void print_cell(const char *before, const json_t *object,
		       const char *key)
{
	_cleanup_free_ char *text =
		text_printable(show_text(object, key), NULL);

	if (!text || *text)
		(void)printf("%s%s", before, text ? text : "?");
}

static void print_heading(const json_t *reply)
{
	const json_t *namespace = json_object_get(reply, "namespace");
	const json_t *names = json_object_get(namespace, "names");
	json_t *name;
	size_t i;

	if (show_flag(namespace, "host"))
		(void)printf("the host's namespace");
	else
		(void)printf("namespace");
	json_array_foreach (names, i, name) {
		_cleanup_free_ char *directory =
			text_printable(show_text(name, "directory"), NULL);
		_cleanup_free_ char *text =
			text_printable(show_text(name, "name"), NULL);

		(void)printf("%s %s/%s", i > 0 ? "," : "",
			     directory ? directory : "?", text ? text : "?");
	}
	(void)printf(", id %" PRIu64 "\n",
		     (uint64_t)show_number(namespace, "id"));
}

/* Prints each container in a line, with its labels as selectors write them. */
static void print_containers(const json_t *reply)
{
	const json_t *containers = json_object_get(
		json_object_get(reply, "namespace"), "containers");
	json_t *container, *value;
	const char *key;
	size_t i;

	json_array_foreach (containers, i, container) {
		const json_t *labels = json_object_get(container, "labels");
		bool first = true;

		print_cell("container ", container, "name");
		print_cell(", pod namespace ", container, "pod_namespace");
		print_cell(", ", container, "runtime");
		if (show_number(container, "uid") != 0)
			(void)printf(", told by uid %" JSON_INTEGER_FORMAT,
				     show_number(container, "uid"));
		json_object_foreach ((json_t *)labels, key, value) {
			_cleanup_free_ char *name = text_printable(key, NULL);
			_cleanup_free_ char *text =
				text_printable(json_string_value(value), NULL);

			(void)printf("%s%s=%s", first ? ", labels " : ",",
				     name ? name : "?", text ? text : "?");
			first = false;
		}
		(void)putchar('\n');
	}
}

static int show_verdicts(const json_t *rules)
{
	static const struct table_column columns[] = {
		{ .name = "RULE" },
		{ .name = "MATCHES", .state = true },
		{ .name = "BECAUSE" },
		{ .name = "FILE" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		table_text(table, show_text(rule, "name"));
		table_text(table, show_flag(rule, "matches") ? "yes" : "no");
		table_text(table, show_text(rule, "reason"));
		table_cell(table, "%s:%" JSON_INTEGER_FORMAT,
			   show_text(rule, "file"), show_number(rule, "line"));
	}
	return table_print(table, stdout);
}

static void cell_endpoint(struct table *table, const json_t *object)
{
	table_text(table, show_text(object, "protocol"));
	table_text(table, show_text(object, "address"));
	show_cell_number(table, show_number(object, "port"));
}

static char *holders_text(const json_t *holders)
{
	const json_t *holder;
	struct socket_owner owner;
	char *text = NULL;
	size_t size, i;
	FILE *f = json_array_size(holders) ? open_memstream(&text, &size)
					   : NULL;

	if (!f)
		return NULL;
	json_array_foreach (holders, i, holder) {
		(void)fprintf(f, "%s%s of uid %" JSON_INTEGER_FORMAT,
			      i ? ", " : "", show_text(holder, "address"),
			      show_number(holder, "uid"));
		if (socket_owner_find(show_number(holder, "inode"), &owner))
			(void)fprintf(f, " (%s, pid %d)", owner.command,
				      (int)owner.pid);
	}
	return fclose(f) == 0 ? text : NULL;
}

static void wanted_detail(struct table *table, const json_t *listener)
{
	_cleanup_free_ char *holders =
		holders_text(json_object_get(listener, "held_by"));
	const struct show_attempt attempt = {
		.state = show_text(listener, "state"),
		.reason = show_text(listener, "reason"),
		.error = show_text(listener, "error"),
		.next_attempt_us = show_number(listener, "next_attempt_us"),
		.delivered = show_flag(listener, "delivered"),
		.health_reason = show_text(listener, "health_reason"),
		.holders = holders,
	};

	show_detail(table, &attempt);
}

static int show_wanted(const json_t *listeners)
{
	static const struct table_column columns[] = {
		{ .name = "PROTOCOL" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "INTERFACE", .optional = true },
		{ .name = "RULE" },
		{ .name = "STATE", .state = true },
		{ .name = "HEALTH", .state = true },
		{ .name = "DETAIL", .optional = true },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *listener;
	size_t i;

	json_array_foreach (listeners, i, listener) {
		cell_endpoint(table, listener);
		table_text(table, show_text(listener, "interface"));
		table_text(table, show_text(listener, "rule"));
		table_text(table, show_text(listener, "state"));
		table_text(table, show_text(listener, "health"));
		wanted_detail(table, listener);
	}
	return table_print(table, stdout);
}

static int show_shadowed(const json_t *shadowed)
{
	static const struct table_column columns[] = {
		{ .name = "SHADOWED" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "RULE" },
		{ .name = "LOSES TO" },
		{ .name = "WHICH HAS" },
		{ .name = "BECAUSE" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *shadow;
	size_t i;

	json_array_foreach (shadowed, i, shadow) {
		const json_t *winner =
			json_object_get(shadow, "winner_endpoint");

		cell_endpoint(table, shadow);
		table_text(table, show_text(shadow, "rule"));
		table_text(table, show_text(shadow, "winner"));
		table_cell(table, "%s %s", show_text(winner, "protocol"),
			   show_text(winner, "address"));
		table_text(table, show_text(shadow, "reason"));
	}
	return table_print(table, stdout);
}

static int show_provisions(const json_t *provisions)
{
	static const struct table_column columns[] = {
		{ .name = "PROVIDED" },
		{ .name = "INTERFACE" },
		{ .name = "RULE" },
		{ .name = "STATE", .state = true },
		{ .name = "DETAIL", .optional = true },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *provision;
	size_t i;

	json_array_foreach (provisions, i, provision) {
		const char *address = show_text(provision, "address");
		const char *rule = show_text(provision, "rule");
		json_int_t more = show_number(provision, "rules") - 1;
		const struct show_attempt attempt = {
			.state = show_text(provision, "state"),
			.reason = show_text(provision, "reason"),
			.error = show_text(provision, "error"),
			.next_attempt_us =
				show_number(provision, "next_attempt_us"),
			.delivered = true,
		};

		table_text(table, *address ? address : "up");
		table_text(table, show_text(provision, "interface"));
		if (more > 0)
			table_cell(table,
				   "%s and %" JSON_INTEGER_FORMAT " more", rule,
				   more);
		else
			table_text(table, *rule ? rule : "-");
		table_text(table, attempt.state);
		show_detail(table, &attempt);
	}
	return table_print(table, stdout);
}

static int show_draining(const json_t *draining)
{
	static const struct table_column columns[] = {
		{ .name = "DRAINING" },
		{ .name = "ADDRESS" },
		{ .name = "PORT", .right = true },
		{ .name = "RULE" },
		{ .name = "DETAIL" },
	};
	struct table *table = table_new(columns, ARRAY_SIZE(columns));
	json_t *listener;
	size_t i;

	json_array_foreach (draining, i, listener) {
		const json_t *times = json_object_get(listener, "draining");
		const struct show_attempt attempt = {
			.state = show_text(listener, "state"),
			.reason = show_text(listener, "reason"),
			.draining_us = show_number(times, "since_us"),
			.ends_us = show_number(times, "ends_us"),
		};

		cell_endpoint(table, listener);
		table_text(table, show_text(listener, "rule"));
		show_detail(table, &attempt);
	}
	return table_print(table, stdout);
}

static int show_present(const json_t *reply)
{
	const json_t *rules = json_object_get(reply, "rules");
	const json_t *listeners = json_object_get(reply, "listeners");
	const json_t *draining = json_object_get(reply, "draining");
	const json_t *provisions = json_object_get(reply, "provisions");
	const json_t *shadowed = json_object_get(reply, "shadowed");
	json_int_t omitted = show_number(reply, "omitted");
	int r;

	print_heading(reply);
	print_containers(reply);
	if (json_array_size(draining) > 0) {
		(void)putchar('\n');
		r = show_draining(draining);
		if (r < 0)
			return r;
	}
	if (json_array_size(rules) == 0) {
		(void)puts("There are no rules.");
		return 0;
	}
	(void)putchar('\n');
	r = show_verdicts(rules);
	(void)putchar('\n');
	if (r == 0 && json_array_size(listeners) > 0)
		r = show_wanted(listeners);
	else if (r == 0)
		(void)puts("So no listener is wanted here.");
	if (r == 0 && json_array_size(provisions) > 0) {
		(void)putchar('\n');
		r = show_provisions(provisions);
	}
	if (r == 0 && json_array_size(shadowed) > 0) {
		(void)putchar('\n');
		r = show_shadowed(shadowed);
	}
	if (r == 0 && omitted > 0)
		(void)printf("\n%" JSON_INTEGER_FORMAT
			     " more are wanted than the limit for one "
			     "namespace allows.\n",
			     omitted);
	return r;
}

/* Puts one object into a list, for the table that shows lists. */
static int show_single(json_t *object, int (*show)(const json_t *list))
{
	json_t *list = json_pack("[O]", object);
	int r = list ? show(list) : -ENOMEM;

	json_decref(list);
	return r < 0 ? r : 1;
}

static int show_state(const json_t *reply)
{
	const char *state = show_text(reply, "state");

	if (strcmp(state, "pending") == 0) {
		(void)puts("The name leads to no network namespace; it is "
			   "tried again when that changes.\n");
		return show_single(json_object_get(reply, "pending"),
				   show_pending);
	}
	if (strcmp(state, "lingering") == 0) {
		(void)puts("The namespace has no name any more, so it has no "
			   "listeners; the kernel has\nnot freed it, because "
			   "something holds it.\n");
		return show_single(json_object_get(reply, "lingering"),
				   show_lingering);
	}
	return show_present(reply);
}

int show_explain(const json_t *reply)
{
	int r = show_state(reply);

	/* A reader who wonders why an edit has no effect is to see the reason.
	 */
	if (r >= 0) {
		(void)show_problems(json_object_get(reply, "files"),
				    "\nProblems in the rule files:\n");
		(void)show_container_problems(
			json_object_get(reply, "container_files"),
			"\nProblems in the files that tell of containers:\n");
	}
	return r;
}
