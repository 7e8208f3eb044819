/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - many deadlines of one thread, O(log n) each */
#ifndef RELAY_CORE_TIMER_H
#define RELAY_CORE_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct timer;

/** typedef timer_handler - the deadline passed; may set the timer again */
typedef void (*timer_handler)(struct timer *timer, void *user_data);

/**
 * struct timer - lives inside the object that it is for
 * @slot:	its place in the heap, counted from 1; 0: not set
 */
struct timer {
	uint64_t deadline_us;
	timer_handler handler;
	uint32_t slot;
};

/** struct timers - a binary heap; zero-initialize */
struct timers {
	struct timer **heap; /* heap[0] is unused */
	size_t n;
	size_t size;
	size_t reserved;
};

void timers_done(struct timers *timers);

/**
 * timers_reserve() - makes room for one more timer
 *
 * Called when the object is made, so that setting a timer cannot fail later.
 * Return: 0 or -ENOMEM.
 */
int timers_reserve(struct timers *timers);

/** timers_unreserve() - unsets @timer and gives its room back */
void timers_unreserve(struct timers *timers, struct timer *timer);

/** timer_set() - fires once at @deadline_us, moved when set already */
void timer_set(struct timers *timers, struct timer *timer,
	       uint64_t deadline_us);

/** timer_set_earlier() - as timer_set(), but never postpones */
void timer_set_earlier(struct timers *timers, struct timer *timer,
		       uint64_t deadline_us);
void timer_unset(struct timers *timers, struct timer *timer);

#define TIMERS_NEVER UINT64_MAX

/** timers_first_us() - the first deadline; TIMERS_NEVER: none */
uint64_t timers_first_us(const struct timers *timers);

/** timers_run() - calls the handlers that are due at @now_us */
void timers_run(struct timers *timers, uint64_t now_us, void *user_data);

#endif
