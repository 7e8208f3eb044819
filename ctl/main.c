// SPDX-License-Identifier: Apache-2.0
/* main.c - berthctl: asks berthd, and shows the answer
 *
 * Each command is one call of io.berth. Only `check` with arguments calls
 * nobody: check.c does it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"
#include "client/client.h"
#include "client/prometheus.h"
#include "ctl/check.h"
#include "ctl/color.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/monitor.h"
#include "ctl/print_json.h"
#include "ctl/register_options.h"
#include "ctl/show.h"
#include "ctl/text.h"
#include "ctl/top/top.h"

#define DEFAULT_RUNTIME_DIR "/run/berth"

/* For a reply beyond the time that berthd waits. */
#define REPLY_US (30 * USEC_PER_SEC)

struct options {
	const char *runtime_dir;
	const char *pid;
	const char *namespaces;
	struct register_options registering;
	struct top_options top;
	struct monitor_options monitoring;
	bool json;
	bool live;
};

static void print_usage(FILE *out)
{
	(void)fprintf(out, "Usage: berthctl [OPTION...] COMMAND\n\n"
			   "Asks berthd about network namespaces and their "
			   "listeners.\n\nCommands:\n");
	commands_print(out);
	(void)fprintf(
		out,
		"\nOptions:\n"
		"  --runtime-dir DIR        where berthd has its sockets "
		"(default " DEFAULT_RUNTIME_DIR ")\n"
		"  --json                   print JSON instead of a table\n"
		"  --color auto|always|never\n"
		"                           colours; auto, the default: on a "
		"terminal\n"
		"  --pid PID                the NAMESPACE is that of a "
		"process\n"
		"  --live                   check: what would be opened and "
		"closed now\n"
		"  --timeout DURATION       how long to wait, such as 500ms "
		"(default 30s)\n"
		"  --namespaces PATTERN     metrics of the listeners in these "
		"namespaces\n"
		"\nOptions of top:\n"
		"  --sort name|state|connections|rate|bytes|age\n"
		"                           what comes first (default rate)\n"
		"  --interval DURATION      time from sample to sample "
		"(default "
		"2s)\n"
		"\nOptions of monitor:\n"
		"  --kind KIND              only such events, such as "
		"listener.opened, or\n"
		"                           listener for all of listeners; as "
		"often as wanted\n"
		"  --rule RULE              only events of this rule\n"
		"\nOptions of register, and of unregister NAME or --id:\n"
		"  --netns PATH             what leads to the namespace; "
		"else that of --pid\n"
		"  --name NAME              the container's name\n"
		"  --pod-namespace NAME     the namespace of its pod\n"
		"  --label KEY=VALUE        a label, as often as there are "
		"labels\n"
		"  --id ID                  the container's id\n"
		"  --runtime NAME           the program that runs it\n"
		"  --wait DURATION          wait for its listeners, at most "
		"60s\n\n"
		"  --version                print the version\n"
		"  -h, --help               print this\n\n"
		"Exit status: 0 all is well; 1 what was asked for is bad "
		"or not there;\n2 usage; 3 berthd cannot be reached; 4 not "
		"all listeners are listening;\n5 not permitted; 6 berthd "
		"has as many as it takes.\n");
}

static void usage_error(const char *problem, const char *what)
{
	_cleanup_free_ char *text = text_printable(what, NULL);

	(void)fprintf(stderr,
		      "berthctl: %s '%s'; 'berthctl --help' lists what there "
		      "is\n",
		      problem, text ? text : "?");
}

static enum exit_code unreachable(const char *path, int error)
{
	const char *hint = "";

	if (error == -ENOENT || error == -ECONNREFUSED)
		hint = "; is berthd running with this --runtime-dir?";
	else if (error == -EACCES || error == -EPERM)
		hint = "; only root and the group of readers may ask it";
	else if (error == -EPROTO)
		hint = "; what answers there is not berthd";
	else if (error == -ECONNRESET || error == -EPIPE)
		hint = "; berthd ended the connection: its log may say why";
	(void)fprintf(stderr, "berthctl: cannot talk to berthd at %s: %s%s\n",
		      path, strerror(-error), hint);
	return EXIT_UNREACHABLE;
}

