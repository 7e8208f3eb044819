// SPDX-License-Identifier: Apache-2.0
/* stats.c - what consumers counted, by listener and by rule
 *
 * Theory of operation: only consumers count. When somebody wants to know,
 * berthd asks them, and they say what has changed since they were asked last.
 * What each said last of each listener is remembered (stats_said.c), and what
 * that is more than before is added to the part of the listener's rule
 * (stats_parts.c). So a rule's counts grow with each answer, with the last
 * words that come with the release of a listener, and never fall: what a
 * consumer said last stands for what it does not say, also when its connection
 * ends, and only what it counted since is lost.
 *
 * The totals of listeners that were released are kept in a file, so that they
 * go on when berthd is started anew: of the others the consumers tell the next
 * berthd themselves. It is written a moment after they changed: many listeners
 * that are released together cost one file. What was added in that moment is
 * lost if berthd is killed.
 *
 * One collection runs at a time. A request that comes meanwhile waits for the
 * next one, so that its answer has all that was counted before the request.
 */
#include "daemon/consumers/stats_internal.h"

#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/protocol.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/json_build.h"
#include "daemon/json_file.h"
#include "rules/rules.h"

/* A consumer answers within milliseconds. The person who waits for the counts
 * does not wait longer than this for one that does not. */
#define COLLECT_TIMEOUT_US (2 * USEC_PER_SEC)

/* When the totals are written after a change: at least so much later, and this
 * many times as much as it took last time, with thousands of rules. */
#define KEEP_US (100 * USEC_PER_MSEC)
#define KEEP_FACTOR 50

/* Totals of 100,000 rules, each with some hundred bytes. */
#define KEPT_BYTES_MAX (64 * 1024 * 1024)

/* Totals */

/* Gives the parts of the rules so far to the same rules in @totals, and what
 * counted for others to @stats->gone. */
static void move_totals(struct stats *stats, struct rule_total *totals,
			size_t n)
{
	struct stats_part *retired = NULL, *part;

	for (size_t i = 0; i < stats->n_totals; i++) {
		struct rule_total *old = &stats->totals[i];
		struct rule_total *new =
			stats_total_find(totals, n, old->name, old->file);
		struct stats_part **to = new ? &new->parts : &retired;

		LL_CONCAT(*to, old->parts);
		old->parts = NULL;
	}
	LL_FOREACH (retired, part) {
		part->retired = true;
		stats_part_absorb(&stats->gone, part);
	}
	if (retired)
		stats_said_redirect(&stats->said, &stats->gone);
	stats_parts_free(&retired);
}

static void forget_last_part(struct stats *stats)
{
	if (stats->last_service)
		service_unref(stats->last_service);
	stats->last_service = NULL;
}

int stats_set_rules(struct stats *stats, struct ruleset *ruleset)
{
	size_t n = ruleset_size(ruleset);
	struct rule_total *totals = calloc(n ? n : 1, sizeof(*totals));

	if (!totals)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct rule_info info;

		ruleset_rule_info(ruleset, i, &info);
		totals[i].name = info.name;
		totals[i].file = info.file;
		totals[i].index = i;
	}
	qsort(totals, n, sizeof(*totals), stats_total_compare);
	forget_last_part(stats);
	move_totals(stats, totals, n);
	stats_totals_free(stats->totals, stats->n_totals);
	stats->totals = totals;
	stats->n_totals = n;
	(void)ruleset_ref(ruleset);
	ruleset_unref(stats->ruleset);
	stats->ruleset = ruleset;
	return 0;
}

/* The total of a rule of which only the name is known. */
static struct rule_total *find_by_name(const struct stats *stats,
				       const char *name)
{
	for (size_t i = 0; i < stats->n_totals; i++) {
		if (strcmp(stats->totals[i].name, name) == 0)
			return &stats->totals[i];
	}
	return NULL;
}

static void keep_soon(struct stats *stats)
{
	if (stats->kept)
		loop_timer_set_earlier(stats->keep_timer,
				       loop_now_us(stats->loop) +
					       stats->keep_us);
}

/* The part that counts for it. Without memory: that of the rules that are gone.
 */
