// SPDX-License-Identifier: Apache-2.0
/* load.c - is a worker so busy that another one had better take what comes?
 *
 * Theory of operation: each worker judges itself at the end of a window of
 * about a millisecond, which costs one system call. A worker is busy if it used
 * most of a processor's time in the window; and, where processors are short, if
 * it nearly always found something to do when it ran, however little time it
 * got. How long its turns took says nothing: the threads that it wakes may run
 * in its place for most of that time.
 *
 * A worker that sleeps stops judging itself, so each judgement holds for the
 * next few windows only.
 */
#include "relay/core/load.h"

#include <sys/resource.h>

#include "common/util.h"

#define WINDOW_US USEC_PER_MSEC
#define GOOD_FOR_US (4 * WINDOW_US)
#define BUSY_PERCENT 85
#define SLEEPS_PERCENT 25

bool load_judge(const struct load_sample *from, const struct load_sample *to)
{
	return (to->cpu_us - from->cpu_us) * 100 >=
		       (to->at_us - from->at_us) * BUSY_PERCENT ||
	       (to->n_sleeps - from->n_sleeps) * 100 <=
		       (to->n_turns - from->n_turns) * SLEEPS_PERCENT;
}

static uint64_t timeval_us(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * USEC_PER_SEC + (uint64_t)tv->tv_usec;
}

void load_note(struct load *load, uint64_t now_us)
{
	struct load_sample sample = { .at_us = now_us };
	struct rusage usage;
	bool busy;

	load->n_turns++;
	if (now_us - load->last.at_us < WINDOW_US ||
	    getrusage(RUSAGE_THREAD, &usage) < 0)
		return;
	sample.cpu_us =
		timeval_us(&usage.ru_utime) + timeval_us(&usage.ru_stime);
	sample.n_sleeps = (uint64_t)usage.ru_nvcsw;
	sample.n_turns = load->n_turns;
	busy = load_judge(&load->last, &sample);
	load->last = sample;
	if (busy || load_is_busy(load, now_us))
		atomic_store_explicit(&load->busy_until_us,
				      busy ? now_us + GOOD_FOR_US : 0,
				      memory_order_relaxed);
}

bool load_is_busy(const struct load *load, uint64_t now_us)
{
	return atomic_load_explicit(&load->busy_until_us,
				    memory_order_relaxed) > now_us;
}
