/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - is a worker so busy that another one had better take what comes? */
#ifndef RELAY_CORE_LOAD_H
#define RELAY_CORE_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct load_sample - what a thread did until @at_us
 * @at_us:	monotonic
 * @cpu_us:	how long it ran on a processor
 * @n_sleeps:	how often it gave the processor up by itself
 * @n_turns:	how often it asked for events
 */
struct load_sample {
	uint64_t at_us;
	uint64_t cpu_us;
	uint64_t n_sleeps;
	uint64_t n_turns;
};

/**
 * struct load - of one worker; zero-initialize
 * @last:	at the end of the last window
 * @n_turns:	how often the worker asked for events so far
 * @busy_until_us: the judgement, which other workers read: it is busy until
 *		then
 * @n_conns:	connections and associations that it serves, or will serve
 */
struct load {
	struct load_sample last;
	uint64_t n_turns;
	_Atomic uint64_t busy_until_us;
	atomic_int n_conns;
};

/** load_judge() - was the thread busy between @from and @to? */
bool load_judge(const struct load_sample *from, const struct load_sample *to);

/** load_note() - by the worker itself, at the beginning of each turn: judges it
 * if a window is over */
void load_note(struct load *load, uint64_t now_us);

/* The rest is for any thread. */

/** load_is_busy() - is the worker busy, as far as is known? */
bool load_is_busy(const struct load *load, uint64_t now_us);

/** load_add_conns() - the worker serves @n connections more; less if @n is
 * negative */
static inline void load_add_conns(struct load *load, int n)
{
	atomic_fetch_add_explicit(&load->n_conns, n, memory_order_relaxed);
}

/** load_conns() - how many connections does the worker serve, or will serve? */
static inline int load_conns(const struct load *load)
{
	return atomic_load_explicit(&load->n_conns, memory_order_relaxed);
}

#endif