static struct stats_part *find_part_of(struct stats *stats,
				       const struct service *service,
				       unsigned int protocol)
{
	struct rule_total *total = stats_total_find(
		stats->totals, stats->n_totals, service->rule, service->file);
	struct stats_part *part = NULL;

	if (!total && service->file[0] == '\0')
		total = find_by_name(stats, service->rule);
	if (total)
		part = stats_parts_get(&total->parts, protocol);
	return part ? part : &stats->gone;
}

/* As find_part_of(); remembers the last one. */
static struct stats_part *
get_part_of(struct stats *stats, struct service *service, unsigned int protocol)
{
	if (stats->last_service == service && stats->last_protocol == protocol)
		return stats->last_part;
	forget_last_part(stats);
	stats->last_service = service_ref(service);
	stats->last_protocol = protocol;
	stats->last_part = find_part_of(stats, service, protocol);
	return stats->last_part;
}

int stats_counted(struct stats *stats, const struct consumer_count *count)
{
	struct stats_part *part =
		get_part_of(stats, count->service, count->protocol);
	int r;

	if (count->final) {
		stats_said_final(&stats->said, count->id, count->connection,
				 part, count->counts);
		keep_soon(stats);
		return 0;
	}
	r = stats_said_count(&stats->said, count->id, count->connection, part,
			     count->counts);
	if (r < 0)
		stats->failed = true;
	return r;
}

void stats_connection_ended(struct stats *stats, uint64_t connection)
{
	stats_said_lost(&stats->said, connection);
	keep_soon(stats);
}

/* The file of the totals */

static json_t *keep_part(const struct rule_total *total,
			 const struct stats_part *part)
{
	struct berth_counts counts = stats_part_settled(part);
	json_t *json = json_object();

	json_put(&json, "rule", json_text(total->name));
	json_put(&json, "file", json_text(total->file));
	if (part->protocol < PROTOCOL_COUNT)
		json_put(&json, "protocol",
			 json_string(
				 protocol_name((enum protocol)part->protocol)));
	json_put(&json, "counts", stats_counts_members(&counts));
	return json;
}

static json_t *keep_totals(const struct stats *stats)
{
	struct berth_counts gone = stats_part_settled(&stats->gone);
	json_t *json = json_object(), *rules = json_array();

	for (size_t i = 0; i < stats->n_totals; i++) {
		const struct rule_total *total = &stats->totals[i];
		const struct stats_part *part;

		for (part = total->parts; part; part = part->next)
			json_add(&rules, keep_part(total, part));
	}
	json_put(&json, "rules", rules);
	json_put(&json, "gone", stats_counts_members(&gone));
	return json;
}

static void keep_now(void *user_data)
{
	struct stats *stats = user_data;
	uint64_t begin_us = monotonic_us();
	int r = json_file_save(stats->kept, keep_totals(stats));

	if (r < 0)
		log_warning_errno(-r,
				  "cannot write '%s'; counts would begin anew "
				  "if berthd were started anew",
				  stats->kept);
	stats->keep_us = (monotonic_us() - begin_us) * KEEP_FACTOR;
	if (stats->keep_us < KEEP_US)
		stats->keep_us = KEEP_US;
}

/* Adds what the file says of one part of a rule. A protocol that is missing, as
 * in the files of berthd 0.1, or is none, is not known. Return: 0, or -EPROTO.
 */
static int add_kept(struct stats *stats, json_t *json)
{
	const json_t *object = json_object_get(json, "counts");
	const char *rule = NULL, *file = NULL, *name = NULL;
	enum protocol known;
	unsigned int protocol = PROTOCOL_COUNT;
	struct stats_part *part = NULL;
	struct rule_total *total;
	struct berth_counts counts;

	if (json_unpack(json, "{s:s, s:s, s?s}", "rule", &rule, "file", &file,
			"protocol", &name) < 0 ||
	    !json_is_object(object) || stats_counts_parse(object, &counts) < 0)
		return -EPROTO;
	if (name && protocol_parse(name, &known) == 0)
		protocol = known;
	total = stats_total_find(stats->totals, stats->n_totals, rule, file);
	if (total)
		part = stats_parts_get(&total->parts, protocol);
	stats_counts_add(part ? &part->counts : &stats->gone.counts, &counts);
	return 0;
}

