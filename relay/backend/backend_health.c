// SPDX-License-Identifier: Apache-2.0
/* backend_health.c - which backend is next, and which failed
 *
 * Theory of operation: a backend is free, or held until a moment. Failing holds
 * it for HOLD_US; being reached frees it. When the moment has passed, the first
 * one to come tries it, and holds it against the others until its own outcome
 * must be known: so a backend that swallows connections costs one client in a
 * while the connect timeout, and not all of them. One that a check found to be
 * down (checker.h) is tried by nobody, unless all others failed as well.
 *
 * The state is shared by all listeners of a rule and all workers: atomic words,
 * of which one is read while all is well, see target_health.h.
 */
#include "relay/backend/backend_health.h"

#include "common/util.h"
#include "relay/backend/balance.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

/* Long enough that a burst of clients does not find out one by one, short
 * enough that a backend which was restarted is missed by nobody. */
#define HOLD_US (1 * USEC_PER_SEC)

/* Does a check say that it is down? */
static bool is_out(const struct serving *serving, unsigned int index)
{
	return atomic_load_explicit(&serving->backends[index].health->out,
				    memory_order_relaxed);
}

static uint64_t held_until_us(const struct serving *serving, unsigned int index)
{
	return atomic_load_explicit(
		&serving->backends[index].health->held_until_us,
		memory_order_relaxed);
}

/* Takes the right to try it from others if it was held. Return: false: another
 * thread has it. */
static bool backend_take(const struct serving *serving, unsigned int index,
			 uint64_t now_us)
{
	uint64_t until_us = held_until_us(serving, index);

	if (until_us == 0)
		return true;
	return now_us >= until_us &&
	       atomic_compare_exchange_strong_explicit(
		       &serving->backends[index].health->held_until_us,
		       &until_us,
		       now_us + serving->connect_timeout_us + HOLD_US,
		       memory_order_relaxed, memory_order_relaxed);
}

/* Return: bit i: backend i may be chosen at all. */
static uint64_t with_weight(const struct serving *serving)
{
	uint64_t set = 0;

	for (unsigned int i = 0; i < serving->n_backends; i++) {
		if (serving->backends[i].weight > 0)
			set |= UINT64_C(1) << i;
	}
	return set;
}

/* Return: those of @set that may be tried now. */
static uint64_t that_work(const struct serving *serving, uint64_t set,
			  uint64_t now_us)
{
	for (unsigned int i = 0; i < serving->n_backends; i++) {
		if (held_until_us(serving, i) > now_us || is_out(serving, i))
			set &= ~(UINT64_C(1) << i);
	}
	return set;
}

int backend_pick(const struct serving *serving, uint64_t client, uint64_t tried,
		 uint64_t now_us)
{
	uint64_t untried, candidates;
	int index;

	if (serving->n_backends == 1)
		return tried & 1 ? -1 : 0;
	untried = with_weight(serving) & ~tried;
	candidates = that_work(serving, untried, now_us);
	while ((index = balance_choose(serving, candidates, client)) >= 0) {
		if (backend_take(serving, (unsigned int)index, now_us))
			return index;
		candidates &= ~(UINT64_C(1) << index);
	}
	return balance_choose(serving, untried, client);
}

void backend_failed(struct serving *serving, unsigned int index, int error,
		    uint64_t now_us)
{
	target_failed(serving->backends[index].health, error, now_us, HOLD_US);
}

void backend_works(struct serving *serving, unsigned int index)
{
	(void)target_works(serving->backends[index].health);
}

bool backend_all_tried(const struct serving *serving, uint64_t tried)
{
	return (with_weight(serving) & ~tried) == 0;
}

bool backend_failed_since(const struct serving *serving, unsigned int index,
			  uint64_t since_us)
{
	return held_until_us(serving, index) != 0 &&
	       atomic_load_explicit(&serving->backends[index].health->failed_us,
				    memory_order_relaxed) > since_us;
}

bool backend_has_other(const struct serving *serving, unsigned int index,
		       uint64_t now_us)
{
	uint64_t others = with_weight(serving) & ~(UINT64_C(1) << index);

	return that_work(serving, others, now_us) != 0;
}
