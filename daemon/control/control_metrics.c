// SPDX-License-Identifier: Apache-2.0
/* control_metrics.c - the method ListMetrics, and those of io.systemd.Metrics
 *
 * The first is berthd's own, because List has neither parameters, so that it
 * cannot be asked for some namespaces, nor histograms; and because one reply
 * with a hundred series costs less than a hundred replies.
 */
#include "daemon/control/control_metrics.h"

#include <string.h>

#include "common/util.h"
#include "daemon/control/metrics_families.h"
#include "daemon/control/metrics_report.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "rules/pattern.h"

/* Of the metrics that systemd collects. */
#define REPORT_PREFIX "io.berth."
#define OWN_PREFIX "berth_"

#define NAME_MAX_BYTES 128

/**
 * struct answer - a call that waits for the report, then the list of it
 * @list:	how it is answered
 * @cursor:	of what is listed next: a series, or a family
 */
struct answer {
	struct varlink_call *call;
	const struct varlink_list *list;
	struct metrics_job *job;
	struct metrics_report *report;
	struct metrics_cursor cursor;
};

static void answer_free(void *state)
{
	struct answer *answer = state;

	metrics_report_unref(answer->report);
	free(answer);
}

static void answer_cancelled(void *state)
{
	struct answer *answer = state;

	metrics_cancel(answer->job);
	free(answer);
}

static json_t *describe_families(void)
{
	json_t *array = json_array();
	const struct metrics_family *family;

	for (size_t i = 0; (family = metrics_family(i)); i++)
		json_add(&array,
			 json_pack("{s:s, s:s, s:s}", "name", family->name,
				   "type", family->type, "help", family->help));
	return array;
}

static void answer_collected(struct metrics_report *report, void *user_data)
{
	struct answer *answer = user_data;
	struct varlink_call *call = answer->call;
	struct varlink_list list = *answer->list;

	if (!report) {
		answer_free(answer);
		varlink_reply(call, NULL);
		return;
	}
	answer->report = metrics_report_ref(report);
	list.state = answer;
	varlink_reply_list(call,
			   list.each_alone ? json_object()
					   : json_pack("{s:o}", "families",
						       describe_families()),
			   &list);
}

/* Takes @pattern. */
static void answer_call(struct varlink_call *call, struct loop *loop,
			const struct metrics_config *config,
			struct pattern *pattern,
			const struct varlink_list *list)
{
	struct answer *answer = calloc(1, sizeof(*answer));
	const struct metrics_request request = {
		.namespaces = pattern,
		.done = answer_collected,
		.user_data = answer,
	};

	if (answer) {
		answer->list = list;
		answer->job = metrics_collect(loop, config, &request);
	} else if (pattern) {
		pattern_done(pattern);
		free(pattern);
	}
	if (answer && answer->job)
		answer->call =
			varlink_call_defer(call, answer_cancelled, answer);
	if (answer && answer->call)
		return;
	if (answer && answer->job)
		metrics_cancel(answer->job);
	free(answer);
	varlink_reply(call, NULL);
}

static int series_next(void *state, json_t **ret_element)
{
	struct answer *answer = state;
	struct metrics_series series;
	char name[NAME_MAX_BYTES];
	int r = metrics_next(answer->report, &answer->cursor, &series);

	if (r <= 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s%s", series.family->name,
		       series.suffix); /* fits */
	*ret_element = json_pack("{s:s, s:o, s:o*}", "name", name, "value",
				 series.value, "fields", series.fields);
	return *ret_element ? 1 : -ENOMEM;
}

/* "io.berth.listeners" of "berth_listeners". */
static void report_name(char name[static NAME_MAX_BYTES],
			const struct metrics_family *family, const char *suffix)
{
	const char *own = family->name;

	if (strncmp(own, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
		own += strlen(OWN_PREFIX);
	(void)snprintf(name, NAME_MAX_BYTES, REPORT_PREFIX "%s%s", own,
		       suffix); /* fits */
}

static int report_next(void *state, json_t **ret_element)
{
	struct answer *answer = state;
	struct metrics_series series;
	char name[NAME_MAX_BYTES];
	int r = metrics_next(answer->report, &answer->cursor, &series);

	if (r <= 0)
		return r;
	report_name(name, series.family, series.suffix);
	*ret_element = json_pack("{s:s, s:o, s:o*}", "name", name, "value",
				 series.value, "fields", series.fields);
	return *ret_element ? 1 : -ENOMEM;
}

void control_metrics_list(struct varlink_call *call, struct loop *loop,
			  const struct metrics_config *config)
{
	static const struct varlink_array arrays[] = {
		{ "metrics", series_next },
	};
	static const struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = answer_free,
	};
	const char *text = varlink_call_string(call, "namespaces");
	char problem[PATTERN_PROBLEM_MAX];
	struct pattern *pattern = NULL;
	int r = 0;

	if (text) {
		pattern = malloc(sizeof(*pattern));
		r = pattern ? pattern_parse(text, pattern, problem) : -ENOMEM;
	}
	if (r < 0)
		free(pattern);
	if (r == -EINVAL)
		varlink_invalid_parameter(call, "namespaces", problem);
	else if (r < 0)
		varlink_reply(call, NULL);
	else
		answer_call(call, loop, config, pattern, &list);
}

void control_metrics_report(struct varlink_call *call, struct loop *loop,
			    const struct metrics_config *config)
{
	static const struct varlink_array arrays[] = {
		{ "metrics", report_next },
	};
	static const struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.each_alone = true,
		.free = answer_free,
	};

	if (varlink_call_more(call))
		answer_call(call, loop, config, NULL, &list);
	else
		varlink_expected_more(call);
}

/* What a histogram's series are called, and are, for who knows no histogram. */
static const char *const histogram_suffixes[] = { "_bucket", "_sum", "_count" };

static int families_next(void *state, json_t **ret_element)
{
	struct answer *answer = state;
	size_t n = ARRAY_SIZE(histogram_suffixes);
	const struct metrics_family *family =
		metrics_family(answer->cursor.family);
	const char *suffix = "", *type;
	char name[NAME_MAX_BYTES];

	if (!family)
		return 0;
	type = family->type;
	if (strcmp(type, "histogram") == 0) {
		suffix = histogram_suffixes[answer->cursor.index++];
		type = "counter";
	}
	if (!*suffix || answer->cursor.index == n) {
		answer->cursor.family++;
		answer->cursor.index = 0;
	}
	report_name(name, family, suffix);
	*ret_element = json_pack("{s:s, s:s, s:s}", "name", name, "description",
				 family->help, "type", type);
	return *ret_element ? 1 : -ENOMEM;
}

void control_metrics_describe(struct varlink_call *call)
{
	static const struct varlink_array arrays[] = {
		{ "metrics", families_next },
	};
	struct answer *answer;
	struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.each_alone = true,
		.free = answer_free,
	};

	if (!varlink_call_more(call)) {
		varlink_expected_more(call);
		return;
	}
	answer = calloc(1, sizeof(*answer));
	list.state = answer;
	if (answer)
		varlink_reply_list(call, json_object(), &list);
	else
		varlink_reply(call, NULL);
}
