// SPDX-License-Identifier: Apache-2.0
/* show_status.c - status, reload and check for people */
#include "ctl/show.h"

#include <string.h>

#include "common/util.h"
#include "ctl/text.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

/* Prints the beginning of a line; @label is empty where the line above goes
 * on. */
static void print_label(const char *label)
{
	(void)printf("%-12s", label); /* main checks ferror(3) */
}

static void print_text(const char *text)
{
	_cleanup_free_ char *printable = text_printable(text, NULL);

	(void)fputs(printable ? printable : "?", stdout);
}

static const char *plural(json_int_t n)
{
	return n == 1 ? "" : "s";
}

static void print_directories(const json_t *reply)
{
	const json_t *directories = json_object_get(reply, "directories");
	json_t *directory;
	size_t i;

	json_array_foreach (directories, i, directory) {
		print_label(i == 0 ? "directories" : "");
		print_text(show_text(directory, "path"));
		(void)puts(show_flag(directory, "exists")
				   ? ""
				   : " (does not exist)");
	}
}

static json_int_t count_problems(const json_t *files)
{
	json_int_t n = 0;
	json_t *file;
	size_t i;

	json_array_foreach (files, i, file)
		n += (json_int_t)json_array_size(
			json_object_get(file, "problems"));
	return n;
}

static void print_registrations(const json_t *registrations)
{
	json_int_t held = show_number(registrations, "held");

	(void)printf(", " NUMBER " registered",
		     show_number(registrations, "count"));
	if (held > 0)
		(void)printf(" (" NUMBER " namespace%s held open)", held,
			     plural(held));
}

static void print_containers(const json_t *reply)
{
	const json_t *registrations = json_object_get(reply, "registrations");
	json_int_t pending = show_number(reply, "pending_containers");
	json_int_t problems =
		count_problems(json_object_get(reply, "container_files"));

	print_label("containers");
	(void)printf(NUMBER, show_number(reply, "containers"));
	if (pending > 0)
		(void)printf(", " NUMBER " without a namespace", pending);
	if (show_number(registrations, "count") > 0)
		print_registrations(registrations);
	if (problems > 0)
		(void)printf(", " NUMBER " problem%s in their files", problems,
			     plural(problems));
	(void)putchar('\n');
}

static void print_counts(const json_t *reply)
{
	const json_t *listeners = json_object_get(reply, "listeners");
	json_int_t pending = show_number(reply, "pending");
	json_int_t refused = show_number(listeners, "refused");

	print_label("namespaces");
	(void)printf(NUMBER, show_number(reply, "namespaces"));
	if (pending > 0)
		(void)printf(", " NUMBER " name%s pending", pending,
			     plural(pending));
	if (!show_flag(reply, "settled"))
		(void)printf(", still looking at what exists");
	(void)putchar('\n');
	print_containers(reply);
	print_label("listeners");
	(void)printf(NUMBER " listening, " NUMBER " waiting",
		     show_number(listeners, "open"),
		     show_number(listeners, "waiting"));
	if (refused > 0)
		(void)printf(", " NUMBER " refused", refused);
	(void)putchar('\n');
}

static void print_rules(const json_t *reply)
{
	const json_t *files = json_object_get(reply, "files");
	json_int_t rules = show_number(reply, "rules");
	json_int_t n = (json_int_t)json_array_size(files);
	json_int_t problems = count_problems(files);

	print_label("rules");
	(void)printf(NUMBER " in " NUMBER " file%s", rules, n, plural(n));
	if (problems > 0)
		(void)printf(", " NUMBER " problem%s", problems,
			     plural(problems));
	(void)putchar('\n');
}

static void print_settings(const char *what, const json_t *settings)
{
	json_t *setting;
	size_t i;

	json_array_foreach (settings, i, setting)
		(void)printf("%s%s", i == 0 ? what : ", ",
			     json_string_value(setting));
}

