// SPDX-License-Identifier: Apache-2.0
/* histogram.c - how long something took, counted by fixed limits */
#include "common/histogram.h"

#include "common/util.h"

const uint64_t histogram_limits_us[HISTOGRAM_LIMITS] = {
	500,	1000,	2500,	 5000,	  10000,   25000,    50000,    100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 60000000,
};

void histogram_add(struct histogram *histogram, uint64_t us)
{
	size_t i = 0;

	while (i < HISTOGRAM_LIMITS && us > histogram_limits_us[i])
		i++;
	histogram->counts[i]++;
	histogram->sum_us += us;
}

uint64_t histogram_upto(const struct histogram *histogram, size_t i)
{
	uint64_t n = 0;

	for (size_t k = 0; k <= i; k++)
		n += histogram->counts[k];
	return n;
}
