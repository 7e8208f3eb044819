/* SPDX-License-Identifier: Apache-2.0 */
/* tell.h - tells berthd of containers; whatever berthd does, it comes back
 *
 * None of these functions fails: they complain, and the container starts.
 */
#ifndef HOOK_TELL_H
#define HOOK_TELL_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "hook/facts.h"

/**
 * struct tell - how berthd is reached
 * @runtime_dir: where its sockets are
 * @timeout_ms:	for people: how long all may take
 * @deadline_us: of monotonic_us(): when that is over
 */
struct tell {
	const char *runtime_dir;
	unsigned int timeout_ms;
	uint64_t deadline_us;
};

/**
 * struct place - the container's network namespace
 * @netns_fd:	of it; -1: it is that of @pid
 * @pid:	with whose end the container ends; 0: with its namespace
 */
struct place {
	int netns_fd;
	pid_t pid;
};

/**
 * tell_begin() - registers a container
 * @wait:	until its listeners are open, or the time is over?
 *
 * Blocks until the deadline at most, as all the others do.
 */
void tell_begin(const struct tell *tell, const struct place *place,
		const struct facts *facts, bool wait);

/** tell_end() - a container is no more */
void tell_end(const struct tell *tell, const char *id);

/**
 * tell_gc() - ends the containers of a CNI network that are not valid any more
 * @conf:	what GC was given, with the network's name and the valid ones
 */
void tell_gc(const struct tell *tell, const json_t *conf);

#endif
