// SPDX-License-Identifier: Apache-2.0
/* report.c - what the workers counted, for berthd */
#include "relay/core/report.h"

#include "lib/berth.h"
#include "relay/core/counters.h"
#include "relay/core/listener.h"

_Static_assert(COUNTERS_ERRORS + 1 == BERTH_ERRORS_MAX, "each has its place");

static void report_errors(const struct counts *counts,
			  struct berth_counts *report)
{
	report->n_errors = counts->n_errors;
	for (size_t i = 0; i < counts->n_errors; i++) {
		report->errors[i].error = counts->errors[i].error;
		report->errors[i].n = counts->errors[i].n;
	}
}

uint64_t report_listener(struct listener *listener,
			 struct berth_counts *ret_counts)
{
	struct counts counts = { 0 };
	const uint64_t *values = counts.values;

	for (size_t i = 0; i < listener->n_shares; i++)
		counters_sum(atomic_load_explicit(&listener->shares[i].counters,
						  memory_order_acquire),
			     &counts);
	*ret_counts = (struct berth_counts){
		.accepted = values[COUNTER_ACCEPTED],
		.active = counts_active(&counts),
		.limited = values[COUNTER_LIMITED],
		.bytes_in = values[COUNTER_BYTES_IN],
		.bytes_out = values[COUNTER_BYTES_OUT],
		.messages_in = values[COUNTER_MESSAGES_IN],
		.messages_out = values[COUNTER_MESSAGES_OUT],
		.dropped = values[COUNTER_DROPPED],
		.looped = values[COUNTER_LOOPED],
		.not_admitted = values[COUNTER_NOT_ADMITTED],
		.unlogged = values[COUNTER_UNLOGGED],
	};
	for (size_t i = 0; i < BERTH_ENDINGS; i++)
		ret_counts->ended[i] = counts.ended[i];
	for (size_t i = 0; i < BERTH_DROPS; i++)
		ret_counts->dropped_by[i] = counts.dropped[i];
	for (size_t i = 0; i < BERTH_LIMITS; i++)
		ret_counts->limited_by[i] = counts.limited[i];
	report_errors(&counts, ret_counts);
	return counts_grown(&counts);
}
