/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.h - looks at many names again, now and then, in slices */
#ifndef WATCHER_SWEEP_H
#define WATCHER_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct names;

/** sweep_step - a slice of a sweep: names_sweep_step() or another one of
 * names.h Return: is there more? */
typedef bool sweep_step(struct names *names, size_t max, uint64_t now_us);

/**
 * struct sweep - one kind of sweep
 * @timer:	calls the function that begins it
 * @again:	it was asked for while it ran: another one follows
 * @took_us:	how long its slices took so far
 * @pause_us:	from the end of one sweep to the begin of the next
 */
struct sweep {
	struct loop *loop;
	struct loop_timer *timer;
	bool running;
	bool again;
	uint64_t took_us;
	uint64_t pause_us;
};

/**
 * sweep_init() - a sweep that nobody asked for yet
 * @loop:	outlives the sweep
 * @begin:	called with @user_data when a sweep is due; is to call
 *		sweep_begin()
 *
 * Return: 0 or -ENOMEM.
 */
int sweep_init(struct sweep *sweep, struct loop *loop, loop_timer_handler begin,
	       void *user_data);

/** sweep_done() - also for one that is zero */
void sweep_done(struct sweep *sweep);

/** sweep_want() - asks for a sweep: after a pause, and after the one that
 * runs */
void sweep_want(struct sweep *sweep);

/** sweep_begin() - the sweep runs from now on */
void sweep_begin(struct sweep *sweep);

/** sweep_slice() - does a slice of the sweep, of @max names at the most */
void sweep_slice(struct sweep *sweep, sweep_step *step, struct names *names,
		 size_t max);

#endif
