// SPDX-License-Identifier: Apache-2.0
/* stats.c - what consumers counted, by listener and by rule
 *
 * Theory of operation: only consumers count. berthd collects the counts of
 * present listeners from them when somebody wants to know, and does not keep
 * them. With the release of a listener a consumer sends its last counts, and
 * those are added to the total of the listener's rule here. So a rule's counts
 * are its total plus what is collected of its listeners. A listener is in
 * exactly one of the two: if it is released during a collection, its counts
 * leave the collection. What a consumer said last stands for what it does not
 * say, also when its connection ends (stats_parts.c): only what it counted
 * since is lost.
 *
 * The totals are kept in a file, so that they go on when berthd is started
 * anew. It is written a moment after they changed: many listeners that are
 * released together cost one file. What was added in that moment is lost if
 * berthd is killed.
 *
 * One collection runs at a time. A request that comes meanwhile waits for the
 * next one, so that its answer has nothing that was counted before the request.
 * When all have answered, the totals of that moment are copied, and the samples
 * are added to them, some in each turn of the loop; results are freed likewise.
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

/* Adds the totals of the rules so far to those of the same rules in @totals. */
static void move_totals(struct stats *stats, struct rule_total *totals,
			size_t n)
{
	for (size_t i = 0; i < stats->n_totals; i++) {
		struct rule_total *old = &stats->totals[i];
		struct rule_total *new =
			stats_total_find(totals, n, old->name, old->file);

		if (new)
			stats_parts_move(&new->parts, &old->parts);
		for (struct stats_part *part = old->parts; part;
		     part = part->next)
			stats_part_absorb(&stats->gone, part);
	}
}

int stats_set_rules(struct stats *stats, struct ruleset *ruleset)
{
	size_t n = ruleset_size(ruleset);
	struct rule_total *totals = calloc(n ? n : 1, sizeof(*totals));

	if (!totals)
		return -ENOMEM;
	stats_adding_finish(stats);
	for (size_t i = 0; i < n; i++) {
		struct rule_info info;

		ruleset_rule_info(ruleset, i, &info);
		totals[i].name = info.name;
		totals[i].file = info.file;
		totals[i].index = i;
	}
	qsort(totals, n, sizeof(*totals), stats_total_compare);
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

static void add_final(struct stats *stats, const struct consumer_count *count)
{
	stats_part_released(
		find_part_of(stats, count->service, count->protocol),
		count->connection, count->counts,
		/* adding= */ stats->adding.result && !stats->adding.complete);
	keep_soon(stats);
}

/* The file of the totals */

static json_t *keep_part(const struct rule_total *total,
			 const struct stats_part *part)
{
	json_t *json = json_object();

	json_put(&json, "rule", json_text(total->name));
	json_put(&json, "file", json_text(total->file));
	if (part->protocol < PROTOCOL_COUNT)
		json_put(&json, "protocol",
			 json_string(
				 protocol_name((enum protocol)part->protocol)));
	json_put(&json, "counts", stats_counts_members(&part->counts));
	return json;
}

static json_t *keep_totals(const struct stats *stats)
{
	json_t *json = json_object(), *rules = json_array();

	for (size_t i = 0; i < stats->n_totals; i++) {
		const struct rule_total *total = &stats->totals[i];
		const struct stats_part *part;

		for (part = total->parts; part; part = part->next)
			json_add(&rules, keep_part(total, part));
	}
	json_put(&json, "rules", rules);
	json_put(&json, "gone", stats_counts_members(&stats->gone.counts));
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

/* Samples */

static struct sample *sample_new(struct sample **samples,
				 const struct consumer_count *count)
{
	struct sample *sample = calloc(1, sizeof(*sample));

	if (!sample)
		return NULL;
	sample->id = count->id;
	sample->protocol = count->protocol;
	HASH_ADD(hh, *samples, id, sizeof(sample->id), sample);
	if (!sample->hh.tbl) {
		free(sample);
		return NULL;
	}
	sample->service = service_ref(count->service);
	return sample;
}

static struct sample_part *find_part(const struct sample *sample,
				     uint64_t connection)
{
	struct sample_part *part;

	LL_FOREACH (sample->parts, part) {
		if (part->connection == connection)
			return part;
	}
	return NULL;
}

static void sample_add_up(struct sample *sample)
{
	const struct sample_part *part;

	sample->counts = (struct berth_counts){ .accepted = 0 };
	LL_FOREACH (sample->parts, part)
		stats_counts_add(&sample->counts, &part->counts);
}

/* A connection counted this of the listener so far. */
static int sample_set(struct sample *sample, const struct consumer_count *count)
{
	struct sample_part *part = find_part(sample, count->connection);

	if (!part) {
		part = malloc(sizeof(*part));
		if (!part)
			return -ENOMEM;
		part->connection = count->connection;
		LL_PREPEND(sample->parts, part);
	}
	part->counts = *count->counts;
	sample_add_up(sample);
	return 0;
}

/* A connection counts no more of the listener. */
static void sample_end(struct stats *stats, struct sample *sample,
		       uint64_t connection)
{
	struct sample_part *part = find_part(sample, connection);

	if (part) {
		LL_DELETE(sample->parts, part);
		free(part);
	}
	if (sample->parts) {
		sample_add_up(sample);
		return;
	}
	HASH_DEL(stats->samples, sample);
	stats_sample_free(sample);
}

void stats_counted(struct stats *stats, const struct consumer_count *count)
{
	struct sample *sample = stats_sample_find(stats->samples, count->id);

	if (count->final) {
		if (sample)
			sample_end(stats, sample, count->connection);
		add_final(stats, count);
		return;
	}
	if (!stats->deadline_us || stats->adding.result)
		return; /* too late for the collection that it answers */
	if (!sample)
		sample = sample_new(&stats->samples, count);
	if (!sample || sample_set(sample, count) < 0)
		stats->failed = true;
}

void stats_connection_ended(struct stats *stats, uint64_t connection)
{
	struct sample *sample, *next;

	stats_adding_finish(stats);
	HASH_ITER (hh, stats->samples, sample, next)
		sample_end(stats, sample, connection);
	for (size_t i = 0; i < stats->n_totals; i++) {
		struct stats_part *part;

		LL_FOREACH (stats->totals[i].parts, part)
			stats_part_lost(part, connection);
	}
	stats_part_lost(&stats->gone, connection);
	keep_soon(stats);
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
	struct stats_result *result;
	struct stats_waiter *waiter;

	if (!stats->adding.result && !stats->adding.complete)
		stats_adding_begin(stats);
	if (!stats->adding.complete)
		stats_adding_step(stats);
	if (!stats->adding.complete) {
		loop_timer_set(stats->timer, loop_now_us(stats->loop));
		return;
	}
	result = stats->adding.result;
	while ((waiter = next_done(stats))) {
		DL_DELETE(stats->waiters, waiter);
		waiter->done(result, waiter->user_data);
	}
	stats->adding = (struct adding){ .result = NULL };
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
	if (r == 0)
		r = loop_timer_new(loop, stats_free_some, stats,
				   &stats->free_timer);
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
	stats_results_free(stats);
	free(stats->kept);
	loop_timer_free(stats->keep_timer);
	loop_timer_free(stats->free_timer);
	stats_samples_clear(stats);
	loop_timer_free(stats->timer);
	ruleset_unref(stats->ruleset);
	stats_totals_free(stats->totals, stats->n_totals);
	stats_part_finish(&stats->gone);
	free(stats);
	return NULL;
}
