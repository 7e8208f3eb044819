// SPDX-License-Identifier: Apache-2.0
/* control_backends.c - the method ListBackends
 *
 * The list is copied, because consumers may tell something else while it is
 * read: with the most that there may be that takes milliseconds.
 */
#include "daemon/control/control_backends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/consumers/backends.h"
#include "daemon/control/control_stats.h"
#include "daemon/control/describe.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "rules/rules.h"

/**
 * struct backend_list - the state of the list
 * @rule:	of this one; NULL: of all
 * @rows:	with texts in @texts
 */
struct backend_list {
	const struct rule_store *rules;
	const struct backends *backends;
	char *rule;
	struct backend_status *rows;
	size_t n;
	size_t next;
	uint64_t now_us;
	char *texts;
};

static void backend_list_free(void *state)
{
	struct backend_list *list = state;

	free(list->rule);
	free(list->rows);
	free(list->texts);
	free(list);
}

static json_t *describe_ago(uint64_t us, uint64_t now_us)
{
	return us ? json_count(now_us > us ? now_us - us : 0) : json_null();
}

static json_t *describe_reason(const struct backend_status *row,
			       uint64_t now_us)
{
	char sentence[BACKENDS_SENTENCE_MAX];

	return row->state == BACKEND_DOWN
		       ? json_text(backends_sentence_fmt(row, now_us, sentence))
		       : json_null();
}

static json_t *describe_backend(const struct backend_status *row,
				uint64_t now_us)
{
	return json_pack(
		"{s:o, s:s, s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o}",
		"rule", json_text(row->rule), "protocol",
		protocol_name(row->protocol), "backend",
		json_text(row->backend), "namespace",
		row->netns[0] ? json_text(row->netns) : json_null(), "consumer",
		json_text(row->consumer), "state",
		row->state == BACKEND_DOWN ? "down" : "up", "checked",
		row->checked, "failures", json_count(row->failures), "error",
		row->error ? describe_errno(row->error) : json_null(),
		"http_status",
		row->http_status ? json_integer(row->http_status) : json_null(),
		"failed_us", describe_ago(row->failed_us, now_us), "since_us",
		describe_ago(row->since_us, now_us), "reason",
		describe_reason(row, now_us), "connections",
		json_count(row->connections));
}

static int backends_list_next(void *state, json_t **ret_element)
{
	struct backend_list *list = state;

	if (list->next >= list->n)
		return 0;
	*ret_element =
		describe_backend(&list->rows[list->next++], list->now_us);
	return *ret_element ? 1 : -ENOMEM;
}

static const struct backend_status *step(const struct backends *backends,
					 const char *rule,
					 const struct backend_status *after)
{
	return rule ? backends_next_of(backends, rule, after)
		    : backends_next(backends, after);
}

/* Copies one text to *@at, which moves on. */
static const char *keep(const char *text, char **at)
{
	char *copy = *at;

	*at = stpcpy(copy, text) + 1;
	return copy;
}

static size_t row_bytes(const struct backend_status *row)
{
	return strlen(row->rule) + strlen(row->backend) + strlen(row->netns) +
	       strlen(row->consumer) + 4;
}

/* @rule: NULL: of all rules. Return: 0 or -ENOMEM. */
static int list_fill(struct backend_list *list, const struct backends *backends,
		     const char *rule)
{
	const struct backend_status *row = NULL;
	size_t bytes = 0, n = 0;
	char *at;

	while ((row = step(backends, rule, row))) {
		bytes += row_bytes(row);
		n++;
	}
	list->rows = calloc(n + 1, sizeof(*list->rows));
	list->texts = at = malloc(bytes + 1);
	if (!list->rows || !list->texts)
		return -ENOMEM;
	while ((row = step(backends, rule, row))) {
		struct backend_status *copy = &list->rows[list->n++];

		*copy = *row;
		copy->rule = keep(row->rule, &at);
		copy->backend = keep(row->backend, &at);
		copy->netns = keep(row->netns, &at);
		copy->consumer = keep(row->consumer, &at);
	}
	return 0;
}

static void reply_no_rule(struct varlink_call *call, const char *rule)
{
	varlink_error(call, "NoSuchTarget",
		      json_pack("{s:s, s:s}", "target", rule, "message",
				"there is no rule in force of this name"));
}

/* A rule that went may have backends still, because its listeners drain. */
static bool is_unknown(const struct backend_list *list)
{
	return list->rule && list->n == 0 &&
	       !ruleset_has(rule_store_ruleset(list->rules), list->rule);
}

static void reply_backends(struct varlink_call *call,
			   struct stats_result *result, void *state)
{
	static const struct varlink_array arrays[] = {
		{ "backends", backends_list_next },
	};
	struct backend_list *list = state;
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = backend_list_free,
		.state = list,
	};

	(void)result; /* what they counted for listeners */
	list->now_us = monotonic_us();
	if (list_fill(list, list->backends, list->rule) < 0) {
		backend_list_free(list);
		varlink_reply(call, NULL);
		return;
	}
	if (is_unknown(list)) {
		reply_no_rule(call, list->rule);
		backend_list_free(list);
		return;
	}
	varlink_reply_list(call, json_object(), &reply);
}

void control_backends(struct varlink_call *call, struct stats *stats,
		      const struct rule_store *rules,
		      const struct backends *backends)
{
	const char *rule = varlink_call_string(call, "rule");
	struct backend_list *list = calloc(1, sizeof(*list));
	const struct control_asking asking = {
		.reply = reply_backends,
		.free = backend_list_free,
		.state = list,
	};

	/* A call that waits has no parameters any more. */
	if (list && rule)
		list->rule = strdup(rule);
	if (!list || (rule && !list->rule)) {
		free(list);
		varlink_reply(call, NULL);
		return;
	}
	list->rules = rules;
	list->backends = backends;
	control_ask(call, stats, &asking);
}
