/* SPDX-License-Identifier: Apache-2.0 */
/* fetcher.h - a thread that asks berthd again and again
 *
 * So keys are heeded while berthd does not answer.
 */
#ifndef CTL_TOP_FETCHER_H
#define CTL_TOP_FETCHER_H

#include <stdint.h>

#include "ctl/top/fetch.h"

struct top_fetcher;

/**
 * top_fetcher_start() - begins at once
 * @path:	of berthd's control socket; must stay
 * @ret_fetcher: stays until the process ends: the thread may be waiting for
 *		berthd, and nothing would end that sooner
 *
 * The thread gets no signal.
 * Return: 0 or -errno.
 */
int top_fetcher_start(const char *path, int64_t interval_ms,
		      struct top_fetcher **ret_fetcher);

/** top_fetcher_fd() - readable once there is something to take */
int top_fetcher_fd(const struct top_fetcher *fetcher);

/**
 * top_fetcher_take() - the last sample, or why there is none
 * @ret_sample:	the caller's, not finished; NULL on failure
 *
 * Return: 1; 0: nothing has come since the last time; -1, with *@ret_failure
 * filled in.
 */
int top_fetcher_take(struct top_fetcher *fetcher,
		     struct top_sample **ret_sample,
		     struct top_failure *ret_failure);

/** top_fetcher_set_interval() - from now on; and asks at once */
void top_fetcher_set_interval(struct top_fetcher *fetcher, int64_t interval_ms);

#endif
