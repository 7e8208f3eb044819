// SPDX-License-Identifier: Apache-2.0
/* stats.c - what consumers counted, by listener and by rule
 *
 * Theory of operation: only consumers count. berthd collects the counts of
 * present listeners from them when somebody wants to know, and does not keep
 * them. With the release of a listener a consumer sends its last counts, and
 * those are added to the total of the listener's rule here. So a rule's counts
 * are its total plus what is collected of its listeners. A listener is in
 * exactly one of the two: if it is released during a collection, its counts
 * leave the collection. Counts that a consumer did not send before its
 * connection ended are lost.
 *
 * The totals are kept in a file, so that they go on when berthd is started
 * anew. It is written a moment after they changed: many listeners that are
 * released together cost one file. What was added in that moment is lost if
 * berthd is killed.
 *
 * One collection runs at a time. A request that comes meanwhile waits for the
 * next one, so that its answer has nothing that was counted before the request.
 */
#include "daemon/consumers/stats.h"

#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "binder/binder.h"
#include "common/log.h"
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

/**
 * struct rule_total - of listeners that were released
 * @name, @file: the ruleset's
 * @index:	in the ruleset
 */
struct rule_total {
	const char *name;
	const char *file;
	size_t index;
	struct berth_counts counts;
};

/** struct sample_part - what one connection counted */
struct sample_part {
	uint64_t connection;
	struct berth_counts counts;
	struct sample_part *next;
};

/**
 * struct sample - what was collected of listener @id
 * @service:	a reference
 * @parts:	of the connections that have it or still have connections of it
 * @counts:	their sum
 */
struct sample {
	uint64_t id;
	struct service *service;
	struct sample_part *parts;
	struct berth_counts counts;
	UT_hash_handle hh;
};

struct stats_result {
	unsigned int refs;
	struct ruleset *ruleset;
	struct sample *samples;
	struct berth_counts *rules;
	struct berth_counts total;
	char **silent;
	size_t n_silent;
};

/**
 * struct stats - see the file's head
 * @totals:	of the rules in @ruleset, by name and file
 * @gone:	of rules that are not in force any more
 * @kept:	the file of the totals, or NULL
 * @keep_us:	how long after a change it is written
 * @keep_timer:	set while the totals are others than those in the file
 * @request:	of the last collection
 * @deadline_us: of the collection that runs; 0: none does
 * @failed:	there was no memory for a sample of it
 * @waiters:	for the collection that runs, and for the next
 */
struct stats {
	struct consumers *consumers;
	struct loop *loop;
	struct loop_timer *timer;
	struct ruleset *ruleset;
	struct rule_total *totals;
	size_t n_totals;
	struct berth_counts gone;
	char *kept;
	uint64_t keep_us;
	struct loop_timer *keep_timer;
	uint64_t request;
	uint64_t deadline_us;
	struct sample *samples;
	bool failed;
	struct stats_waiter *waiters;
};

/* Totals */

static int total_compare(const void *a, const void *b)
{
	const struct rule_total *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->file, y->file);
}

static struct rule_total *find_total(const struct rule_total *totals, size_t n,
				     const char *name, const char *file)
{
	const struct rule_total key = { .name = name, .file = file };

	return n ? bsearch(&key, totals, n, sizeof(key), total_compare) : NULL;
}

