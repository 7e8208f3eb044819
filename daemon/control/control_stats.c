// SPDX-License-Identifier: Apache-2.0
/* control_stats.c - the method GetStats, and asking the consumers first */
#include "daemon/control/control_stats.h"

#include "common/util.h"
#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "rules/rules.h"

/** struct question - a call that waits for the consumers */
struct question {
	struct varlink_call *call;
	struct stats *stats;
	struct control_asking asking;
	struct stats_waiter waiter;
};

static void question_cancelled(void *state)
{
	struct question *question = state;

	stats_cancel(question->stats, &question->waiter);
	question->asking.free(question->asking.state);
	free(question);
}

static void question_answered(struct stats_result *result, void *user_data)
{
	struct question *question = user_data;
	struct varlink_call *call = question->call;
	struct control_asking asking = question->asking;

	free(question);
	if (result) {
		asking.reply(call, result, asking.state);
	} else {
		asking.free(asking.state);
		varlink_reply(call, NULL);
	}
}

void control_ask(struct varlink_call *call, struct stats *stats,
		 const struct control_asking *asking)
{
	struct question *question = malloc(sizeof(*question));

	if (question) {
		*question = (struct question){
			.stats = stats,
			.asking = *asking,
			.waiter = { .done = question_answered,
				    .user_data = question },
		};
		question->call =
			varlink_call_defer(call, question_cancelled, question);
	}
	if (!question || !question->call) {
		free(question);
		asking->free(asking->state);
		varlink_reply(call, NULL);
		return;
	}
	stats_collect(stats, &question->waiter);
}

json_t *control_silent(const struct stats_result *result)
{
	json_t *array = json_array();
	const char *name;

	for (size_t i = 0; (name = stats_result_silent(result, i)); i++)
		json_add(&array, json_text(name));
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
	static const struct varlink_array arrays[] = {
		{ "rules", rule_stats_next },
	};
	struct rule_stats *list = state;
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = rule_stats_free,
		.state = list,
	};

	list->result = stats_result_ref(result);
	varlink_reply_list(
		call,
		json_pack("{s:o, s:o}", "silent", control_silent(result),
			  "total",
			  stats_counts_json(stats_result_total(result))),
		&reply);
}

void control_stats(struct varlink_call *call, struct stats *stats)
{
	struct rule_stats *list = calloc(1, sizeof(*list));
	const struct control_asking asking = {
		.reply = reply_stats,
		.free = rule_stats_free,
		.state = list,
	};

	if (list)
		control_ask(call, stats, &asking);
	else
		varlink_reply(call, NULL);
}