static void print_config(const json_t *reply)
{
	const json_t *config = json_object_get(reply, "config");
	const json_t *restart = json_object_get(config, "restart");
	size_t problems = json_array_size(json_object_get(config, "problems"));

	print_label("config");
	print_text(show_text(config, "path"));
	if (!show_flag(config, "exists"))
		(void)printf(" (does not exist)");
	if (problems > 0)
		(void)printf(", %zu problem%s", problems,
			     plural((json_int_t)problems));
	print_settings("; berthd must be started again for ", restart);
	(void)putchar('\n');
}

static void print_consumer(const json_t *consumer)
{
	print_text(show_text(consumer, "name"));
	if (show_flag(consumer, "connected"))
		(void)printf(" (pid " NUMBER ")", show_number(consumer, "pid"));
	else
		(void)printf(" (not connected)");
	(void)printf(": has " NUMBER ", is to get " NUMBER
		     ", is to release " NUMBER "\n",
		     show_number(consumer, "delivered"),
		     show_number(consumer, "undelivered"),
		     show_number(consumer, "withdrawn"));
}

static void print_consumers(const json_t *reply)
{
	const json_t *consumers = json_object_get(reply, "consumers");
	json_t *consumer;
	size_t i;

	json_array_foreach (consumers, i, consumer) {
		print_label(i == 0 ? "consumers" : "");
		print_consumer(consumer);
	}
}

static void print_history(const json_t *reply)
{
	const json_t *events = json_object_get(reply, "events");
	const json_t *freed = json_object_get(reply, "freed");
	char last[TEXT_DURATION_MAX], max[TEXT_DURATION_MAX];
	json_int_t n = show_number(freed, "count");

	print_label("events");
	(void)printf(NUMBER " of names (" NUMBER " overflows), " NUMBER
			    " of netlink (" NUMBER " overflows), " NUMBER
			    " resync%s, " NUMBER " looks at a namespace\n",
		     show_number(events, "names"),
		     show_number(events, "names_overflows"),
		     show_number(events, "netlink"),
		     show_number(events, "netlink_overflows"),
		     show_number(events, "resyncs"),
		     plural(show_number(events, "resyncs")),
		     show_number(events, "planned"));
	print_label("freed");
	(void)printf(NUMBER " namespace%s", n, plural(n));
	if (n > 0)
		(void)printf(", the last %s after its name went, at most %s",
			     text_duration(show_number(freed, "last_us"), last),
			     text_duration(show_number(freed, "max_us"), max));
	(void)putchar('\n');
}

int show_status(const json_t *reply)
{
	const json_t *lingering = json_object_get(reply, "lingering");
	char uptime[TEXT_DURATION_MAX];

	(void)printf("berthd ");
	print_text(show_text(reply, "version"));
	(void)printf(", pid " NUMBER ", up for %s\n", show_number(reply, "pid"),
		     text_duration(show_number(reply, "uptime_us"), uptime));
	print_config(reply);
	print_directories(reply);
	print_counts(reply);
	print_rules(reply);
	print_consumers(reply);
	print_history(reply);
	(void)show_problems(json_object_get(reply, "files"), "\n");
	if (json_array_size(lingering) == 0)
		return 0;
	(void)putchar('\n');
	return show_lingering(lingering);
}

static void print_problem(const json_t *problem, const char *severity)
{
	print_text(show_text(problem, "file"));
	if (show_number(problem, "line"))
		(void)printf(":" NUMBER ":" NUMBER,
			     show_number(problem, "line"),
			     show_number(problem, "column"));
	(void)printf(": %s", severity);
	print_text(show_text(problem, "message"));
	(void)putchar('\n');
}

size_t show_problems(const json_t *files, const char *before)
{
	json_t *file, *problem;
	size_t i, j, n = 0;

	json_array_foreach (files, i, file) {
		const json_t *problems = json_object_get(file, "problems");

		if (json_array_size(problems) > 0 && n == 0)
			(void)fputs(before, stdout);
		n += json_array_size(problems);
		json_array_foreach (problems, j, problem) {
			print_problem(problem, "");
		}
		if (!show_flag(file, "last_good") &&
		    (json_array_size(problems) == 0 ||
		     show_number(file, "rules") > 0))
			continue;
		print_text(show_text(file, "path"));
		if (!show_flag(file, "last_good")) {
			(void)puts(": no rule of it is in force");
			continue;
		}
		(void)printf(
			": the last good version stays in force, with " NUMBER
			" rule%s\n",
			show_number(file, "rules"),
			plural(show_number(file, "rules")));
	}
	return n;
}

