// SPDX-License-Identifier: Apache-2.0
/* control_close.c - the method Close, of one connection */
#include "daemon/control/control_connections.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/consumers/questions.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"

/** struct closing - a call that waits for a consumer
 * @target:	what the call names */
struct closing {
	struct varlink_call *call;
	struct consumer_question question;
	char *target;
};

/**
 * struct sought - the connection of a consumer that is named
 * @consumer, @consumer_len: its name
 * @number:	of the connection, when it is found
 */
struct sought {
	const char *consumer;
	size_t consumer_len;
	pid_t pid;
	uint64_t client;
	uint64_t number;
};

static void closing_free(void *state)
{
	struct closing *closing = state;

	free(closing->target);
	free(closing);
}

static void closing_cancelled(void *state)
{
	struct closing *closing = state;

	consumers_cancel(&closing->question);
	closing_free(closing);
}

static void reply_gone(struct varlink_call *call, const char *target)
{
	varlink_error(call, "NoSuchTarget",
		      json_pack("{s:s, s:s}", "target", target, "message",
				"there is no such connection any more"));
}

static void reply_silent(struct varlink_call *call, const char *target)
{
	varlink_error(call, "ConsumerSilent",
		      json_pack("{s:s, s:s}", "target", target, "message",
				"the consumer does not answer, so it is not "
				"known whether the connection is closed"));
}

static void close_answered(const struct consumer_answer *answer,
			   void *user_data)
{
	struct closing *closing = user_data;
	struct varlink_call *call = closing->call;

	if (answer->error == -ETIMEDOUT)
		reply_silent(call, closing->target);
	else if (answer->error < 0 || !answer->closed)
		reply_gone(call, closing->target);
	else
		varlink_reply(call, json_pack("{s:i, s:i, s:i}", "listeners", 0,
					      "draining", 0, "connections", 1));
	closing_free(closing);
}

/* Reads digits up to @end. Return: is that all there is? */
static bool read_number(const char *text, char end, uint64_t *ret,
			const char **ret_rest)
{
	char *rest;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &rest, 10);
	*ret_rest = rest;
	return errno == 0 && *rest == end && *ret <= INT64_MAX;
}

/* "relay/4711/12". Return: is @text of this form? */
static bool parse(const char *text, struct sought *ret_sought)
{
	const char *slash = strchr(text, '/'), *rest;
	uint64_t pid;

	if (!slash || !read_number(slash + 1, '/', &pid, &rest) ||
	    pid > INT32_MAX)
		return false;
	*ret_sought = (struct sought){
		.consumer = text,
		.consumer_len = (size_t)(slash - text),
		.pid = (pid_t)pid,
	};
	return read_number(rest + 1, '\0', &ret_sought->client, &rest);
}

/* The last one of that process is the one that has what earlier ones had. */
static int match(const struct consumer_party *party, void *user_data)
{
	struct sought *sought = user_data;

	if (party->pid == sought->pid &&
	    strlen(party->consumer) == sought->consumer_len &&
	    memcmp(party->consumer, sought->consumer, sought->consumer_len) ==
		    0)
		sought->number = party->number;
	return 0;
}

static void ask(struct varlink_call *call, struct consumers *consumers,
		const struct sought *sought, const char *target)
{
	struct closing *closing = calloc(1, sizeof(*closing));
	int r = -ENOMEM;

	if (closing)
		closing->target = strdup(target);
	if (closing && closing->target) {
		closing->question = (struct consumer_question){
			.closes = true,
			.number = sought->client,
			.answered = close_answered,
			.user_data = closing,
		};
		r = consumers_ask(consumers, sought->number,
				  &closing->question);
	}
	if (r == 0) {
		closing->call =
			varlink_call_defer(call, closing_cancelled, closing);
		if (closing->call)
			return;
		consumers_cancel(&closing->question);
		r = -ENOMEM;
	}
	if (closing)
		closing_free(closing);
	if (r == -ETIMEDOUT)
		reply_silent(call, target);
	else
		varlink_reply(call, NULL);
}

bool control_close_connection(struct varlink_call *call,
			      struct consumers *consumers, const char *text)
{
	struct sought sought;

	if (!parse(text, &sought))
		return false;
	(void)consumers_each_connection(consumers, match, &sought); /* 0 */
	if (!sought.number) {
		reply_gone(call, text);
		return true;
	}
	log_info("control: a client closes the connection '%s'", text);
	ask(call, consumers, &sought, text);
	return true;
}
