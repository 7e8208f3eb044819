// SPDX-License-Identifier: Apache-2.0
/* sweep.c - looks at many names again, now and then, in slices
 *
 * Sweeps that take long come less often, and one that was begun goes to its
 * end.
 */
#include "watcher/sweep.h"

#include "common/util.h"

#define SWEEP_PAUSE_US USEC_PER_SEC
#define SWEEP_SHARE 20 /* of the time, at most */

int sweep_init(struct sweep *sweep, struct loop *loop, loop_timer_handler begin,
	       void *user_data)
{
	*sweep = (struct sweep){ .loop = loop, .pause_us = SWEEP_PAUSE_US };
	return loop_timer_new(loop, begin, user_data, &sweep->timer);
}

void sweep_done(struct sweep *sweep)
{
	loop_timer_free(sweep->timer);
}

void sweep_want(struct sweep *sweep)
{
	if (sweep->running)
		sweep->again = true;
	else if (!loop_timer_is_set(sweep->timer))
		loop_timer_set(sweep->timer,
			       loop_now_us(sweep->loop) + sweep->pause_us);
}

void sweep_begin(struct sweep *sweep)
{
	sweep->running = true;
	sweep->again = false;
	sweep->took_us = 0;
}

void sweep_slice(struct sweep *sweep, sweep_step *step, struct names *names,
		 size_t max)
{
	uint64_t began_us = monotonic_us();

	sweep->running = step(names, max, loop_now_us(sweep->loop));
	sweep->took_us += monotonic_us() - began_us;
	if (sweep->running)
		return;
	sweep->pause_us = sweep->took_us * SWEEP_SHARE > SWEEP_PAUSE_US
				  ? sweep->took_us * SWEEP_SHARE
				  : SWEEP_PAUSE_US;
	if (sweep->again)
		sweep_want(sweep);
}
