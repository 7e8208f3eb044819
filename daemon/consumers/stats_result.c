// SPDX-License-Identifier: Apache-2.0
/* stats_result.c - what consumers counted, as it is told
 *
 * A result is the totals of the moment when all had answered. What was counted
 * of a listener is looked up when it is asked for, and may be newer.
 */
#include "daemon/consumers/stats_internal.h"

#include <string.h>
#include <utlist.h>

#include "binder/binder.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats_counts.h"
#include "rules/rules.h"

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
	for (size_t i = 0; i < result->n_silent; i++)
		free(result->silent[i]);
	free(result->silent);
	free(result->rules);
	free(result->by_index);
	stats_totals_free(result->totals, result->n_totals);
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

static bool is_silent(uint64_t connection, void *user_data)
{
	return consumers_is_silent(user_data, connection);
}

/* Looks at all that was said, if somebody does not answer: that is seldom. */
static void doubt_silent(struct stats *stats, bool any)
{
	struct stats_part *part;

	stats->gone.unsure = 0;
	for (size_t i = 0; i < stats->n_totals; i++) {
		LL_FOREACH (stats->totals[i].parts, part)
			part->unsure = 0;
	}
	if (any)
		stats_said_doubt(&stats->said, is_silent, stats->consumers);
}

/* Copies what is told of one rule. */
static int result_add_total(struct stats_result *result, size_t i,
			    const struct rule_total *from)
{
	struct rule_total *total = &result->totals[i];
	struct berth_counts *sum = &result->rules[from->index];
	const struct stats_part *part;

	*total = (struct rule_total){ from->name, from->file, from->index,
				      NULL };
	result->by_index[from->index] = total;
	LL_FOREACH (from->parts, part) {
		struct stats_part *copy =
			stats_parts_get(&total->parts, part->protocol);

		if (!copy)
			return -ENOMEM;
		copy->counts = stats_part_told(part);
		stats_counts_add(sum, &copy->counts);
	}
	return 0;
}

static int result_add_totals(struct stats_result *result,
			     const struct stats *stats)
{
	size_t n = stats->n_totals;
	int r = 0;

	result->totals = calloc(n + 1, sizeof(*result->totals));
	result->by_index = calloc(n + 1, sizeof(struct rule_total *));
	result->rules = calloc(n + 1, sizeof(*result->rules));
	if (!result->totals || !result->by_index || !result->rules)
		return -ENOMEM;
	result->n_totals = n;
	result->total = stats_part_told(&stats->gone);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = result_add_total(result, i, &stats->totals[i]);
	for (size_t i = 0; r == 0 && i < n; i++)
		stats_counts_add(&result->total, &result->rules[i]);
	return r;
}

struct stats_result *stats_result_new(struct stats *stats)
{
	struct stats_result *result = calloc(1, sizeof(*result));
	int r;

	if (!result)
		return NULL;
	result->refs = 1;
	result->stats = stats;
	result->ruleset = ruleset_ref(stats->ruleset);
	r = result_add_silent(result, stats->consumers);
	doubt_silent(stats, result->n_silent > 0);
	if (r == 0)
		r = result_add_totals(result, stats);
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

bool stats_result_draining(const struct stats_result *result, uint64_t id,
			   const char *consumer,
			   struct berth_counts *ret_counts)
{
	if (result_is_silent(result, consumer))
		return false;
	(void)stats_said_find(&result->stats->said, id, ret_counts);
	return true;
}

bool stats_result_listener(const struct stats_result *result,
			   const struct listener *listener,
			   struct berth_counts *ret_counts)
{
	struct berth_counts counts;

	if (result_is_silent(result, listener->service->consumer))
		return false;
	if (!stats_said_find(&result->stats->said, listener->id, &counts) &&
	    !consumers_delivered(listener))
		return false;
	*ret_counts = counts;
	return true;
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
