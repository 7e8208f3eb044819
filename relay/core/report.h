/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what the workers counted, for berthd */
#ifndef RELAY_CORE_REPORT_H
#define RELAY_CORE_REPORT_H

#include <stdbool.h>

struct berth_counts;
struct listener;

/**
 * report_listener() - sums up the shares of @listener, as of now
 *
 * For the main thread; waits for no worker.
 * Return: is anything not 0?
 */
bool report_listener(struct listener *listener,
		     struct berth_counts *ret_counts);

#endif