/* Adds the totals of the rules so far to those of the same rules in @totals. */
static void move_totals(struct stats *stats, struct rule_total *totals,
			size_t n)
{
	for (size_t i = 0; i < stats->n_totals; i++) {
		const struct rule_total *old = &stats->totals[i];
		struct rule_total *new =
			find_total(totals, n, old->name, old->file);

		stats_counts_add(new ? &new->counts : &stats->gone,
				 &old->counts);
	}
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
	qsort(totals, n, sizeof(*totals), total_compare);
	move_totals(stats, totals, n);
	free(stats->totals);
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

static void add_final(struct stats *stats, const struct service *service,
		      const struct berth_counts *counts)
{
	struct rule_total *total = find_total(stats->totals, stats->n_totals,
					      service->rule, service->file);
	struct berth_counts final = *counts;

	if (!total && service->file[0] == '\0')
		total = find_by_name(stats, service->rule);
	final.active = 0; /* whatever it says */
	stats_counts_add(total ? &total->counts : &stats->gone, &final);
	if (stats->kept)
		loop_timer_set_earlier(stats->keep_timer,
				       loop_now_us(stats->loop) +
					       stats->keep_us);
}

/* The file of the totals */

static void keep_now(void *user_data)
{
	struct stats *stats = user_data;
	json_t *json = json_object(), *rules = json_array();
	uint64_t begin_us = monotonic_us();
	int r;

	for (size_t i = 0; i < stats->n_totals; i++) {
		const struct rule_total *total = &stats->totals[i];
		json_t *rule = json_object();

		json_put(&rule, "rule", json_text(total->name));
		json_put(&rule, "file", json_text(total->file));
		json_put(&rule, "counts", stats_counts_members(&total->counts));
		json_add(&rules, rule);
	}
	json_put(&json, "rules", rules);
	json_put(&json, "gone", stats_counts_members(&stats->gone));
	r = json_file_save(stats->kept, json);
	if (r < 0)
		log_warning_errno(-r,
				  "cannot write '%s'; counts would begin anew "
				  "if berthd were started anew",
				  stats->kept);
	stats->keep_us = (monotonic_us() - begin_us) * KEEP_FACTOR;
	if (stats->keep_us < KEEP_US)
		stats->keep_us = KEEP_US;
}

/* Adds what the file says of one rule; without @json, of those that are gone.
 * Return: 0, or -EPROTO. */
static int add_kept(struct stats *stats, json_t *json, const json_t *gone)
{
	const json_t *object = json ? json_object_get(json, "counts") : gone;
	const char *rule = NULL, *file = NULL;
	struct rule_total *total = NULL;
	struct berth_counts counts;

	if (json &&
	    json_unpack(json, "{s:s, s:s}", "rule", &rule, "file", &file) < 0)
		return -EPROTO;
	if (!json_is_object(object) || stats_counts_parse(object, &counts) < 0)
		return -EPROTO;
	if (json)
		total = find_total(stats->totals, stats->n_totals, rule, file);
	stats_counts_add(total ? &total->counts : &stats->gone, &counts);
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
			r = add_kept(stats, rule, NULL);
	}
	if (r == 0)
		r = add_kept(stats, NULL, json_object_get(json, "gone"));
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

static struct sample *find_sample(struct sample *samples, uint64_t id)
{
	struct sample *sample;

	HASH_FIND(hh, samples, &id, sizeof(id), sample);
	return sample;
}

static void sample_free(struct sample **samples, struct sample *sample)
{
	struct sample_part *part;

	while ((part = sample->parts)) {
		LL_DELETE(sample->parts, part);
		free(part);
	}
	HASH_DEL(*samples, sample);
	service_unref(sample->service);
	free(sample);
}

static void samples_free(struct sample **samples)
{
	struct sample *sample, *next;

	HASH_ITER (hh, *samples, sample, next)
		sample_free(samples, sample);
}

static struct sample *sample_new(struct sample **samples, uint64_t id,
				 struct service *service)
{
	struct sample *sample = calloc(1, sizeof(*sample));

	if (!sample)
		return NULL;
	sample->id = id;
	HASH_ADD(hh, *samples, id, sizeof(sample->id), sample);
	if (!sample->hh.tbl) {
		free(sample);
		return NULL;
	}
	sample->service = service_ref(service);
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
	if (sample->parts)
		sample_add_up(sample);
	else
		sample_free(&stats->samples, sample);
}

void stats_counted(struct stats *stats, const struct consumer_count *count)
{
	struct sample *sample = find_sample(stats->samples, count->id);

	if (count->final) {
		if (sample)
			sample_end(stats, sample, count->connection);
		add_final(stats, count->service, count->counts);
		return;
	}
	if (!stats->deadline_us)
		return; /* too late for the collection that it answers */
	if (!sample)
		sample = sample_new(&stats->samples, count->id, count->service);
	if (!sample || sample_set(sample, count) < 0)
		stats->failed = true;
}

/* Results */

struct stats_result *stats_result_ref(struct stats_result *result)
{
	result->refs++;
	return result;
}

struct stats_result *stats_result_unref(struct stats_result *result)
{
	if (!result || --result->refs > 0)
		return NULL;
	samples_free(&result->samples);
	for (size_t i = 0; i < result->n_silent; i++)
		free(result->silent[i]);
	free(result->silent);
	free(result->rules);
	ruleset_unref(result->ruleset);
	free(result);
	return NULL;
}

static int result_add_silent(struct stats_result *result,
			     const struct consumers *consumers)
{
	size_t n = consumers_count(consumers);

	result->silent = calloc(n ? n : 1, sizeof(*result->silent));
	if (!result->silent)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct consumer_info info;
		char *name;

		consumers_get_info(consumers, i, &info);
		if (!info.silent)
			continue;
		name = strdup(info.name);
		if (!name)
			return -ENOMEM;
		result->silent[result->n_silent++] = name;
	}
	return 0;
}

