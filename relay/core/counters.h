/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - what one worker counts of one listener
 *
 * Theory of operation: each struct counters has one writer, the thread of its
 * share's worker, and any thread may read it. So counting is a plain load and a
 * plain store, atomic only so that a reader never sees half of a number: there
 * is no lock and no locked instruction on the data path. A reader adds up the
 * shares of a listener with counters_sum(); share_counters() tells where their
 * counters are.
 */
#ifndef RELAY_CORE_COUNTERS_H
#define RELAY_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/berth.h"

/* So many different errnos of failed backends are told apart; the others are
 * added up under 0. */
#define COUNTERS_ERRORS 7

enum counter {
	COUNTER_ACCEPTED, /* connections, associations, UDP sessions */
	COUNTER_ENDED, /* of those accepted; the others are active */
	COUNTER_LIMITED, /* by a limit: refused or evicted; and how often
			  * accepting stopped, see share_limited() */
	COUNTER_BYTES_IN, /* from clients, as read */
	COUNTER_BYTES_OUT, /* to clients, as written */
	COUNTER_MESSAGES_IN, /* datagrams or SCTP messages from clients */
	COUNTER_MESSAGES_OUT,
	COUNTER_DROPPED, /* messages that could not be passed on */
	COUNTER_LOOPED, /* what came from the relay's own sockets: cut */
	COUNTER_NOT_ADMITTED, /* of clients that the rule leaves out */
	COUNTER_UNLOGGED, /* of those that ended, as the log had no room */
	COUNTER_COUNT,
};

/**
 * struct counters_reasons - COUNTER_DROPPED and COUNTER_LIMITED, by why
 *
 * Most listeners have neither.
 */
struct counters_reasons {
	_Atomic uint64_t dropped[BERTH_DROPS];
	_Atomic uint64_t limited[BERTH_LIMITS];
};

/**
 * struct counters - zero-initialize
 * @ended:	COUNTER_ENDED, by why
 * @errors:	errno of a backend's failure, and how often it came
 * @reasons:	NULL: there is none so far, or was no memory
 */
struct counters {
	_Atomic uint64_t values[COUNTER_COUNT];
	_Atomic uint64_t ended[BERTH_ENDINGS];
	struct {
		_Atomic int error;
		_Atomic uint64_t n;
	} errors[COUNTERS_ERRORS + 1];
	struct counters_reasons *_Atomic reasons;
};

/**
 * struct counts - what a reader found, one or several struct counters
 * @values:	by enum counter
 * @ended:	by enum berth_ending
 * @dropped:	by enum berth_drop; without memory for it, some are missing
 * @limited:	by enum berth_limit, likewise
 * @n_errors:	how many of @errors are in use
 */
struct counts {
	uint64_t values[COUNTER_COUNT];
	uint64_t ended[BERTH_ENDINGS];
	uint64_t dropped[BERTH_DROPS];
	uint64_t limited[BERTH_LIMITS];
	size_t n_errors;
	struct {
		int error;
		uint64_t n;
	} errors[COUNTERS_ERRORS + 1];
};

/** counters_add() - by the share's worker only */
static inline void counters_add(struct counters *counters, enum counter which,
				uint64_t n)
{
	uint64_t old = atomic_load_explicit(&counters->values[which],
					    memory_order_relaxed);

	atomic_store_explicit(&counters->values[which], old + n,
			      memory_order_relaxed);
}

/** counters_ended() - one of those accepted has ended, because of @ending. By
 * the share's worker only. */
static inline void counters_ended(struct counters *counters,
				  enum berth_ending ending)
{
	uint64_t old = atomic_load_explicit(&counters->ended[ending],
					    memory_order_relaxed);

	atomic_store_explicit(&counters->ended[ending], old + 1,
			      memory_order_relaxed);
	counters_add(counters, COUNTER_ENDED, 1);
}

/** counters_failed() - a backend failed with @error, a positive errno; 0: the
 * errno is not known. By the share's worker only. */
static inline void counters_failed(struct counters *counters, int error)
{
	int i = error == 0 ? COUNTERS_ERRORS : 0, seen;
	uint64_t n;

	for (; i < COUNTERS_ERRORS; i++) {
		seen = atomic_load_explicit(&counters->errors[i].error,
					    memory_order_relaxed);
		if (seen == error)
			break;
		if (seen == 0) {
			atomic_store_explicit(&counters->errors[i].error, error,
					      memory_order_relaxed);
			break;
		}
	}
	n = atomic_load_explicit(&counters->errors[i].n, memory_order_relaxed);
	/* After the errno: so a reader never takes it for another one. */
	atomic_store_explicit(&counters->errors[i].n, n + 1,
			      memory_order_release);
}

/** counters_dropped() - @n messages were not passed on, because of @why. By the
 * share's worker only. */
void counters_dropped(struct counters *counters, enum berth_drop why,
		      uint64_t n);

/** counters_limited() - @limit refused, ended or delayed a client. By the
 * share's worker only. */
void counters_limited(struct counters *counters, enum berth_limit limit);

/** counters_free() - by nobody's worker any more; NULL is fine */
void counters_free(struct counters *counters);

/** counts_add_error() - adds @n failures with @error; without room for one more
 * errno, it adds them under 0 */
void counts_add_error(struct counts *counts, int error, uint64_t n);

/**
 * counters_sum() - adds what @counters says now to @counts; by any thread
 * @counters:	NULL is fine: nothing was counted
 */
void counters_sum(const struct counters *counters, struct counts *counts);

/** counts_active() - how many were accepted and did not end. Never less than 0,
 * although the two are not read in the same moment. */
uint64_t counts_active(const struct counts *counts);

/** counts_grown() - the sum of all, each of which only grows: a later sum is
 * greater, unless all is as it was */
uint64_t counts_grown(const struct counts *counts);

#endif
