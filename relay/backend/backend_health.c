// SPDX-License-Identifier: Apache-2.0
/* backend_health.c - which backend is next: in turn, but for those that failed
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

/* May it be tried now? Takes the right to try from others if it was held. */
static bool backend_take(struct serving *serving, unsigned int index,
			 uint64_t now_us)
{
	_Atomic uint64_t *held =
		&serving->backends[index].health->held_until_us;
	uint64_t until_us = atomic_load_explicit(held, memory_order_relaxed);

	if (is_out(serving, index))
		return false;
	if (until_us == 0)
		return true;
	return now_us >= until_us &&
	       atomic_compare_exchange_strong_explicit(
		       held, &until_us,
		       now_us + serving->connect_timeout_us + HOLD_US,
		       memory_order_relaxed, memory_order_relaxed);
}

int backend_pick(struct serving *serving, unsigned int *next, uint64_t tried,
		 uint64_t now_us)
{
	unsigned int n = (unsigned int)serving->n_backends;
	unsigned int first = n > 1 ? (*next)++ % n : 0;
	int held = -1;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int index = (first + i) % n;

		if (tried >> index & 1)
			continue;
		if (n == 1 || backend_take(serving, index, now_us)) {
			*next += i; /* its turn was this one */
			return (int)index;
		}
		if (held < 0)
			held = (int)index;
	}
	return held;
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
	for (size_t i = 0; i < serving->n_backends; i++) {
		if (!(tried >> i & 1))
			return false;
	}
	return true;
}

static uint64_t held_until_us(const struct serving *serving, unsigned int index)
{
	return atomic_load_explicit(
		&serving->backends[index].health->held_until_us,
		memory_order_relaxed);
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
	for (unsigned int i = 0; i < serving->n_backends; i++) {
		if (i != index && held_until_us(serving, i) <= now_us &&
		    !is_out(serving, i))
			return true;
	}
	return false;
}
