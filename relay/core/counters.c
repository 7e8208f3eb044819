// SPDX-License-Identifier: Apache-2.0
/* counters.c - reads what workers counted */
#include "relay/core/counters.h"

#include <stdlib.h>

/* Return: NULL: no memory; then only the sum is counted. */
static struct counters_reasons *get_reasons(struct counters *counters)
{
	struct counters_reasons *reasons =
		atomic_load_explicit(&counters->reasons, memory_order_relaxed);

	if (reasons)
		return reasons;
	reasons = calloc(1, sizeof(*reasons));
	/* A reader that sees the pointer sees the zeroes, too. */
	atomic_store_explicit(&counters->reasons, reasons,
			      memory_order_release);
	return reasons;
}

/* The sum comes after its part, so that no reader finds a sum whose reason is
 * still missing. */
static void add_with_reason(struct counters *counters, enum counter sum,
			    _Atomic uint64_t *reason, uint64_t n)
{
	uint64_t old;

	if (reason) {
		old = atomic_load_explicit(reason, memory_order_relaxed);
		atomic_store_explicit(reason, old + n, memory_order_relaxed);
	}
	old = atomic_load_explicit(&counters->values[sum],
				   memory_order_relaxed);
	atomic_store_explicit(&counters->values[sum], old + n,
			      memory_order_release);
}

void counters_dropped(struct counters *counters, enum berth_drop why,
		      uint64_t n)
{
	struct counters_reasons *reasons;

	if (n == 0)
		return;
	reasons = get_reasons(counters);
	add_with_reason(counters, COUNTER_DROPPED,
			reasons ? &reasons->dropped[why] : NULL, n);
}

void counters_limited(struct counters *counters, enum berth_limit limit)
{
	struct counters_reasons *reasons = get_reasons(counters);

	add_with_reason(counters, COUNTER_LIMITED,
			reasons ? &reasons->limited[limit] : NULL, 1);
}

void counters_free(struct counters *counters)
{
	if (counters)
		free(atomic_load(&counters->reasons));
	free(counters);
}

static size_t error_place(const struct counts *counts, int error)
{
	size_t i = 0;

	while (i < counts->n_errors && counts->errors[i].error != error)
		i++;
	return i;
}

void counts_add_error(struct counts *counts, int error, uint64_t n)
{
	size_t i = error_place(counts, error);

	/* The last place is for failures without an errno. */
	if (i == counts->n_errors && i >= COUNTERS_ERRORS) {
		error = 0;
		i = error_place(counts, 0);
	}
	if (i == counts->n_errors) {
		counts->errors[i].error = error;
		counts->n_errors++;
	}
	counts->errors[i].n += n;
}

static void sum_reasons(const struct counters *counters, struct counts *counts)
{
	const struct counters_reasons *reasons =
		atomic_load_explicit(&counters->reasons, memory_order_acquire);

	if (!reasons)
		return;
	for (size_t i = 0; i < BERTH_DROPS; i++)
		counts->dropped[i] += atomic_load_explicit(
			&reasons->dropped[i], memory_order_relaxed);
	for (size_t i = 0; i < BERTH_LIMITS; i++)
		counts->limited[i] += atomic_load_explicit(
			&reasons->limited[i], memory_order_relaxed);
}

void counters_sum(const struct counters *counters, struct counts *counts)
{
	if (!counters)
		return;
	/* In this order: a connection that is read as ended was accepted
	 * before, so that it cannot seem to have ended without coming. */
	for (int i = COUNTER_COUNT - 1; i >= 0; i--)
		counts->values[i] += atomic_load_explicit(&counters->values[i],
							  memory_order_acquire);
	for (size_t i = 0; i < BERTH_ENDINGS; i++)
		counts->ended[i] += atomic_load_explicit(&counters->ended[i],
							 memory_order_relaxed);
	for (size_t i = 0; i <= COUNTERS_ERRORS; i++) {
		uint64_t n = atomic_load_explicit(&counters->errors[i].n,
						  memory_order_acquire);
		int error = atomic_load_explicit(&counters->errors[i].error,
						 memory_order_relaxed);

		if (n > 0)
			counts_add_error(counts, error, n);
	}
	sum_reasons(counters, counts);
}

uint64_t counts_active(const struct counts *counts)
{
	uint64_t accepted = counts->values[COUNTER_ACCEPTED];
	uint64_t ended = counts->values[COUNTER_ENDED];

	return accepted > ended ? accepted - ended : 0;
}

uint64_t counts_grown(const struct counts *counts)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < COUNTER_COUNT; i++)
		sum += counts->values[i];
	for (size_t i = 0; i < BERTH_ENDINGS; i++)
		sum += counts->ended[i];
	for (size_t i = 0; i < counts->n_errors; i++)
		sum += counts->errors[i].n;
	return sum;
}