static int result_add_rules(struct stats_result *result,
			    const struct stats *stats)
{
	const struct rule_total *total;
	struct sample *sample;

	result->rules = calloc(stats->n_totals + 1, sizeof(*result->rules));
	if (!result->rules)
		return -ENOMEM;
	result->total = stats->gone;
	for (size_t i = 0; i < stats->n_totals; i++) {
		total = &stats->totals[i];
		result->rules[total->index] = total->counts;
		stats_counts_add(&result->total, &total->counts);
	}
	for (sample = result->samples; sample; sample = sample->hh.next) {
		total = find_total(stats->totals, stats->n_totals,
				   sample->service->rule,
				   sample->service->file);
		if (total)
			stats_counts_add(&result->rules[total->index],
					 &sample->counts);
		stats_counts_add(&result->total, &sample->counts);
	}
	return 0;
}

/* Takes the samples. Return: NULL when memory is short. */
static struct stats_result *result_new(struct stats *stats)
{
	struct stats_result *result = calloc(1, sizeof(*result));
	int r = stats->failed ? -ENOMEM : 0;

	if (!result) {
		samples_free(&stats->samples);
		return NULL;
	}
	result->refs = 1;
	result->samples = TAKE_PTR(stats->samples);
	result->ruleset = ruleset_ref(stats->ruleset);
	if (r == 0)
		r = result_add_silent(result, stats->consumers);
	if (r == 0)
		r = result_add_rules(result, stats);
	return r == 0 ? result : stats_result_unref(result);
}

const char *stats_result_silent(const struct stats_result *result, size_t index)
{
	return index < result->n_silent ? result->silent[index] : NULL;
}

static bool result_is_silent(const struct stats_result *result,
			     const char *consumer)
{
	for (size_t i = 0; i < result->n_silent; i++) {
		if (strcmp(result->silent[i], consumer) == 0)
			return true;
	}
	return false;
}

const struct berth_counts *
stats_result_listener(const struct stats_result *result,
		      const struct listener *listener)
{
	static const struct berth_counts none;
	const struct sample *sample =
		find_sample(result->samples, listener->id);

	if (sample)
		return &sample->counts;
	if (!consumers_delivered(listener) ||
	    result_is_silent(result, listener->service->consumer))
		return NULL;
	return &none;
}

const struct berth_counts *
stats_result_draining(const struct stats_result *result, uint64_t id,
		      const char *consumer)
{
	static const struct berth_counts none;
	const struct sample *sample = find_sample(result->samples, id);

	if (sample)
		return &sample->counts;
	return result_is_silent(result, consumer) ? NULL : &none;
}

struct ruleset *stats_result_ruleset(const struct stats_result *result)
{
	return result->ruleset;
}

const struct berth_counts *stats_result_rule(const struct stats_result *result,
					     size_t index)
{
	return &result->rules[index];
}

const struct berth_counts *stats_result_total(const struct stats_result *result)
{
	return &result->total;
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
	struct stats_result *result = result_new(stats);
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
	free(stats->kept);
	loop_timer_free(stats->keep_timer);
	samples_free(&stats->samples);
	loop_timer_free(stats->timer);
	ruleset_unref(stats->ruleset);
	free(stats->totals);
	free(stats);
	return NULL;
}
