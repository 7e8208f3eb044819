/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what the workers counted, for berthd */
#ifndef RELAY_CORE_REPORT_H
#define RELAY_CORE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct berth_counts;
struct listener;

/**
 * report_listener() - sums up the shares of @listener, as of now
 *
 * For the main thread; waits for no worker.
 * Return: the sum of all that only grows: when it is as before, all counts are.
 * 0: nothing was counted.
 */
uint64_t report_listener(struct listener *listener,
			 struct berth_counts *ret_counts);

#endif
