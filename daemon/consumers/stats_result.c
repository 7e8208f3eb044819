// SPDX-License-Identifier: Apache-2.0
/* stats_result.c - what consumers counted, added up in slices
 *
 * A result is the totals of the moment when all had answered, and the samples
 * of listeners. Neither adding up 15,000 of them nor freeing them is done in
 * one turn of the loop.
 */
#include "daemon/consumers/stats_internal.h"

#include <string.h>
#include <utlist.h>

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats_counts.h"
#include "rules/rules.h"

/* Samples added up, or freed, in one turn: a quarter of a millisecond. */
#define SAMPLES_PER_TURN 512

/* Totals */

int stats_total_compare(const void *a, const void *b)
{
	const struct rule_total *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->file, y->file);
}

struct rule_total *stats_total_find(const struct rule_total *totals, size_t n,
				    const char *name, const char *file)
{
	const struct rule_total key = { .name = name, .file = file };

	return n ? bsearch(&key, totals, n, sizeof(key), stats_total_compare)
		 : NULL;
}

void stats_totals_free(struct rule_total *totals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stats_parts_free(&totals[i].parts);
	free(totals);
}

/* Samples */

struct sample *stats_sample_find(struct sample *samples, uint64_t id)
{
	struct sample *sample;

	HASH_FIND(hh, samples, &id, sizeof(id), sample);
	return sample;
}

void stats_sample_free(struct sample *sample)
{
	struct sample_part *part;

	while ((part = sample->parts)) {
		LL_DELETE(sample->parts, part);
		free(part);
	}
	service_unref(sample->service);
	free(sample);
}

void stats_samples_clear(struct stats *stats)
{
	struct sample *sample, *next;

	HASH_ITER (hh, stats->samples, sample, next) {
		HASH_DEL(stats->samples, sample);
		stats_sample_free(sample);
	}
}

/* Results */

struct stats_result *stats_result_ref(struct stats_result *result)
{
	result->refs++;
	return result;
}

/* Frees some of the samples. Return: are there more? */
static bool result_free_some(struct stats_result *result, size_t max)
{
	struct sample *sample;

	while ((sample = result->samples) && max-- > 0) {
		result->samples = sample->hh.next;
		stats_sample_free(sample);
	}
	return result->samples != NULL;
}

static void result_free(struct stats_result *result)
{
	(void)result_free_some(result, SIZE_MAX);
	for (size_t i = 0; i < result->n_silent; i++)
		free(result->silent[i]);
	free(result->silent);
	free(result->rules);
	free(result->by_index);
	stats_totals_free(result->totals, result->n_totals);
	stats_part_finish(&result->gone);
	ruleset_unref(result->ruleset);
	free(result);
}

void stats_free_some(void *user_data)
{
	struct stats *stats = user_data;
	struct stats_result *result = stats->dead;

	if (!result_free_some(result, SAMPLES_PER_TURN)) {
		LL_DELETE(stats->dead, result);
		result_free(result);
	}
	if (stats->dead)
		loop_timer_set(stats->free_timer, loop_now_us(stats->loop));
}

struct stats_result *stats_result_unref(struct stats_result *result)
{
	struct sample *first;

	if (!result || --result->refs > 0)
		return NULL;
	/* Without the table they are still a list, in the order in which they
	 * were added. */
	first = result->samples;
	HASH_CLEAR(hh, result->samples);
	result->samples = first;
	LL_PREPEND(result->stats->dead, result);
	loop_timer_set(result->stats->free_timer,
		       loop_now_us(result->stats->loop));
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

/* Copies the totals, without what is remembered beside them. */
static int result_add_totals(struct stats_result *result,
			     const struct stats *stats)
{
	size_t n = stats->n_totals;

	result->totals = calloc(n + 1, sizeof(*result->totals));
	result->by_index = calloc(n + 1, sizeof(struct rule_total *));
	result->rules = calloc(n + 1, sizeof(*result->rules));
	if (!result->totals || !result->by_index || !result->rules)
		return -ENOMEM;
	result->n_totals = n;
	result->gone.counts = stats->gone.counts;
	for (size_t i = 0; i < n; i++) {
		const struct rule_total *from = &stats->totals[i];
		struct rule_total *total = &result->totals[i];
		const struct stats_part *part;

		*total = (struct rule_total){ from->name, from->file,
					      from->index, NULL };
		result->by_index[from->index] = total;
		LL_FOREACH (from->parts, part) {
			struct stats_part *copy =
				stats_parts_get(&total->parts, part->protocol);

			if (!copy)
				return -ENOMEM;
			copy->counts = part->counts;
		}
	}
	return 0;
}

/* Takes the samples. Return: NULL when memory is short. */
static struct stats_result *result_new(struct stats *stats)
{
	struct stats_result *result = calloc(1, sizeof(*result));
	int r = stats->failed ? -ENOMEM : 0;

