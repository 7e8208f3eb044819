/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - many deadlines of one thread, O(log n) each
 *
 * A heap, not a wheel: a wheel must tick, and an idle relay shall not wake.
 * Deadlines that activity postpones (idle timeouts) are not moved here with
 * every packet: their owner looks when the old one fires, and sets the timer
 * again.
 */
#ifndef RELAY_CORE_TIMER_H
#define RELAY_CORE_TIMER_H

#include <stdint.h>

#include "common/heap.h"

struct timer;

/** typedef timer_handler - the deadline passed; may set the timer again */
typedef void (*timer_handler)(struct timer *timer, void *user_data);

/**
 * struct timer - lives inside the object that it is for
 * @node:	its key is the deadline
 */
struct timer {
	struct heap_node node;
	timer_handler handler;
};

/** struct timers - zero-initialize */
struct timers {
	struct heap heap;
};

/** timers_done() - frees what @timers has, not the timers */
static inline void timers_done(struct timers *timers)
{
	heap_done(&timers->heap);
}

/** timers_reserve() - makes room for one more timer, see heap_reserve()
 * Return: 0 or -ENOMEM. */
static inline int timers_reserve(struct timers *timers)
{
	return heap_reserve(&timers->heap);
}

/** timers_unreserve() - unsets @timer and gives its room back */
static inline void timers_unreserve(struct timers *timers, struct timer *timer)
{
	heap_unreserve(&timers->heap, &timer->node);
}

/** timer_set() - fires once at @deadline_us, moved when set already */
static inline void timer_set(struct timers *timers, struct timer *timer,
			     uint64_t deadline_us)
{
	heap_set(&timers->heap, &timer->node, deadline_us);
}

/** timer_set_earlier() - as timer_set(), but never postpones */
static inline void timer_set_earlier(struct timers *timers, struct timer *timer,
				     uint64_t deadline_us)
{
	if (!heap_has(&timer->node) || deadline_us < timer->node.key)
		timer_set(timers, timer, deadline_us);
}

/** timer_unset() - it fires no more; no-op when it is not set */
static inline void timer_unset(struct timers *timers, struct timer *timer)
{
	heap_remove(&timers->heap, &timer->node);
}

#define TIMERS_NEVER UINT64_MAX

/** timers_first_us() - the first deadline; TIMERS_NEVER: none */
static inline uint64_t timers_first_us(const struct timers *timers)
{
	const struct heap_node *first = heap_first(&timers->heap);

	return first ? first->key : TIMERS_NEVER;
}

/** timers_run() - calls the handlers that are due at @now_us */
void timers_run(struct timers *timers, uint64_t now_us, void *user_data);

#endif
