/* SPDX-License-Identifier: Apache-2.0 */
/* rate_window.h - how much there was in the last so many microseconds
 *
 * Theory of operation: a sliding window of two counts. Time is cut into windows
 * of equal length, which begin with the first event. What came in the present
 * window counts whole; what came in the one before counts in proportion to how
 * much of that one still lies in the time that ends now, as if it had come at
 * an even pace. What did so is counted exactly. Of a burst in the window
 * before, too much or too little is taken. Never more than twice the limit pass
 * in any time of that length.
 */
#ifndef RELAY_CORE_RATE_WINDOW_H
#define RELAY_CORE_RATE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct rate_window - zero-initialize: nothing came yet
 * @start_us:	monotonic: the beginning of the present window
 * @now:	what came in it
 * @before:	what came in the one before
 */
struct rate_window {
	uint64_t start_us;
	uint32_t now;
	uint32_t before;
};

/** rate_window_roll() - makes the window that @now_us is in the present one. A
 * clock that is behind, another thread's, changes nothing. */
void rate_window_roll(struct rate_window *window, uint64_t per_us,
		      uint64_t now_us);

/** rate_window_add() - one more came. Return: how many came in the time of
 * @per_us that ends now, with this one. */
uint64_t rate_window_add(struct rate_window *window, uint64_t per_us,
			 uint64_t now_us);

/** rate_window_wait_us() - how long must nothing come until one more makes at
 * most @count? 0: it does now. */
uint64_t rate_window_wait_us(struct rate_window *window, uint32_t count,
			     uint64_t per_us, uint64_t now_us);

/** rate_window_is_over() - is it as if nothing had come? */
bool rate_window_is_over(const struct rate_window *window, uint64_t per_us,
			 uint64_t now_us);

#endif