	if (!result) {
		stats_samples_clear(stats);
		return NULL;
	}
	result->refs = 1;
	result->stats = stats;
	result->samples = TAKE_PTR(stats->samples);
	result->ruleset = ruleset_ref(stats->ruleset);
	if (r == 0)
		r = result_add_silent(result, stats->consumers);
	if (r == 0)
		r = result_add_totals(result, stats);
	return r == 0 ? result : stats_result_unref(result);
}

/* The part of the result that @sample counts for; NULL: no memory. */
static struct stats_part *adding_part(struct adding *adding,
				      const struct sample *sample)
{
	struct stats_result *result = adding->result;
	struct rule_total *total;

	/* One after the other is often of the same rule. */
	if (adding->part && adding->service == sample->service &&
	    adding->protocol == sample->protocol)
		return adding->part;
	total = stats_total_find(result->totals, result->n_totals,
				 sample->service->rule, sample->service->file);
	adding->part = total ? stats_parts_get(&total->parts, sample->protocol)
			     : &result->gone;
	adding->service = sample->service;
	adding->protocol = sample->protocol;
	return adding->part;
}

/* Return: 0 or -ENOMEM. */
static int add_sample(struct adding *adding, const struct sample *sample)
{
	struct stats_part *part = adding_part(adding, sample);
	const struct sample_part *said;
	int r = part ? 0 : -ENOMEM;

	LL_FOREACH (sample->parts, said) {
		if (r == 0)
			r = stats_part_said(part, said->connection,
					    &said->counts);
	}
	return r;
}

/* Each part that has been counted for so far, or is now, is in both. */
static void pair_parts(struct rule_total *own, struct rule_total *answer)
{
	struct stats_part *part, *other;

	LL_FOREACH (own->parts, part)
		(void)stats_parts_get(&answer->parts, part->protocol);
	LL_FOREACH (answer->parts, part) {
		other = stats_parts_get(&own->parts, part->protocol);
		if (other)
			stats_part_answered(other, part);
		else
			stats_part_finish(part);
	}
}

/* Adds what was known before, and what the samples say, to the totals. */
static void add_reported(struct stats *stats, struct stats_result *result)
{
	stats_part_answered(&stats->gone, &result->gone);
	result->total = result->gone.counts;
	for (size_t i = 0; i < result->n_totals; i++) {
		struct rule_total *total = result->by_index[i];
		struct berth_counts *sum = &result->rules[i];

		pair_parts(&stats->totals[total - result->totals], total);
		for (struct stats_part *part = total->parts; part;
		     part = part->next)
			stats_counts_add(sum, &part->counts);
		stats_counts_add(&result->total, sum);
	}
}

/* Adds up to @max samples. */
static void adding_add(struct stats *stats, size_t max)
{
	struct adding *adding = &stats->adding;
	int r = 0;

	for (; adding->at && r == 0 && max > 0; max--) {
		r = add_sample(adding, adding->at);
		adding->at = adding->at->hh.next;
	}
	if (r < 0) {
		(void)stats_result_unref(adding->result);
		*adding = (struct adding){ .complete = true };
	} else if (!adding->at) {
		add_reported(stats, adding->result);
		adding->complete = true;
	}
}

void stats_adding_step(struct stats *stats)
{
	adding_add(stats, SAMPLES_PER_TURN);
}

void stats_adding_finish(struct stats *stats)
{
	if (stats->adding.result && !stats->adding.complete)
		adding_add(stats, SIZE_MAX);
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
		stats_sample_find(result->samples, listener->id);

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
	const struct sample *sample = stats_sample_find(result->samples, id);

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

const struct stats_part *stats_result_parts(const struct stats_result *result,
					    size_t index)
{
	return result->by_index[index]->parts;
}

const struct berth_counts *stats_result_total(const struct stats_result *result)
{
	return &result->total;
}

void stats_adding_begin(struct stats *stats)
{
	struct stats_result *result = result_new(stats);

	stats->adding = (struct adding){
		.result = result,
		.at = result ? result->samples : NULL,
		.complete = !result,
	};
}

void stats_results_free(struct stats *stats)
{
	struct stats_result *result;

	(void)stats_result_unref(stats->adding.result);
	while ((result = stats->dead)) {
		LL_DELETE(stats->dead, result);
		result_free(result);
	}
}
