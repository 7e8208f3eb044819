// SPDX-License-Identifier: Apache-2.0
/* timer.c - many deadlines of one thread, O(log n) each */
#include "relay/core/timer.h"

#include "common/util.h"

void timers_run(struct timers *timers, uint64_t now_us, void *user_data)
{
	while (timers_first_us(timers) <= now_us) {
		struct timer *timer = container_of(heap_first(&timers->heap),
						   struct timer, node);

		timer_unset(timers, timer);
		timer->handler(timer, user_data);
	}
}
