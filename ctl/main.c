// SPDX-License-Identifier: Apache-2.0
/* main.c - berthctl: asks berthd, and shows the answer
 *
 * Each command is one call of io.berth. Only `check` with arguments calls
 * nobody: it runs `berthd --check`, which reads the files with the rights of
 * the caller; with --json berthctl makes JSON of the lines that berthd prints.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/utf8.h"
#include "common/util.h"
#include "ctl/client.h"
#include "ctl/show.h"
#include "ctl/text.h"

#define DEFAULT_RUNTIME_DIR "/run/berth"
#define INTERFACE "io.berth."

enum exit_code {
	EXIT_OK = 0,
	EXIT_BAD = 1, /* problems were found, or what was asked for does not
			 exist */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3, /* berthd did not answer */
};

/**
 * struct command - one word on the command line
 * @argument:	name of its argument, or NULL
 * @required:	does it need the argument?
 */
struct command {
	const char *name;
	const char *method;
	const char *argument;
	bool required;
	int (*show)(const json_t *reply);
	const char *help;
};

struct options {
	const char *runtime_dir;
	bool json;
};

static const struct command commands[] = {
	{ "status", INTERFACE "GetStatus", NULL, false, show_status,
	  "what berthd is doing, in numbers" },
	{ "namespaces", INTERFACE "ListNamespaces", NULL, false,
	  show_namespaces, "the namespaces berthd knows" },
	{ "listeners", INTERFACE "ListListeners", "NAMESPACE", false,
	  show_listeners, "the listeners of all namespaces, or of one" },
	{ "stats", INTERFACE "GetStats", NULL, false, show_stats,
	  "what was accepted and transferred, by rule" },
	{ "rules", INTERFACE "ListRules", NULL, false, show_rules,
	  "the rules in force" },
	{ "check", INTERFACE "ListRules", "FILE|DIR...", false, show_check,
	  "problems in the rules berthd reads, or in these" },
	{ "reload", INTERFACE "Reload", NULL, false, show_reload,
	  "have berthd read the rules again" },
	{ "explain", INTERFACE "Explain", "NAMESPACE", true, show_explain,
	  "why a namespace has its listeners, and lacks others" },
};

static void print_usage(FILE *out)
{
	(void)fprintf(out, "Usage: berthctl [OPTION...] COMMAND\n\n"
			   "Asks berthd about network namespaces and their "
			   "listeners.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];
		char words[64];

		(void)snprintf(words, sizeof(words),
			       command->required   ? "%s %s"
			       : command->argument ? "%s [%s]"
						   : "%s",
			       command->name, command->argument);
		(void)fprintf(out, "  %-24s %s\n", words, command->help);
	}
	(void)fprintf(
		out,
		"\nOptions:\n"
		"  --runtime-dir DIR        where berthd has its sockets "
		"(default " DEFAULT_RUNTIME_DIR ")\n"
		"  --json                   print JSON instead of a table\n"
		"  --version                print the version\n"
		"  --help                   print this\n\n"
		"Exit status: 0 all is well; 1 what was asked for is bad "
		"or not there;\n2 usage; 3 berthd cannot be reached.\n");
}