size_t show_container_problems(const json_t *files, const char *before)
{
	json_t *file, *problem;
	size_t i, j, n = 0;

	json_array_foreach (files, i, file) {
		const json_t *problems = json_object_get(file, "problems");
		json_int_t containers = show_number(file, "containers");

		if (n == 0)
			(void)fputs(before, stdout);
		n += json_array_size(problems);
		json_array_foreach (problems, j, problem) {
			print_problem(problem, "");
		}
		if (containers == 0)
			continue;
		print_text(show_text(file, "path"));
		(void)printf(": what it said before stays in force, of " NUMBER
			     " container%s\n",
			     containers, plural(containers));
	}
	return n;
}

size_t show_config_problems(const json_t *config)
{
	const json_t *problems = json_object_get(config, "problems");
	json_t *problem;
	size_t i;

	json_array_foreach (problems, i, problem) {
		print_problem(problem, "");
	}
	if (json_array_size(problems) > 0) {
		print_text(show_text(config, "path"));
		(void)printf(": the last good version stays in force\n");
	}
	return json_array_size(problems);
}

int show_check(const json_t *reply)
{
	const json_t *warnings = json_object_get(reply, "warnings");
	const json_t *files = json_object_get(reply, "files");
	json_int_t n = (json_int_t)json_array_size(files);
	size_t problems =
		show_config_problems(json_object_get(reply, "config")) +
		show_container_problems(
			json_object_get(reply, "container_files"), "");
	json_t *warning;
	size_t i;

	problems += show_problems(files, "");
	json_array_foreach (warnings, i, warning) {
		print_problem(warning, "warning: ");
	}
	if (problems > 0)
		return 1;
	(void)printf("%zu rules in " NUMBER " file%s, no problems",
		     json_array_size(json_object_get(reply, "rules")), n,
		     plural(n));
	if (i > 0)
		(void)printf(", %zu warning%s", i, plural((json_int_t)i));
	(void)putchar('\n');
	return 0;
}

static void print_reloaded_config(const json_t *reply)
{
	const json_t *config = json_object_get(reply, "config");
	const json_t *changed = json_object_get(reply, "changed");
	const json_t *restart = json_object_get(config, "restart");

	(void)show_config_problems(config);
	print_settings("changed: ", changed);
	if (json_array_size(changed) > 0)
		(void)putchar('\n');
	print_settings("berthd must be started again for: ", restart);
	if (json_array_size(restart) > 0)
		(void)putchar('\n');
}

int show_nothing(const json_t *reply)
{
	(void)reply;
	return 0;
}

int show_log_level(const json_t *reply)
{
	(void)printf("%s%s\n", show_text(reply, "level"),
		     show_flag(reply, "relay_told") ? "; berth-relay is told"
						    : "");
	return 0;
}

int show_reload(const json_t *reply)
{
	json_int_t rules = show_number(reply, "rules");
	json_int_t problems = show_number(reply, "problems");

	print_reloaded_config(reply);
	(void)printf(NUMBER " rule%s in force, ", rules, plural(rules));
	if (problems == 0)
		(void)puts("no problems");
	else
		(void)printf(NUMBER " problem%s: see berthctl check\n",
			     problems, plural(problems));
	return problems > 0;
}

int show_drain(const json_t *reply)
{
	json_int_t listeners = show_number(reply, "listeners");
	json_int_t draining = show_number(reply, "draining");

	if (show_number(reply, "connections") > 0) {
		(void)puts("closed");
		return 0;
	}
	(void)printf(NUMBER " open listener%s closed", listeners,
		     plural(listeners));
	if (draining > 0)
		(void)printf(", " NUMBER " that drained told to end", draining);
	(void)puts("; 'berthctl undrain' opens them again");
	return 0;
}

int show_undrain(const json_t *reply)
{
	json_int_t targets = show_number(reply, "targets");

	(void)printf(NUMBER " rule%s or listener%s opened again\n", targets,
		     plural(targets), plural(targets));
	return 0;
}
