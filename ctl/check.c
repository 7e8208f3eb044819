// SPDX-License-Identifier: Apache-2.0
/* check.c - problems in rule files that berthd does not read, or not yet
 *
 * It is `berthd --check` that looks at them, as the caller. For --json its
 * lines are made into the form of a reply.
 */
#include "ctl/check.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/utf8.h"
#include "common/util.h"
#include "ctl/print_json.h"
#include "ctl/show.h"

#define OPTIONS_MAX 6 /* of put_options() */

/* Which options berthd gets. Return: how many. */
static int put_options(char **argv, const char *live_dir)
{
	int n = 0;

	argv[n++] = (char *)"berthd";
	if (live_dir) {
		argv[n++] = (char *)"--runtime-dir";
		argv[n++] = (char *)live_dir;
		argv[n++] = (char *)"--live";
	}
	argv[n++] = (char *)"--check";
	argv[n++] = (char *)"--";
	return n;
}

enum exit_code check_run(char *const *paths, int n, const char *live_dir)
{
	static const char *const places[] = { "berthd", "../sbin/berthd" };
	char own[4096] = "", other[sizeof(own) + 32];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	_cleanup_free_ char **argv =
		calloc((size_t)n + OPTIONS_MAX + 1, sizeof(argv[0]));
	char *slash;
	int n_options;

	if (!argv) {
		(void)fprintf(stderr, "berthctl: out of memory\n");
		return EXIT_BAD;
	}
	n_options = put_options(argv, live_dir);
	for (int i = 0; i < n; i++)
		argv[n_options + i] = paths[i];
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
		_exit((int)check_run(paths, n, NULL));
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

/* Cuts the word off that tells a warning from an error. Return: which it is. */
static const char *cut_severity(const char **message)
{
	static const char warning[] = "warning: ";

	if (strncmp(*message, warning, sizeof(warning) - 1) != 0)
		return "error";
	*message += sizeof(warning) - 1;
	return "warning";
}

static int add_problem(json_t *files, char *text)
{
	unsigned int line = 0, column = 0;
	const char *message = split_problem(text, &line, &column);
	const char *severity = cut_severity(&message);
	_cleanup_free_ char *path = utf8_escape(text);
	_cleanup_free_ char *words = utf8_escape(message);

	if (!path || !words ||
	    json_array_append_new(problems_of(files, path),
				  json_pack("{s:s, s:i, s:i, s:s, s:s}", "file",
					    path, "line", (int)line, "column",
					    (int)column, "severity", severity,
					    "message", words)) < 0)
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

enum exit_code check_json(char *const *paths, int n)
{
	json_t *files, *reply;
	struct print_json *print;
	int status = 0, r = -ENOMEM;
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
	print = print_json_new(stdout);
	reply = json_pack("{s:O*}", "files", files);
	if (print && files && reply)
		r = print_json_reply(print, reply);
	if (r == 0)
		r = print_json_end(print);
	if (r == 0 && WEXITSTATUS(status) != 0)
		r = EXIT_BAD;
	print_json_free(print);
	json_decref(reply);
	json_decref(files);
	return exit_code_finish(r);
}
