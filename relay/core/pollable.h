/* SPDX-License-Identifier: Apache-2.0 */
/* pollable.h - what an epoll event of a worker points to */
#ifndef RELAY_CORE_POLLABLE_H
#define RELAY_CORE_POLLABLE_H

#include <stdint.h>

struct pollable;
struct worker;

/**
 * struct pollable - first member of the object that an event is for
 * @handler:	NULL: the object is dead, and events that are on their way are
 *		dropped
 */
struct pollable {
	void (*handler)(struct worker *worker, struct pollable *pollable,
			uint32_t events);
};

/** struct grave - first member of what worker_bury() takes */
struct grave {
	struct grave *next;
};

#endif