static void usage_error(const char *problem, const char *what)
{
	_cleanup_free_ char *text = text_printable(what, NULL);

	(void)fprintf(stderr,
		      "berthctl: %s '%s'; 'berthctl --help' lists what there "
		      "is\n",
		      problem, text ? text : "?");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Tries berthd beside this program, in sbin beside its bin, and in PATH. */
static enum exit_code run_check(char *const *paths, int n)
{
	static const char *const places[] = { "berthd", "../sbin/berthd" };
	char own[4096] = "", other[sizeof(own) + 32];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	_cleanup_free_ char **argv = calloc((size_t)n + 4, sizeof(argv[0]));
	char *slash;
	int i;

	if (!argv) {
		(void)fprintf(stderr, "berthctl: out of memory\n");
		return EXIT_BAD;
	}
	argv[0] = (char *)"berthd";
	argv[1] = (char *)"--check";
	argv[2] = (char *)"--";
	for (i = 0; i < n; i++)
		argv[3 + i] = paths[i];
	own[len > 0 ? len : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t j = 0; slash && j < ARRAY_SIZE(places); j++) {
		(void)snprintf(other, sizeof(other), "%s/%s", own, places[j]);
		(void)execv(other, argv); /* returns only on failure */
	}
	(void)execvp("berthd", argv); /* as above */
	(void)fprintf(stderr,
		      "berthctl: cannot run berthd --check: %s (looked beside "
		      "berthctl and in PATH)\n",
		      strerror(errno));
	return EXIT_UNREACHABLE;
}

/* Starts `berthd --check` as a child. Return: a stream of the problems that it
 * prints; NULL with errno. */
static FILE *start_check(char *const *paths, int n, pid_t *ret_pid)
{
	FILE *problems;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	problems = fdopen(fds[0], "r");
	pid = problems ? fork() : -1;
	if (pid == 0) {
		/* berthd prints good news to stdout, where only JSON is
		 * expected: drop them. */
		(void)dup2(fds[1], STDERR_FILENO);
		if (!freopen("/dev/null", "w", stdout))
			_exit(EXIT_BAD);
		_exit((int)run_check(paths, n));
	}
	(void)close(fds[1]);
	if (pid > 0) {
		*ret_pid = pid;
		return problems;
	}
	if (problems)
		(void)fclose(problems);
	else
		(void)close(fds[0]);
	return NULL;
}

/* Splits "file:line:column: message", or "file: message", in place. */
static const char *split_problem(char *text, unsigned int *ret_line,
				 unsigned int *ret_column)
{
	char *colon = strchr(text, ':');
	int len = 0;

	while (colon &&
	       /* The numbers are berthd's own: none is out of range.
		* NOLINTNEXTLINE(cert-err34-c) */
	       (sscanf(colon, ":%u:%u: %n", ret_line, ret_column, &len) < 2 ||
		len == 0))
		colon = strchr(colon + 1, ':');
	if (!colon) {
		*ret_line = *ret_column = 0;
		colon = strstr(text, ": ");
		len = 2;
	}
	if (!colon)
		return text;
	*colon = '\0';
	return colon + len;
}

/* Finds the list of problems of the file at @path in @files, or appends an
 * empty one. */
static json_t *problems_of(json_t *files, const char *path)
{
	json_t *file;
	size_t i;

	json_array_foreach (files, i, file) {
		if (strcmp(show_text(file, "path"), path) == 0)
			return json_object_get(file, "problems");
	}
	file = json_pack("{s:s, s:[]}", "path", path, "problems");
	if (json_array_append_new(files, file) < 0)
		return NULL;
	return json_object_get(file, "problems");
}

static int add_problem(json_t *files, char *text)
{
	unsigned int line = 0, column = 0;
	const char *message = split_problem(text, &line, &column);
	_cleanup_free_ char *path = utf8_escape(text);
	_cleanup_free_ char *words = utf8_escape(message);

	if (!path || !words ||
	    json_array_append_new(problems_of(files, path),
				  json_pack("{s:s, s:i, s:i, s:s}", "file",
					    path, "line", (int)line, "column",
					    (int)column, "message", words)) < 0)
		return -ENOMEM;
	return 0;
}

/* Reads the problems that berthd prints. Return: the files that have some;
 * NULL: no memory. */
static json_t *read_problems(FILE *problems)
{
	json_t *files = json_array();
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	ssize_t len;
	int r = files ? 0 : -ENOMEM;

	while (r == 0 && (len = getline(&text, &size, problems)) > 0) {
		if (text[len - 1] == '\n')
			text[len - 1] = '\0';
		r = add_problem(files, text);
	}
	if (r == 0)
		return files;
	json_decref(files);
	return NULL;
}

static enum exit_code unreachable(const char *path, int error)
{
	const char *hint = "";

	if (error == -ENOENT || error == -ECONNREFUSED)
		hint = "; is berthd running with this --runtime-dir?";
	else if (error == -EACCES || error == -EPERM)
		hint = "; only root and berthd's own user may ask it";
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

/* Prints an error reply of berthd in words. */
static enum exit_code print_error(const struct client_reply *reply)
{
	const char *message = show_text(reply->parameters, "message");
	_cleanup_free_ char *text = NULL;

	if (strcmp(reply->error, INTERFACE "AmbiguousNamespace") == 0) {
		print_candidates(reply->parameters);
		return EXIT_BAD;
	}
	text = text_printable(*message ? message : reply->error, NULL);
	if (strcmp(reply->error, INTERFACE "ReloadFailed") == 0)
		(void)fprintf(stderr, "berthctl: berthd cannot reload: %s\n",
			      text ? text : "?");
	else if (strcmp(reply->error, INTERFACE "NoSuchNamespace") == 0)
		(void)fprintf(stderr, "berthctl: %s\n", text ? text : "?");
	else
		(void)fprintf(stderr, "berthctl: berthd refuses: %s\n",
			      text ? text : "?");
	return EXIT_BAD;
}

static int print_json(const json_t *reply)
{
	if (json_dumpf(reply, stdout, JSON_INDENT(2)) < 0)
		return -EIO;
	(void)putchar('\n');
	return 0;
}

/* Prints the reply as JSON. The exit code is that of the table: 1 for
 * problems. */
static int show_quietly(const struct command *command, const json_t *reply)
{
	const json_t *files = json_object_get(reply, "files");
	json_t *file;
	size_t i;

	if (command->show == show_reload)
		return show_number(reply, "problems") > 0;
	if (command->show == show_explain)
		return strcmp(show_text(reply, "state"), "present") != 0;
	if (command->show != show_check)
		return 0;
	json_array_foreach (files, i, file) {
		if (json_array_size(json_object_get(file, "problems")) > 0)
			return 1;
	}
	return 0;
}

static enum exit_code print_reply(const struct command *command, bool json,
				  const json_t *parameters)
{
	int r;

	if (json)
		r = print_json(parameters);
	else
		r = command->show(parameters);
	if (r == 0 && json)
		r = show_quietly(command, parameters);
	if (fflush(stdout) != 0 || ferror(stdout) || r == -EIO) {
		(void)fprintf(stderr, "berthctl: cannot write: %s\n",
			      strerror(errno));
		return EXIT_BAD;
	}
	if (r < 0) {
		(void)fprintf(stderr, "berthctl: %s\n", strerror(-r));
		return EXIT_BAD;
	}
	return r > 0 ? EXIT_BAD : EXIT_OK;
}

/* Prints what berthd said instead of checking; it was read like problems. */
static enum exit_code print_unchecked(const json_t *files)
{
	json_t *file;
	size_t i;

	json_array_foreach (files, i, file) {
		const json_t *problems = json_object_get(file, "problems");

		(void)fprintf(stderr, "%s: %s\n", show_text(file, "path"),
			      show_text(json_array_get(problems, 0),
					"message"));
	}
	return EXIT_UNREACHABLE;
}

/* Runs `berthd --check` and makes a reply of the files with problems. */
static enum exit_code run_check_json(const struct command *command,
				     char *const *paths, int n)
{
	json_t *files = NULL, *reply;
	int status = 0;
	enum exit_code code;
	pid_t pid;
	FILE *problems = start_check(paths, n, &pid);

	if (!problems) {
		(void)fprintf(stderr, "berthctl: cannot run berthd: %s\n",
			      strerror(errno));
		return EXIT_UNREACHABLE;
	}
	files = read_problems(problems);
	(void)fclose(problems); /* read only */
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ||
	    WEXITSTATUS(status) > EXIT_BAD) {
		code = print_unchecked(files);
		json_decref(files);
		return code;
	}
	reply = files ? json_pack("{s:o}", "files", files) : NULL;
	if (!reply) {
		(void)fprintf(stderr, "berthctl: out of memory\n");
		return EXIT_BAD;
	}
	code = print_reply(command, /* json= */ true, reply);
	json_decref(reply);
	return code;
}

/* The parameters of a call; NULL when memory is short. A name that is not
 * UTF-8 is escaped as in replies, which berthd understands. */
static json_t *make_parameters(const char *argument)
{
	_cleanup_free_ char *text = NULL;

	if (!argument)
		return json_object();
	text = utf8_escape(argument);
	return text ? json_pack("{s:s}", "namespace", text) : NULL;
}

static enum exit_code run(const struct command *command,
			  const struct options *options, const char *argument)
{
	_cleanup_free_ char *path = NULL;
	struct client_reply reply;
	enum exit_code code;
	int r;

	if (asprintf(&path, "%s/control.sock", options->runtime_dir) < 0) {
		path = NULL; /* asprintf(3) leaves it undefined */
		r = -ENOMEM;
	} else {
		r = client_call(path, command->method,
				make_parameters(argument), &reply);
	}
	if (r < 0)
		return unreachable(path ? path : options->runtime_dir, r);
	if (reply.error)
		code = print_error(&reply);
	else
		code = print_reply(command, options->json, reply.parameters);
	client_reply_done(&reply);
	return code;
}

static enum exit_code run_words(const struct options *options, char **words,
				int n)
{
	const struct command *command;

	if (n == 0) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	command = find_command(words[0]);
	if (!command) {
		usage_error("unknown command", words[0]);
		return EXIT_USAGE;
	}
	if (command->show == show_check && n > 1) {
		if (options->json)
			return run_check_json(command, words + 1, n - 1);
		return run_check(words + 1, n - 1);
	}
	if (n > (command->argument ? 2 : 1)) {
		usage_error("unexpected argument", words[n - 1]);
		return EXIT_USAGE;
	}
	if (command->required && n < 2) {
		usage_error("a namespace is missing after", words[0]);
		return EXIT_USAGE;
	}
	return run(command, options, n > 1 ? words[1] : NULL);
}

int main(int argc, char **argv)
{
	enum { OPTION_RUNTIME_DIR = 256, OPTION_JSON, OPTION_VERSION };
	static const struct option long_options[] = {
		{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .runtime_dir = DEFAULT_RUNTIME_DIR };
	int c;

	/* If this fails, all but ASCII is escaped. */
	(void)setlocale(LC_CTYPE, "");
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case OPTION_RUNTIME_DIR:
			options.runtime_dir = optarg;
			break;
		case OPTION_JSON:
			options.json = true;
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
	return (int)run_words(&options, argv + optind, argc - optind);
}
