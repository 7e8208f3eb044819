// SPDX-License-Identifier: Apache-2.0
/* shadows.c - how many wanted listeners lost to earlier rules, by rule and
 * protocol
 *
 * There are as many sums as rules that lose somewhere, which is a handful:
 * rules that can never win are mistakes. So they stand in an array.
 */
#include "daemon/shadows.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "rules/plan.h"

/** struct shadow_part - what one namespace has of a sum */
struct shadow_part {
	struct shadow_sum *sum;
	uint64_t n;
	struct shadow_part *next;
};

static struct shadow_sum *sum_new(const char *rule, unsigned int protocol)
{
	size_t len = strlen(rule) + 1;
	struct shadow_sum *sum = malloc(sizeof(*sum) + len);

	if (!sum)
		return NULL;
	*sum = (struct shadow_sum){
		.rule = memcpy(sum + 1, rule, len),
		.protocol = protocol,
	};
	return sum;
}

/* Return: NULL: no memory. */
static struct shadow_sum *sum_get(struct shadows *shadows, const char *rule,
				  unsigned int protocol)
{
	struct shadow_sum **sums, *sum;

	for (size_t i = 0; i < shadows->n_sums; i++) {
		sum = shadows->sums[i];
		if (sum->protocol == protocol && strcmp(sum->rule, rule) == 0)
			return sum;
	}
	sums = reallocarray(shadows->sums, shadows->n_sums + 1, sizeof(*sums));
	if (!sums)
		return NULL;
	shadows->sums = sums;
	sum = sum_new(rule, protocol);
	if (sum)
		sums[shadows->n_sums++] = sum;
	return sum;
}

/* Takes @n off, and forgets the sum if none is left. */
static void sum_take(struct shadows *shadows, struct shadow_sum *sum,
		     uint64_t n)
{
	sum->n -= n;
	if (sum->n > 0)
		return;
	for (size_t i = 0; i < shadows->n_sums; i++) {
		if (shadows->sums[i] == sum) {
			shadows->sums[i] = shadows->sums[--shadows->n_sums];
			break;
		}
	}
	free(sum);
	if (shadows->n_sums > 0)
		return;
	free(shadows->sums);
	shadows->sums = NULL;
}

/* One more of @sum. */
static void part_add(struct shadows_of *of, struct shadow_sum *sum)
{
	struct shadow_part *part;

	LL_SEARCH_SCALAR(of->parts, part, sum, sum);
	if (!part) {
		part = calloc(1, sizeof(*part));
		if (!part)
			return;
		part->sum = sum;
		LL_PREPEND(of->parts, part);
	}
	part->n++;
	sum->n++;
}

void shadows_set(struct shadows *shadows, struct shadows_of *of,
		 const struct plan *plan)
{
	struct shadows_of now = { .parts = NULL };

	for (size_t i = 0; i < plan->n_shadows; i++) {
		const struct plan_shadow *shadow = &plan->shadows[i];
		struct shadow_sum *sum = sum_get(shadows, shadow->rule,
						 shadow->endpoint.protocol);

		if (!sum)
			continue;
		sum->n++; /* so that it stays, whatever becomes of its part */
		part_add(&now, sum);
		sum_take(shadows, sum, 1);
	}
	shadows_clear(shadows, of);
	*of = now;
}

void shadows_clear(struct shadows *shadows, struct shadows_of *of)
{
	struct shadow_part *part;

	while ((part = of->parts)) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		LL_DELETE(of->parts, part);
		sum_take(shadows, part->sum, part->n);
		free(part);
	}
}