static void print_candidates(const json_t *parameters)
{
	const json_t *candidates = json_object_get(parameters, "candidates");
	json_t *candidate;
	size_t i;

	(void)fprintf(stderr, "berthctl: several namespaces have this name; "
			      "say which one:\n");
	json_array_foreach (candidates, i, candidate) {
		_cleanup_free_ char *text =
			text_printable(json_string_length(candidate)
					       ? json_string_value(candidate)
					       : "",
				       NULL);

		(void)fprintf(stderr, "  %s\n", text ? text : "?");
	}
}

static bool is_error(const struct client_reply *reply, const char *error)
{
	return strcmp(reply->error, error) == 0;
}

/* What the exit status says of an error. */
static enum exit_code error_code(const struct client_reply *reply)
{
	if (is_error(reply, "org.varlink.service.InvalidParameter"))
		return EXIT_USAGE;
	if (is_error(reply, INTERFACE "NotPermitted"))
		return EXIT_NOT_PERMITTED;
	if (is_error(reply, INTERFACE "LimitReached"))
		return EXIT_LIMIT;
	return EXIT_BAD;
}

/* Prints an error reply of berthd in words. */
static enum exit_code print_error(const struct client_reply *reply)
{
	const char *message = show_text(reply->parameters, "message");
	_cleanup_free_ char *text = NULL;

	if (!*message)
		message = show_text(reply->parameters, "reason");
	if (strcmp(reply->error, INTERFACE "AmbiguousNamespace") == 0) {
		print_candidates(reply->parameters);
		return EXIT_BAD;
	}
	text = text_printable(*message ? message : reply->error, NULL);
	if (strcmp(reply->error, INTERFACE "ReloadFailed") == 0)
		(void)fprintf(stderr, "berthctl: berthd cannot reload: %s\n",
			      text ? text : "?");
	else if (strcmp(reply->error, INTERFACE "RestartFailed") == 0)
		(void)fprintf(stderr,
			      "berthctl: berthd cannot restart berth-relay: "
			      "%s\n",
			      text ? text : "?");
	else if (error_code(reply) == EXIT_USAGE)
		(void)fprintf(stderr, "berthctl: berthd refuses '%s': %s\n",
			      show_text(reply->parameters, "parameter"),
			      text ? text : "?");
	else if (strcmp(reply->error, INTERFACE "NoSuchNamespace") == 0 ||
		 strcmp(reply->error, INTERFACE "NoSuchTarget") == 0)
		(void)fprintf(stderr, "berthctl: %s\n", text ? text : "?");
	else
		(void)fprintf(stderr, "berthctl: berthd refuses: %s\n",
			      text ? text : "?");
	return error_code(reply);
}

/* What the table would make of a reply, as with --json the exit code is the
 * same. */
static int judge(const struct command *command, const json_t *reply)
{
	const json_t *files = json_object_get(reply, "files");
	const json_t *container_files =
		json_object_get(reply, "container_files");
	const json_t *config = json_object_get(reply, "config");
	json_t *file;
	size_t i;

	if (command->show == show_reload)
		return show_number(reply, "problems") > 0;
	if (command->show == show_waited || command->show == show_registered)
		return show_flag(reply, "ready") ? EXIT_OK : EXIT_NOT_READY;
	if (command->show == show_explain)
		return strcmp(show_text(reply, "state"), "present") != 0;
	if (command->show != show_check)
		return 0;
	if (json_array_size(json_object_get(config, "problems")) > 0 ||
	    json_array_size(container_files) > 0)
		return 1;
	json_array_foreach (files, i, file) {
		if (json_array_size(json_object_get(file, "problems")) > 0)
			return 1;
	}
	return 0;
}

/**
 * struct answer - the replies to one call, on their way to the terminal
 * @print:	with --json
 * @list:	the state of the command's own list
 * @whole:	what the replies make together, of other commands
 * @bad:	an exit code: what was asked for is bad, not there or not ready
 */
struct answer {
	const struct command *command;
	struct print_json *print;
	void *list;
	json_t *whole;
	int bad;
};

static int answer_begin(struct answer *answer, const struct command *command,
			bool json)
{
	*answer = (struct answer){ .command = command };
	if (json)
		answer->print = print_json_new(stdout);
	else if (command->list)
		answer->list = command->list->begin();
	else
		answer->whole = json_object();
	return answer->print || answer->list || answer->whole ? 0 : -ENOMEM;
}

