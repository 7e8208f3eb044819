// SPDX-License-Identifier: Apache-2.0
/* control_stats.c - replies of io.berth that have to ask the consumers first */
#include "daemon/control/control_stats.h"

#include "common/util.h"
#include "daemon/json_text.h"
#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/control/varlink.h"
#include "rules/rules.h"

/** struct asking - a call that waits for the consumers */
struct asking {
	struct varlink_call *call;
	struct stats *stats;
	struct stats_reply reply;
	struct stats_waiter waiter;
};

static void asking_cancelled(void *state)
{
	struct asking *asking = state;

	stats_cancel(asking->stats, &asking->waiter);
	asking->reply.free(asking->reply.state);
	free(asking);
}

static void asking_done(struct stats_result *result, void *user_data)
{
	struct asking *asking = user_data;
	struct varlink_call *call = asking->call;
	struct stats_reply reply = asking->reply;

	free(asking);
	if (result) {
		reply.reply(call, result, reply.state);
	} else {
		reply.free(reply.state);
		varlink_reply(call, NULL);
	}
}

void control_ask_stats(struct varlink_call *call, struct stats *stats,
		       const struct stats_reply *reply)
{
	struct asking *asking = malloc(sizeof(*asking));

	if (asking) {
		*asking = (struct asking){
			.stats = stats,
			.reply = *reply,
			.waiter = { .done = asking_done, .user_data = asking },
		};
		asking->call =
			varlink_call_defer(call, asking_cancelled, asking);
	}
	if (!asking || !asking->call) {
		free(asking);
		reply->free(reply->state);
		varlink_reply(call, NULL);
		return;
	}
	stats_collect(stats, &asking->waiter);
}

json_t *control_silent_json(const struct stats_result *result)
{
	json_t *array = json_array();
	const char *name;

	for (size_t i = 0; (name = stats_result_silent(result, i)); i++) {
		if (json_array_append_new(array, json_text(name)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/** struct rule_stats - the state of the list of rules */
struct rule_stats {
	struct stats_result *result;
	size_t next;
};

static void rule_stats_free(void *state)
{
	struct rule_stats *list = state;

	stats_result_unref(list->result);
	free(list);
}

static int rule_stats_next(void *state, json_t **ret_element)
{
	struct rule_stats *list = state;
	struct ruleset *ruleset = stats_result_ruleset(list->result);
	struct rule_info info;

	if (list->next >= ruleset_size(ruleset))
		return 0;
	ruleset_rule_info(ruleset, list->next, &info);
	*ret_element = json_pack(
		"{s:o, s:o, s:o}", "name", json_text(info.name), "file",
		json_text(info.file), "counters",
		stats_counts_json(stats_result_rule(list->result, list->next)));
	list->next++;
	return *ret_element ? 1 : -ENOMEM;
}

static void reply_stats(struct varlink_call *call, struct stats_result *result,
			void *state)
{
	struct rule_stats *list = state;
	struct varlink_list reply = {
		.member = "rules",
		.next = rule_stats_next,
		.free = rule_stats_free,
		.state = list,
	};

	list->result = stats_result_ref(result);
	varlink_reply_list(
		call,
		json_pack("{s:o, s:o}", "silent", control_silent_json(result),
			  "total",
			  stats_counts_json(stats_result_total(result))),
		&reply);
}

void control_stats(struct varlink_call *call, struct stats *stats)
{
	struct rule_stats *list = calloc(1, sizeof(*list));
	const struct stats_reply reply = {
		.reply = reply_stats,
		.free = rule_stats_free,
		.state = list,
	};

	if (list)
		control_ask_stats(call, stats, &reply);
	else
		varlink_reply(call, NULL);
}
