/* SPDX-License-Identifier: Apache-2.0 */
/* backend_queue.h - clients that wait for a backend to take one more
 *
 * All of it is for one worker's thread.
 */
#ifndef RELAY_BACKEND_BACKEND_QUEUE_H
#define RELAY_BACKEND_BACKEND_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct admission;
struct backend_waiter;
struct worker;

/**
 * struct backend_queue_key - what is waited for
 * @id:		see serving_backend.id
 * @netns:	the namespace whose share of the local ports is used up, as a
 *		number; 0: the backend itself takes nobody
 */
struct backend_queue_key {
	uint64_t id;
	uint64_t netns;
};

/**
 * backend_retry - tries once more to connect @owner
 *
 * Calls backend_queue_leave() when that did not meet the same obstacle,
 * whatever became of it; else it leaves all as it is. @owner's memory must live
 * until the end of the worker's batch.
 */
typedef void (*backend_retry)(struct worker *worker, void *owner);

/**
 * backend_queue_wait() - @owner waits until it can be tried again
 * @netns:	its namespace; those of one queue take turns
 * @waiter:	the owner's; NULL inside: it does not wait yet. In this queue it
 *		keeps its place, in another it leaves that.
 *
 * Return: 0 or -ENOMEM; then it waits no more.
 */
int backend_queue_wait(struct worker *worker,
		       const struct backend_queue_key *key,
		       const struct admission *netns, backend_retry retry,
		       void *owner, struct backend_waiter **waiter);

/** backend_queue_leave() - it waits no more; it may have none */
void backend_queue_leave(struct worker *worker, struct backend_waiter **waiter);

/** backend_queue_exists() - does somebody wait for this? */
bool backend_queue_exists(const struct worker *worker,
			  const struct backend_queue_key *key);

#endif
