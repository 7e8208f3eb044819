/* SPDX-License-Identifier: Apache-2.0 */
/* container_fact.h - one container that somebody told of, inside containers.c
 */
#ifndef WATCHER_CONTAINER_FACT_H
#define WATCHER_CONTAINER_FACT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/container.h"
#include "watcher/link.h"

struct place;
struct tracked;

/**
 * struct container_fact - see containers.c
 * @path:	that leads to the namespace; for a process that in /proc, and
 *		NETNS_REGISTERED_DIR for an id
 * @netns_id:	it was told by id; else 0
 * @by_process:	it was told by pid, or by a path in /proc
 * @task:	with @by_process: the process as it was found first
 * @ended:	that process is gone, or it was told by id: the fact never waits
 * @watched:	its path is in a watched directory
 * @place:	NULL: it is not known where the path leads
 * @tracked:	the namespace that has it, or NULL
 * @reason, @error: without @tracked: why; static text, positive errno
 */
struct container_fact {
	struct container *container;
	char *path;
	uint64_t netns_id;
	bool by_process;
	bool ended;
	bool watched;
	bool waiting;
	struct task task;
	struct place *place;
	struct tracked *tracked;
	const char *reason;
	int error;
	struct container_fact *prev, *next; /* in the place */
	struct container_fact *wait_prev, *wait_next;
};

#endif
