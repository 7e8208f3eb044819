/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - how long something took, counted by fixed limits */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* From half a millisecond to a minute. */
#define HISTOGRAM_LIMITS 15

/** histogram_limits_us - the limits, ascending: a limit counts what took as
 * long, or less */
extern const uint64_t histogram_limits_us[HISTOGRAM_LIMITS];

/**
 * struct histogram - zero-initialize
 * @counts:	of what took more than the limit before, and no more than this
 *		one; the last: of what took longer than all
 */
struct histogram {
	uint64_t counts[HISTOGRAM_LIMITS + 1];
	uint64_t sum_us;
};

/** histogram_add() - one more, that took @us */
void histogram_add(struct histogram *histogram, uint64_t us);

/** histogram_upto() - how many took no longer than the limit @i;
 * HISTOGRAM_LIMITS: how many there are */
uint64_t histogram_upto(const struct histogram *histogram, size_t i);

#endif
