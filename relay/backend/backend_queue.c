// SPDX-License-Identifier: Apache-2.0
/* backend_queue.c - clients that wait for a backend to take one more
 *
 * Theory of operation: connect(2) to a UNIX listener whose backlog is full says
 * EAGAIN; a socket that does not block cannot wait there. Nor can it wait in
 * the kernel for a local port. Nobody tells when there is room. So the clients
 * wait here, in one queue for each backlog or port space, and only the first of
 * the queue tries again: as long as it is refused, the others would be, too. It
 * tries less and less often. When it was taken, the next one tries at once, and
 * so on until one is refused.
 *
 * In a queue each namespace has a lane of its own, and the lanes take turns:
 * thousands of clients of one namespace do not stand before the first client
 * of another.
 *
 * A client waits until its owner takes it out: after the connect timeout, or
 * because the client or its namespace ends.
 */
#include "relay/backend/backend_queue.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/timer.h"
#include "relay/core/worker.h"

/* The time between two attempts: at first, a backend that is alive takes some
 * clients meanwhile; in the end, no client notices the delay. */
#define DELAY_MIN_US (2 * USEC_PER_MSEC)
#define DELAY_MAX_US (64 * USEC_PER_MSEC)

/* Clients per turn that are tried one after the other; then others have
 * theirs. */
#define RETRY_BATCH 16

/**
 * struct backend_waiter - one client
 * @prev, @next: in its lane
 */
struct backend_waiter {
	struct lane *lane;
	struct backend_waiter *prev, *next;
	backend_retry retry;
	void *owner;
};

/**
 * struct lane - the clients of one namespace, in order
 * @prev, @next: in its queue, whose turn it is first
 */
struct lane {
	struct backend_queue *queue;
	const struct admission *netns;
	struct backend_waiter *waiters;
	struct lane *prev, *next;
};

/**
 * struct backend_queue - never empty, but inside its timer's handler
 * @delay_us:	after which the first one is tried again
 * @running:	the timer's handler is at work, and frees the queue if needed
 * @progress:	a client left the queue since this was unset
 */
struct backend_queue {
	struct backend_queue_key key;
	struct timer timer;
	struct lane *lanes;
	uint64_t delay_us;
	bool running;
	bool progress;
	UT_hash_handle hh;
};

static struct backend_queue *queue_find(const struct worker *worker,
					const struct backend_queue_key *key)
{
	struct backend_queue *queue;

	HASH_FIND(hh, worker->backend_queues, key, sizeof(*key), queue);
	return queue;
}

bool backend_queue_exists(const struct worker *worker,
			  const struct backend_queue_key *key)
{
	return worker->backend_queues && queue_find(worker, key);
}

static void queue_free(struct worker *worker, struct backend_queue *queue)
{
	timers_unreserve(&worker->timers, &queue->timer);
	HASH_DEL(worker->backend_queues, queue);
	free(queue);
}

/* The first client of the lane whose turn it is tries again. Return: was it
 * taken? */
static bool queue_try(struct worker *worker, struct backend_queue *queue)
{
	struct lane *lane = queue->lanes;
	struct backend_waiter *first = lane->waiters;

	queue->progress = false;
	first->retry(worker, first->owner);
	if (!queue->progress)
		return false;
	/* The lane is gone if that was its last client. */
	if (queue->lanes == lane) {
		DL_DELETE(queue->lanes, lane);
		DL_APPEND(queue->lanes, lane);
	}
	return true;
}

static void queue_handler(struct timer *timer, void *user_data)
{
	struct backend_queue *queue =
		container_of(timer, struct backend_queue, timer);
	struct worker *worker = user_data;
	bool taken = true;

	queue->running = true;
	for (int i = 0; i < RETRY_BATCH && taken && queue->lanes; i++) {
		taken = queue_try(worker, queue);
		if (taken)
			queue->delay_us = DELAY_MIN_US;
	}
	queue->running = false;
	if (!queue->lanes) {
		queue_free(worker, queue);
		return;
	}
	timer_set(&worker->timers, timer,
		  worker->now_us + (taken ? 1 : queue->delay_us));
	if (!taken && queue->delay_us < DELAY_MAX_US)
		queue->delay_us *= 2;
}

static struct backend_queue *queue_new(struct worker *worker,
				       const struct backend_queue_key *key)
{
	struct backend_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	if (timers_reserve(&worker->timers) < 0) {
		free(queue);
		return NULL;
	}
	queue->key = *key;
	queue->delay_us = DELAY_MIN_US;
	queue->timer.handler = queue_handler;
	HASH_ADD(hh, worker->backend_queues, key, sizeof(queue->key), queue);
	if (!queue->hh.tbl) {
		timers_unreserve(&worker->timers, &queue->timer);
		free(queue);
		return NULL;
	}
	timer_set(&worker->timers, &queue->timer,
		  worker->now_us + queue->delay_us);
	return queue;
}

/* Return: the namespace's lane, a new one if it has none; NULL: no memory. */
static struct lane *lane_get(struct backend_queue *queue,
			     const struct admission *netns)
{
	struct lane *lane;

	DL_FOREACH (queue->lanes, lane) {
		if (lane->netns == netns)
			return lane;
	}
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	lane->queue = queue;
	lane->netns = netns;
	DL_APPEND(queue->lanes, lane);
	return lane;
}

static void lane_free(struct lane *lane)
{
	DL_DELETE(lane->queue->lanes, lane);
	free(lane);
}

static void queue_free_if_empty(struct worker *worker,
				struct backend_queue *queue)
{
	if (!queue->lanes && !queue->running)
		queue_free(worker, queue);
}

void backend_queue_leave(struct worker *worker, struct backend_waiter **waiter)
{
	struct backend_waiter *leaving = *waiter;
	struct backend_queue *queue;
	struct lane *lane;

	*waiter = NULL;
	if (!leaving)
		return;
	lane = leaving->lane;
	queue = lane->queue;
	DL_DELETE(lane->waiters, leaving);
	free(leaving);
	if (!lane->waiters)
		lane_free(lane);
	queue->progress = true;
	queue_free_if_empty(worker, queue);
}

static struct backend_waiter *waiter_new(struct backend_queue *queue,
					 const struct admission *netns)
{
	struct backend_waiter *waiter = calloc(1, sizeof(*waiter));

	if (waiter)
		waiter->lane = lane_get(queue, netns);
	if (!waiter || !waiter->lane) {
		free(waiter);
		return NULL;
	}
	DL_APPEND(waiter->lane->waiters, waiter);
	return waiter;
}

int backend_queue_wait(struct worker *worker,
		       const struct backend_queue_key *key,
		       const struct admission *netns, backend_retry retry,
		       void *owner, struct backend_waiter **waiter)
{
	struct backend_queue *queue = queue_find(worker, key);

	if (*waiter && (*waiter)->lane->queue == queue)
		return 0;
	backend_queue_leave(worker, waiter);
	queue = queue_find(worker, key); /* leaving may have freed one */
	if (!queue)
		queue = queue_new(worker, key);
	if (!queue)
		return -ENOMEM;
	*waiter = waiter_new(queue, netns);
	if (!*waiter) {
		queue_free_if_empty(worker, queue);
		return -ENOMEM;
	}
	(*waiter)->retry = retry;
	(*waiter)->owner = owner;
	return 0;
}
