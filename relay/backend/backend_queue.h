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
 * If the attempt meets the same obstacle, @owner stays in the queue. In every
 * other case the function calls backend_queue_leave(). @owner's memory must
 * live until the end of the worker's batch.
 */
typedef void (*backend_retry)(struct worker *worker, void *owner);

/**
 * backend_queue_wait() - lets a client wait until it can be tried again
 * @netns:	the client's namespace; the namespaces in a queue take turns
 * @retry:	tries again
 * @owner:	the client, for @retry
 * @waiter:	the client's own; NULL inside: it does not wait yet. A client
 *		that waits in this queue keeps its place. If it waits in another
 *		one, it leaves that.
 *
 * Return: 0; -ENOMEM: the client waits nowhere.
 */
int backend_queue_wait(struct worker *worker,
		       const struct backend_queue_key *key,
		       const struct admission *netns, backend_retry retry,
		       void *owner, struct backend_waiter **waiter);

/** backend_queue_leave() - takes a client out of its queue, if it is in one.
 * @waiter is NULL inside then. */
void backend_queue_leave(struct worker *worker, struct backend_waiter **waiter);

/** backend_queue_exists() - Return: does any client wait for @key? */
bool backend_queue_exists(const struct worker *worker,
			  const struct backend_queue_key *key);

#endif
