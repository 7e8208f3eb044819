/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - collects the facts that metrics are made of, in slices */
#ifndef DAEMON_CONTROL_METRICS_H
#define DAEMON_CONTROL_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram.h"
#include "common/loop.h"
#include "daemon/health_look.h"

struct binder;
struct consumers;
struct metrics_job;
struct metrics_report;
struct pattern;
struct relay_process;
struct rule_store;
struct shadows;
struct stats;
struct watcher;

/**
 * struct metrics_history - what is noted while it happens; zero-initialize
 * @open:	how long listeners took to be open
 * @freed:	how long the kernel took to free namespaces
 * @rules_time:	when the rules were last read without a problem, in seconds
 *		since 1970; 0: never
 */
struct metrics_history {
	struct histogram open;
	struct histogram freed;
	uint64_t rules_time;
};

/** metrics_note_rules() - the rules were read, maybe with problems */
void metrics_note_rules(struct metrics_history *history,
			const struct rule_store *rules);

/**
 * struct metrics_config - whom to ask; all outlive the metrics
 * @relay:	NULL: berthd does not start it
 */
struct metrics_config {
	struct health_source health;
	struct watcher *watcher;
	struct binder *binder;
	struct rule_store *rules;
	const struct shadows *shadows;
	struct consumers *consumers;
	struct stats *stats;
	const struct relay_process *relay;
	const struct metrics_history *history;
};

/**
 * struct metrics_request - one for a report
 * @namespaces:	series for each listener of namespaces with a name that matches
 *		it; NULL: by rule and protocol. Taken by metrics_collect().
 * @done:	called once from the loop; @report is NULL when memory is short,
 *		else borrowed
 */
struct metrics_request {
	struct pattern *namespaces;
	void (*done)(struct metrics_report *report, void *user_data);
	void *user_data;
};

/**
 * metrics_collect() - asks the consumers, and looks at all listeners, some in
 * each turn of the loop
 * @config:	copied
 * @request:	copied; its pattern is taken, and freed also on failure
 *
 * Return: what metrics_cancel() takes until @done is called; NULL: no memory,
 * @done is not called.
 */
struct metrics_job *metrics_collect(struct loop *loop,
				    const struct metrics_config *config,
				    const struct metrics_request *request);

/** metrics_cancel() - @done is not called any more */
void metrics_cancel(struct metrics_job *job);

#endif