/* Arrays of several replies are put together; all else is the same in each. */
static int merge(json_t *whole, json_t *part)
{
	const char *key;
	json_t *value, *array;

	json_object_foreach (part, key, value) {
		array = json_object_get(whole, key);
		if (!array && json_object_set(whole, key, value) < 0)
			return -ENOMEM;
		if (json_is_array(array) && json_is_array(value) &&
		    json_array_extend(array, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int answer_add(struct answer *answer, const struct client_reply *reply)
{
	int bad = judge(answer->command, reply->parameters);

	if (bad)
		answer->bad = bad;
	if (answer->print)
		return print_json_reply(answer->print, reply->parameters);
	if (answer->list)
		return answer->command->list->add(
			answer->list, reply->parameters, reply->array);
	return merge(answer->whole, reply->parameters);
}

/* Return: 0; an exit code; -errno. */
static int answer_end(struct answer *answer)
{
	int r;

	if (answer->print)
		r = print_json_end(answer->print);
	else if (answer->list)
		r = answer->command->list->end(answer->list);
	else
		r = answer->command->show(answer->whole);
	return r == 0 && answer->print ? answer->bad : r;
}

static void answer_done(struct answer *answer)
{
	print_json_free(answer->print);
	if (answer->list)
		answer->command->list->free(answer->list);
	json_decref(answer->whole);
}

static bool waits(const struct command *command)
{
	return command->show == show_waited;
}

static bool monitors(const struct command *command)
{
	return strcmp(command->name, "monitor") == 0;
}

static bool prints_metrics(const struct command *command)
{
	return strcmp(command->name, "metrics") == 0;
}

static bool takes_namespace(const struct command *command)
{
	return command->argument &&
	       (strcmp(command->argument, "NAMESPACE") == 0 || waits(command));
}

static const char *parameter_name(const struct command *command)
{
	if (command->show == show_log_level)
		return "level";
	if (command->show == show_backends)
		return "rule";
	return takes_namespace(command) ? "namespace" : "target";
}

/* The parameters of a call; NULL when memory is short. A name that is not
 * UTF-8 is escaped as in replies, which berthd understands. */
static json_t *make_parameters(const struct command *command,
			       const struct options *options,
			       const char *argument, bool with_fd)
{
	const struct register_options *registering = &options->registering;
	_cleanup_free_ char *text = NULL;

	if (command->show == show_registered)
		return register_parameters(registering, options->pid, with_fd);
	if (command->show == show_unregistered)
		return unregister_parameters(registering, argument);
	if (command->show == show_waited)
		return wait_parameters(registering, argument);
	if (prints_metrics(command)) {
		text = options->namespaces ? utf8_escape(options->namespaces)
					   : NULL;
		return !options->namespaces || text
			       ? prometheus_parameters(text)
			       : NULL;
	}
	if (monitors(command))
		return monitor_parameters(&options->monitoring, argument);
	if (command->show == show_check)
		return json_pack("{s:b}", "warnings", true);
	if (!argument)
		return json_object();
	text = utf8_escape(argument);
	return text ? json_pack("{s:s}", parameter_name(command), text) : NULL;
}

/* Reads all replies to the call. Return: 0, or the -errno of client_next(). */
static int read_replies(struct client *client, const struct command *command,
			const struct options *options, enum exit_code *ret_code)
{
	struct client_reply reply;
	struct answer answer;
	int r = 0, shown = answer_begin(&answer, command, options->json);
	bool continues = true;

	while (shown == 0 && continues) {
		r = client_next(client,
				answer.list ? command->list->array : NULL,
				&reply);
		if (r < 0)
			break;
		continues = reply.continues;
		if (reply.error) {
			*ret_code = print_error(&reply);
			client_reply_done(&reply);
			answer_done(&answer);
			return 0;
		}
		shown = answer_add(&answer, &reply);
		client_reply_done(&reply);
	}
	if (r == 0)
		*ret_code = exit_code_finish(shown < 0 ? shown
						       : answer_end(&answer));
	/* Who does not wait only wants to know. */
	if (*ret_code == EXIT_NOT_READY && command->show == show_registered &&
	    options->registering.wait_ms <= 0)
		*ret_code = EXIT_OK;
	answer_done(&answer);
	return r;
}

/* Opens what berthd itself may not open for this caller. @ret_fd: -1: nothing.
 * Return: false after a report. */
static bool open_netns(const struct command *command,
		       const struct options *options, int *ret_fd)
{
	const char *path = options->registering.netns;
	_cleanup_free_ char *text = NULL;
	int error;

	*ret_fd = -1;
	if (command->show != show_registered || !path || geteuid() == 0)
		return true;
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd >= 0)
		return true;
	error = errno;
	text = text_printable(path, NULL);
	(void)fprintf(stderr, "berthctl: cannot open '%s': %s\n",
		      text ? text : "?", strerror(error));
	return false;
}

/* When berthd must have answered; 0: there is no such time. */
static uint64_t reply_deadline(const struct command *command, int64_t wait_ms)
{
	if (command->show != show_waited && command->show != show_registered)
		return 0;
	return monotonic_us() + 2 * REPLY_US +
	       (wait_ms > 0 ? (uint64_t)wait_ms * USEC_PER_MSEC : 0);
}

static enum exit_code run(const struct command *command,
			  const struct options *options, const char *argument)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;
	struct client_call call = { .method = command->method };
	struct client *client = NULL;
	enum exit_code code = EXIT_UNREACHABLE;
	int r;

	if (!open_netns(command, options, &fd))
		return EXIT_BAD;
	if (fd >= 0)
		call.fd = &fd;
	call.deadline_us =
		reply_deadline(command, options->registering.wait_ms);
	if (asprintf(&path, "%s/control.sock", options->runtime_dir) < 0) {
		path = NULL; /* asprintf(3) leaves it undefined */
		r = -ENOMEM;
	} else {
		call.parameters =
			make_parameters(command, options, argument, fd >= 0);
		r = client_call(path, &call, &client);
	}
	if (r == 0 && monitors(command))
		r = monitor_show(client, options->json, print_error, &code);
	else if (r == 0)
		r = read_replies(client, command, options, &code);
	client_free(client);
	if (r < 0)
		return unreachable(path ? path : options->runtime_dir, r);
	return code;
}

/* --pid stands for the argument. Return: the path of its namespace, allocated;
 * NULL after a report. */
static char *pid_argument(const struct command *command, const char *pid)
{
	char *path = NULL;

	if (!takes_namespace(command)) {
		usage_error("--pid has no meaning for", command->name);
		return NULL;
	}
	if (asprintf(&path, "/proc/%s/ns/net", pid) < 0)
		return NULL;
	return path;
}

static enum exit_code run_top(const struct options *options, const char *view)
{
	struct top_options top = options->top;
	_cleanup_free_ char *path = NULL;
	enum exit_code code = EXIT_BAD;
	int r = -ENOMEM;

	top.view = view;
	top.json = options->json;
	if (asprintf(&path, "%s/control.sock", options->runtime_dir) < 0)
		path = NULL; /* asprintf(3) leaves it undefined */
	else
		r = top_run(path, &top, &code);
	return r < 0 ? unreachable(path ? path : options->runtime_dir, r)
		     : code;
}

static enum exit_code run_words(const struct options *options, char **words,
				int n)
{
	const struct command *command;

	if (n == 0) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	command = command_find(words[0]);
	if (!command) {
		usage_error("unknown command", words[0]);
		return EXIT_USAGE;
	}
	if (options->namespaces && !prints_metrics(command)) {
		usage_error("--namespaces has no meaning for", command->name);
		return EXIT_USAGE;
	}
	if (options->live && (command->show != show_check || options->json)) {
		usage_error("--live is for check without --json, not",
			    words[0]);
		return EXIT_USAGE;
	}
	if (register_options_check(&options->registering, command->name,
				   n > 1 ? words[1] : NULL, options->pid) < 0)
		return EXIT_USAGE;
	if (options->monitoring.too_many) {
		usage_error("too many options --kind for", command->name);
		return EXIT_USAGE;
	}
	if (monitor_options_given(&options->monitoring) && !monitors(command)) {
		usage_error("--kind and --rule have no meaning for",
			    command->name);
		return EXIT_USAGE;
	}
	if ((options->top.sort || options->top.interval) && command->method) {
		usage_error("--sort and --interval have no meaning for",
			    command->name);
		return EXIT_USAGE;
	}
	if (command->show == show_check && (n > 1 || options->live)) {
		if (options->json)
			return check_json(words + 1, n - 1);
		return check_run(words + 1, n - 1,
				 options->live ? options->runtime_dir : NULL);
	}
	if (command->show == show_registered)
		return run(command, options, NULL);
	if (options->pid && n == 1) {
		_cleanup_free_ char *path = pid_argument(command, options->pid);

		return path ? run(command, options, path) : EXIT_USAGE;
	}
	if (n > (command->argument && !options->pid ? 2 : 1)) {
		usage_error("unexpected argument", words[n - 1]);
		return EXIT_USAGE;
	}
	if (command->argument && command->required && n < 2) {
		usage_error(takes_namespace(command)
				    ? "a namespace is missing after"
				    : "a rule or listener is missing after",
			    words[0]);
		return EXIT_USAGE;
	}
	if (!command->method)
		return run_top(options, n > 1 ? words[1] : NULL);
	return run(command, options, n > 1 ? words[1] : NULL);
}

/* Return: is it a number? */
static bool take_pid(struct options *options, const char *pid)
{
	options->pid = pid;
	if (*pid && !pid[strspn(pid, "0123456789")])
		return true;
	usage_error("--pid is no number:", pid);
	return false;
}

int main(int argc, char **argv)
{
	enum {
		OPTION_RUNTIME_DIR = 256,
		OPTION_JSON,
		OPTION_COLOR,
		OPTION_SORT,
		OPTION_INTERVAL,
		OPTION_PID,
		OPTION_NAMESPACES,
		OPTION_LIVE,
		OPTION_MONITOR,
		OPTION_REGISTER,
		OPTION_VERSION
	};
	static const struct option long_options[] = {
		{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "color", required_argument, NULL, OPTION_COLOR },
		{ "sort", required_argument, NULL, OPTION_SORT },
		{ "interval", required_argument, NULL, OPTION_INTERVAL },
		{ "pid", required_argument, NULL, OPTION_PID },
		{ "namespaces", required_argument, NULL, OPTION_NAMESPACES },
		{ "live", no_argument, NULL, OPTION_LIVE },
		{ "kind", required_argument, NULL, OPTION_MONITOR },
		{ "rule", required_argument, NULL, OPTION_MONITOR },
		{ "timeout", required_argument, NULL, OPTION_REGISTER },
		{ "netns", required_argument, NULL, OPTION_REGISTER },
		{ "name", required_argument, NULL, OPTION_REGISTER },
		{ "pod-namespace", required_argument, NULL, OPTION_REGISTER },
		{ "label", required_argument, NULL, OPTION_REGISTER },
		{ "id", required_argument, NULL, OPTION_REGISTER },
		{ "runtime", required_argument, NULL, OPTION_REGISTER },
		{ "wait", required_argument, NULL, OPTION_REGISTER },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .runtime_dir = DEFAULT_RUNTIME_DIR,
				   .registering.wait_ms = -1 };
	enum exit_code code;
	int c, index = 0;

	/* If this fails, all but ASCII is escaped. */
	(void)setlocale(LC_CTYPE, "");
	(void)color_choose("auto"); /* it is one of the three */
	while ((c = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
		switch (c) {
		case OPTION_RUNTIME_DIR:
			options.runtime_dir = optarg;
			break;
		case OPTION_JSON:
			options.json = true;
			break;
		case OPTION_COLOR:
			if (color_choose(optarg) < 0) {
				usage_error("--color is neither auto, always "
					    "nor never:",
					    optarg);
				return EXIT_USAGE;
			}
			break;
		case OPTION_SORT:
			options.top.sort = optarg;
			break;
		case OPTION_INTERVAL:
			options.top.interval = optarg;
			break;
		case OPTION_PID:
			if (!take_pid(&options, optarg))
				return EXIT_USAGE;
			break;
		case OPTION_NAMESPACES:
			options.namespaces = optarg;
			break;
		case OPTION_LIVE:
			options.live = true;
			break;
		case OPTION_MONITOR:
			monitor_options_take(&options.monitoring,
					     long_options[index].name, optarg);
			break;
		case OPTION_REGISTER:
			if (register_options_take(&options.registering,
						  long_options[index].name,
						  optarg) < 0)
				return EXIT_USAGE;
			break;
		case OPTION_VERSION:
			(void)printf("berthctl %s\n", BERTH_VERSION);
			return EXIT_OK;
		case 'h':
			print_usage(stdout);
			return EXIT_OK;
		default: /* getopt_long(3) said what is wrong */
			(void)fprintf(stderr, "Try 'berthctl --help'\n");
			return EXIT_USAGE;
		}
	}
	code = run_words(&options, argv + optind, argc - optind);
	register_options_done(&options.registering);
	return (int)code;
}
