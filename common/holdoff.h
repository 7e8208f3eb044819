/* SPDX-License-Identifier: Apache-2.0 */
/* holdoff.h - how soon may expensive work be repeated?
 *
 * For work that others can provoke (reading everything again after lost
 * events): at once the first time, with growing pauses while it goes on.
 */
#ifndef COMMON_HOLDOFF_H
#define COMMON_HOLDOFF_H

#include <stdint.h>

/** struct holdoff - zero initialized; both in microseconds */
struct holdoff {
	uint64_t pause_us;
	uint64_t quiet_until_us;
};

/**
 * holdoff_next() - the work is asked for; when may it be done?
 * @now_us:	monotonic
 *
 * Not to be called again until the work was done.
 * Return: @now_us for at once, or the later time: pauses of 100 ms, doubled
 * up to 5 s, and forgotten after a quiet time of two pauses.
 */
uint64_t holdoff_next(struct holdoff *holdoff, uint64_t now_us);

#endif
