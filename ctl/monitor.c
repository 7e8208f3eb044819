// SPDX-License-Identifier: Apache-2.0
/* monitor.c - berthctl monitor: a line for each event, while it happens */
#include "ctl/monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/utf8.h"
#include "common/util.h"
#include "ctl/text.h"

/* The longest name of a kind, such as container.registered. */
#define KIND_WIDTH 20

#define TIME_MAX 32

void monitor_options_take(struct monitor_options *options, const char *name,
			  const char *value)
{
	if (strcmp(name, "rule") == 0)
		options->rule = value;
	else if (options->n_kinds == MONITOR_KINDS_MAX)
		options->too_many = true;
	else
		options->kinds[options->n_kinds++] = value;
}

bool monitor_options_given(const struct monitor_options *options)
{
	return options->n_kinds > 0 || options->rule;
}

/* As berthd writes names of any bytes, and takes them. */
static json_t *name_json(const char *name)
{
	_cleanup_free_ char *text = name ? utf8_escape(name) : NULL;

	if (!name)
		return json_null();
	return text ? json_string(text) : NULL;
}

json_t *monitor_parameters(const struct monitor_options *options,
			   const char *netns)
{
	json_t *kinds = options->n_kinds > 0 ? json_array() : json_null();

	for (size_t i = 0; kinds && i < options->n_kinds; i++) {
		if (json_array_append_new(kinds,
					  name_json(options->kinds[i])) == 0)
			continue;
		json_decref(kinds);
		kinds = NULL;
	}
	/* It takes all three, and fails when one is NULL. */
	return json_pack("{s:o, s:o, s:o}", "kinds", kinds, "namespace",
			 name_json(netns), "rule", name_json(options->rule));
}

static const char *text_of(const json_t *event, const char *key)
{
	return json_string_value(json_object_get(event, key));
}

static void print_text(const char *text)
{
	_cleanup_free_ char *printable = text_printable(text, NULL);

	(void)fputs(printable ? printable : "?", stdout);
}

static void print_named(const char *label, const char *text)
{
	if (!text)
		return;
	(void)printf("  %s ", label);
	print_text(text);
}

static void print_time(json_int_t time_us)
{
	time_t seconds = (time_t)(time_us / (json_int_t)USEC_PER_SEC);
	struct tm broken_down;
	char text[TIME_MAX] = "";

	if (localtime_r(&seconds, &broken_down))
		(void)strftime(text, sizeof(text), "%H:%M:%S", &broken_down);
	(void)printf("%s.%03d", text,
		     (int)(time_us % (json_int_t)USEC_PER_SEC /
			   (json_int_t)USEC_PER_MSEC));
}

/* Of a listener, or of an interface. */
static void print_address(const json_t *event)
{
	const char *protocol = text_of(event, "protocol");
	const char *address = text_of(event, "address");

	if (!address)
		return;
	(void)printf("  ");
	if (protocol)
		(void)printf(strchr(address, ':') ? "%s [%s]:%d" : "%s %s:%d",
			     protocol, address,
			     (int)json_integer_value(
				     json_object_get(event, "port")));
	else
		(void)printf("%s/%d", address,
			     (int)json_integer_value(
				     json_object_get(event, "prefix")));
}

static void print_line(const json_t *event)
{
	const char *kind = text_of(event, "event");
	const char *netns = text_of(event, "namespace");
	const char *reason = text_of(event, "reason");
	const json_t *pid = json_object_get(event, "pid");

	print_time(json_integer_value(json_object_get(event, "time_us")));
	(void)printf("  %-*s", netns ? KIND_WIDTH : 0, kind ? kind : "?");
	if (netns) {
		(void)printf("  ");
		print_text(netns);
	}
	print_address(event);
	print_named("on", text_of(event, "interface"));
	print_named("container", text_of(event, "container"));
	print_named("rule", text_of(event, "rule"));
	print_named("backend", text_of(event, "backend"));
	print_named("consumer", text_of(event, "consumer"));
	if (pid)
		(void)printf("  pid %d", (int)json_integer_value(pid));
	print_named("file", text_of(event, "file"));
	if (reason) {
		(void)printf(": ");
		print_text(reason);
	}
	(void)putchar('\n');
}

static void print_event(const json_t *event, bool json)
{
	if (!json) {
		print_line(event);
		return;
	}
	(void)json_dumpf(event, stdout, JSON_COMPACT); /* see flush() */
	(void)putchar('\n');
}

/* From now on all that happens is printed. */
static void print_ready(bool json)
{
	struct timespec now;
	json_t *ready;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	ready = json_pack("{s:s, s:I}", "event", "ready", "time_us",
			  (json_int_t)now.tv_sec * (json_int_t)USEC_PER_SEC +
				  now.tv_nsec / 1000);
	if (ready)
		print_event(ready, json);
	json_decref(ready);
}

static void print_events(const struct client_reply *reply, bool json)
{
	const json_t *events = json_object_get(reply->parameters, "events");
	json_t *event;
	size_t i;

	json_array_foreach (events, i, event) {
		print_event(event, json);
	}
}

/* Return: 0; -EPIPE: nobody reads any more; -EIO: a report is due. */
static int flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return errno == EPIPE ? -EPIPE : -EIO;
}

/* Waits for berthd. Return: 0; -EPIPE: nobody reads stdout any more. */
static int await_reply(const struct client *client)
{
	struct pollfd fds[] = {
		{ .fd = client_fd(client), .events = POLLIN },
		{ .fd = STDOUT_FILENO }, /* POLLERR needs not be asked for */
	};

	while (!client_has_reply(client)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents & POLLERR)
			return -EPIPE;
		if (fds[0].revents)
			break;
	}
	return 0;
}

/* What was printed is written out after each reply: nothing is left to do. */
static void signal_handler(int signo)
{
	(void)signo;
	_exit(EXIT_OK);
}

static enum exit_code too_slow(const struct client_reply *reply)
{
	(void)fprintf(stderr,
		      "berthctl: events came faster than they were read: %lld "
		      "are lost, and all that follow\n",
		      (long long)json_integer_value(
			      json_object_get(reply->parameters, "lost")));
	return EXIT_BAD;
}

/* Return: 1; 0: *@ret_code is the end; -errno of client_next(). */
static int show_reply(struct client *client, bool json, bool is_first,
		      enum exit_code (*fail)(const struct client_reply *reply),
		      enum exit_code *ret_code)
{
	struct client_reply reply;
	int r = client_next(client, NULL, &reply);

	if (r < 0)
		return r;
	if (reply.error) {
		*ret_code = strcmp(reply.error, "io.berth.TooSlow") == 0
				    ? too_slow(&reply)
				    : fail(&reply);
		client_reply_done(&reply);
		return 0;
	}
	print_events(&reply, json);
	if (is_first)
		print_ready(json);
	client_reply_done(&reply);
	r = flush();
	if (r == 0)
		return 1;
	*ret_code = r == -EPIPE ? EXIT_OK : exit_code_finish(-EIO);
	return 0;
}

int monitor_show(struct client *client, bool json,
		 enum exit_code (*fail)(const struct client_reply *reply),
		 enum exit_code *ret_code)
{
	bool is_first = true;
	int r = 1;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGINT, signal_handler) == SIG_ERR ||
	    signal(SIGTERM, signal_handler) == SIG_ERR)
		return -errno;
	while (r > 0) {
		r = await_reply(client);
		if (r == -EPIPE) {
			*ret_code = EXIT_OK;
			return 0;
		}
		if (r == 0)
			r = show_reply(client, json, is_first, fail, ret_code);
		is_first = false;
	}
	return r;
}
