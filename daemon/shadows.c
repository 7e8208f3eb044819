// SPDX-License-Identifier: Apache-2.0
/* shadows.c - how many wanted listeners lost to earlier rules, by rule and
 * protocol */
#include "daemon/shadows.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "rules/plan.h"

/** struct shadow_part - what one namespace has of a sum */
struct shadow_part {
	struct shadow_sum *sum;
	enum protocol protocol;
	uint64_t n;
	struct shadow_part *next;
};

static struct shadow_sum *sum_new(const char *rule)
{
	size_t len = strlen(rule) + 1;
	struct shadow_sum *sum = malloc(sizeof(*sum) + len);

	if (sum)
		*sum = (struct shadow_sum){
			.rule = memcpy(sum + 1, rule, len),
		};
	return sum;
}

/* Return: NULL: no memory. */
static struct shadow_sum *sum_get(struct shadow_sum **sums, const char *rule)
{
	struct shadow_sum *sum;

	HASH_FIND_STR(*sums, rule, sum);
	if (sum)
		return sum;
	sum = sum_new(rule);
	if (!sum)
		return NULL;
	HASH_ADD_KEYPTR(hh, *sums, sum->rule, strlen(sum->rule), sum);
	if (sum->hh.tbl)
		return sum;
	free(sum);
	return NULL;
}

/* Takes @n off, and forgets the sum if none is left. */
static void sum_take(struct shadow_sum **sums, struct shadow_sum *sum,
		     uint64_t n)
{
	sum->n -= n;
	if (sum->n > 0)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(*sums, sum);
	free(sum);
}

/* One more of @sum. */
static void part_add(struct shadows_of *of, struct shadow_sum *sum,
		     enum protocol protocol)
{
	struct shadow_part *part = sum->part;

	if (!part) {
		part = calloc(1, sizeof(*part));
		if (!part)
			return;
		part->sum = sum;
		part->protocol = protocol;
		LL_PREPEND(of->parts, part);
		sum->part = part;
	}
	part->n++;
	sum->n++;
}

void shadows_set(struct shadows *shadows, struct shadows_of *of,
		 const struct plan *plan)
{
	struct shadows_of now = { .parts = NULL };
	struct shadow_part *part;

	for (size_t i = 0; i < plan->n_shadows; i++) {
		const struct plan_shadow *shadow = &plan->shadows[i];
		enum protocol protocol = shadow->endpoint.protocol;
		struct shadow_sum **sums = &shadows->sums[protocol];
		struct shadow_sum *sum = sum_get(sums, shadow->rule);

		if (!sum)
			continue;
		sum->n++; /* so that it stays, whatever becomes of its part */
		part_add(&now, sum, protocol);
		sum_take(sums, sum, 1);
	}
	LL_FOREACH (now.parts, part)
		part->sum->part = NULL;
	shadows_clear(shadows, of);
	*of = now;
}

void shadows_clear(struct shadows *shadows, struct shadows_of *of)
{
	struct shadow_part *part;

	while ((part = of->parts)) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		LL_DELETE(of->parts, part);
		sum_take(&shadows->sums[part->protocol], part->sum, part->n);
		free(part);
	}
}
