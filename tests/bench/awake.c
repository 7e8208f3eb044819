// SPDX-License-Identifier: Apache-2.0
/* awake.c - keeps every processor from going idle, at the lowest priority
 *
 * A virtual processor that has halted takes tens of microseconds to wake, and
 * whether it has halted is chance: that would hide the differences to be
 * measured. A SCHED_IDLE loop on each processor makes way for anything else at
 * once, see sched(7). The program ends with its standard input, and after ten
 * minutes in any case.
 */
#include "tests/bench/bench.h"

#include <pthread.h>
#include <sched.h>

#define SECONDS_MAX 600

static void *spin(void *cpu)
{
	const struct sched_param param = { 0 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0 ||
	    pthread_setschedparam(pthread_self(), SCHED_IDLE, &param) != 0)
		bench_die("cannot run on processor %zu", (size_t)cpu);
	for (;;)
		__asm__ volatile("" ::: "memory");
	return NULL;
}

int main(void)
{
	size_t n = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;
	char byte;

	alarm(SECONDS_MAX);
	for (size_t cpu = 0; cpu < n; cpu++) {
		if (pthread_create(&thread, NULL, spin, (void *)cpu) != 0)
			bench_die("pthread_create");
	}
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	return 0;
}
