// SPDX-License-Identifier: Apache-2.0
/* rate_window.c - how much there was in the last so many microseconds */
#include "relay/core/rate_window.h"

#include "common/rate_limit.h"
#include "common/util.h"

/* What comes beyond is not counted: it is far more than any limit, and its
 * product with any time fits into 64 bits. */
#define COUNTED_MAX (100 * RATE_LIMIT_COUNT_MAX)

_Static_assert(COUNTED_MAX <=
		       UINT64_MAX / (RATE_LIMIT_PER_MAX_MS * USEC_PER_MSEC),
	       "fits");

bool rate_window_is_over(const struct rate_window *window, uint64_t per_us,
			 uint64_t now_us)
{
	return now_us >= window->start_us + 2 * per_us;
}

void rate_window_roll(struct rate_window *window, uint64_t per_us,
		      uint64_t now_us)
{
	if (now_us < window->start_us + per_us && window->start_us > 0)
		return;
	if (window->start_us == 0 ||
	    rate_window_is_over(window, per_us, now_us)) {
		*window = (struct rate_window){ .start_us = now_us };
		return;
	}
	window->start_us += per_us;
	window->before = window->now;
	window->now = 0;
}

/* Of the window before, how much lies in the time that ends now? */
static uint64_t rest_us(const struct rate_window *window, uint64_t per_us,
			uint64_t now_us)
{
	uint64_t elapsed_us =
		now_us > window->start_us ? now_us - window->start_us : 0;

	return per_us - elapsed_us;
}

/* Of @n that came at an even pace, the first at the beginning of their window,
 * how many came in its last @rest_us? @n: at most COUNTED_MAX. */
static uint64_t overlap(uint64_t n, uint64_t rest_us, uint64_t per_us)
{
	return n * rest_us > 0 ? (n * rest_us - 1) / per_us : 0;
}

uint64_t rate_window_add(struct rate_window *window, uint64_t per_us,
			 uint64_t now_us)
{
	rate_window_roll(window, per_us, now_us);
	window->now = window->now < COUNTED_MAX ? window->now + 1 : COUNTED_MAX;
	return window->now +
	       overlap(window->before, rest_us(window, per_us, now_us), per_us);
}

/* How long until fewer than @left of @n count, as the window that they are in
 * is left behind? @left: at least 1. @behind_us: what is left of that window.
 */
static uint64_t fade_us(uint64_t n, uint64_t left, uint64_t per_us,
			uint64_t behind_us)
{
	uint64_t may_us = n <= left ? behind_us : left * per_us / n;

	return behind_us > may_us ? behind_us - may_us : 0;
}

uint64_t rate_window_wait_us(struct rate_window *window, uint32_t count,
			     uint64_t per_us, uint64_t now_us)
{
	uint64_t left_us;

	rate_window_roll(window, per_us, now_us);
	left_us = rest_us(window, per_us, now_us);
	if (window->now < count)
		return fade_us(window->before, count - window->now, per_us,
			       left_us);
	return left_us + fade_us(window->now, count, per_us, per_us);
}
