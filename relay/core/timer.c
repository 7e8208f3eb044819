// SPDX-License-Identifier: Apache-2.0
/* timer.c - many deadlines of one thread, O(log n) each
 *
 * A binary heap, not a wheel: a wheel must tick, and an idle relay shall not
 * wake. Deadlines that activity postpones (idle timeouts) are not moved here
 * with every packet: their owner looks when the old one fires, and sets the
 * timer again.
 */
#include "relay/core/timer.h"

#include <assert.h>
#include <stdlib.h>

#include "common/util.h"

#define HEAP_MIN 64

void timers_done(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){ 0 };
}

int timers_reserve(struct timers *timers)
{
	struct timer **heap;
	size_t size;

	if (timers->reserved + 1 >= timers->size) {
		size = timers->size ? timers->size * 2 : HEAP_MIN;
		heap = reallocarray(timers->heap, size, sizeof(*heap));
		if (!heap)
			return -ENOMEM;
		timers->heap = heap;
		timers->size = size;
	}
	timers->reserved++;
	return 0;
}

void timers_unreserve(struct timers *timers, struct timer *timer)
{
	timer_unset(timers, timer);
	assert(timers->reserved > 0);
	timers->reserved--;
}

static void heap_put(struct timers *timers, size_t slot, struct timer *timer)
{
	timers->heap[slot] = timer;
	timer->slot = (uint32_t)slot;
}

static void heap_up(struct timers *timers, size_t slot, struct timer *timer)
{
	while (slot > 1 &&
	       timers->heap[slot / 2]->deadline_us > timer->deadline_us) {
		heap_put(timers, slot, timers->heap[slot / 2]);
		slot /= 2;
	}
	heap_put(timers, slot, timer);
}

static void heap_down(struct timers *timers, size_t slot, struct timer *timer)
{
	size_t child;

	while ((child = slot * 2) <= timers->n) {
		if (child < timers->n &&
		    timers->heap[child + 1]->deadline_us <
			    timers->heap[child]->deadline_us)
			child++;
		if (timers->heap[child]->deadline_us >= timer->deadline_us)
			break;
		heap_put(timers, slot, timers->heap[child]);
		slot = child;
	}
	heap_put(timers, slot, timer);
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_us)
{
	uint64_t old_us = timer->deadline_us;

	timer->deadline_us = deadline_us;
	if (timer->slot == 0) {
		assert(timers->n < timers->reserved);
		heap_up(timers, ++timers->n, timer);
	} else if (deadline_us < old_us) {
		heap_up(timers, timer->slot, timer);
	} else {
		heap_down(timers, timer->slot, timer);
	}
}

void timer_set_earlier(struct timers *timers, struct timer *timer,
		       uint64_t deadline_us)
{
	if (timer->slot == 0 || deadline_us < timer->deadline_us)
		timer_set(timers, timer, deadline_us);
}

void timer_unset(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	size_t slot = timer->slot;

	if (slot == 0)
		return;
	timer->slot = 0;
	last = timers->heap[timers->n--];
	if (last == timer)
		return;
	if (slot > 1 && timers->heap[slot / 2]->deadline_us > last->deadline_us)
		heap_up(timers, slot, last);
	else
		heap_down(timers, slot, last);
}

uint64_t timers_first_us(const struct timers *timers)
{
	return timers->n > 0 ? timers->heap[1]->deadline_us : TIMERS_NEVER;
}

void timers_run(struct timers *timers, uint64_t now_us, void *user_data)
{
	struct timer *timer;

	while (timers->n > 0 && timers->heap[1]->deadline_us <= now_us) {
		timer = timers->heap[1];
		timer_unset(timers, timer);
		timer->handler(timer, user_data);
	}
}