static int add_kept_gone(struct stats *stats, const json_t *json)
{
	struct berth_counts counts;

	if (!json_is_object(json) || stats_counts_parse(json, &counts) < 0)
		return -EPROTO;
	stats_counts_add(&stats->gone.counts, &counts);
	return 0;
}

static int keep_load(struct stats *stats)
{
	json_t *json = NULL, *rules, *rule;
	int r = json_file_load(stats->kept, KEPT_BYTES_MAX, &json);
	size_t i;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	rules = json_object_get(json, "rules");
	json_array_foreach (rules, i, rule) {
		if (r == 0)
			r = add_kept(stats, rule);
	}
	if (r == 0)
		r = add_kept_gone(stats, json_object_get(json, "gone"));
	json_decref(json);
	return r;
}

int stats_keep(struct stats *stats, const char *path)
{
	int r;

	stats->keep_us = KEEP_US;
	stats->kept = strdup(path);
	if (!stats->kept)
		return -ENOMEM;
	r = keep_load(stats);
	if (r < 0)
		log_warning_errno(-r, "cannot read '%s'; counts begin anew",
				  path);
	return 0;
}

/* Collections */

static void collect(struct stats *stats)
{
	struct stats_waiter *waiter;

	DL_FOREACH (stats->waiters, waiter)
		waiter->waits_for_next = false;
	stats->failed = false;
	stats->deadline_us = loop_now_us(stats->loop) + COLLECT_TIMEOUT_US;
	consumers_ask_stats(stats->consumers, ++stats->request);
	loop_timer_set(stats->timer, stats->deadline_us);
	stats_consumers_changed(stats);
}

void stats_consumers_changed(struct stats *stats)
{
	/* The timer's handler ends the collection, because this function may be
	 * called from anywhere. */
	if (stats->deadline_us &&
	    consumers_stats_waiting(stats->consumers, stats->request) == 0)
		loop_timer_set(stats->timer, loop_now_us(stats->loop));
}

/* The first that waits for what was collected; the others may be cancelled by
 * what one of them does. */
static struct stats_waiter *next_done(const struct stats *stats)
{
	struct stats_waiter *waiter;

	DL_FOREACH (stats->waiters, waiter) {
		if (!waiter->waits_for_next)
			return waiter;
	}
	return NULL;
}

static void collected(void *user_data)
{
	struct stats *stats = user_data;
	struct stats_result *result = stats->failed ? NULL
						    : stats_result_new(stats);
	struct stats_waiter *waiter;

	while ((waiter = next_done(stats))) {
		DL_DELETE(stats->waiters, waiter);
		waiter->done(result, waiter->user_data);
	}
	stats->deadline_us = 0;
	stats_result_unref(result);
	if (stats->waiters)
		collect(stats);
}

void stats_collect(struct stats *stats, struct stats_waiter *waiter)
{
	waiter->waits_for_next = true;
	DL_APPEND(stats->waiters, waiter);
	if (!stats->deadline_us)
		collect(stats);
}

void stats_cancel(struct stats *stats, struct stats_waiter *waiter)
{
	DL_DELETE(stats->waiters, waiter);
}

int stats_new(struct loop *loop, struct consumers *consumers,
	      struct stats **ret_stats)
{
	struct stats *stats = calloc(1, sizeof(*stats));
	int r;

	if (!stats)
		return -ENOMEM;
	stats->loop = loop;
	stats->consumers = consumers;
	r = loop_timer_new(loop, collected, stats, &stats->timer);
	if (r == 0)
		r = loop_timer_new(loop, keep_now, stats, &stats->keep_timer);
	if (r < 0) {
		loop_timer_free(stats->timer);
		loop_timer_free(stats->keep_timer);
		free(stats);
		return r;
	}
	*ret_stats = stats;
	return 0;
}

struct stats *stats_free(struct stats *stats)
{
	if (!stats)
		return NULL;
	if (loop_timer_is_set(stats->keep_timer))
		keep_now(stats);
	stats_said_clear(&stats->said);
	forget_last_part(stats);
	free(stats->kept);
	loop_timer_free(stats->keep_timer);
	loop_timer_free(stats->timer);
	ruleset_unref(stats->ruleset);
	stats_totals_free(stats->totals, stats->n_totals);
	free(stats);
	return NULL;
}
