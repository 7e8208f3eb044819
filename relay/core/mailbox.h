/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h - what the main thread and the workers tell each other */
#ifndef RELAY_CORE_MAILBOX_H
#define RELAY_CORE_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/core/mint.h"
#include "relay/core/pollable.h"

struct admission;
struct handover;
struct listener;
struct serving;
struct share;
struct worker;

/**
 * struct outbox - from the workers to the main thread
 * @fd:		eventfd(2) that the main thread polls
 * @released:	listeners that nobody uses any more
 * @mints:	questions for sockets
 * @ports_short: the port space in which the kernel has no port left, or 0
 */
struct outbox {
	int fd;
	pthread_mutex_t lock;
	struct listener *released;
	struct mint_outbox mints;
	_Atomic uint32_t ports_short;
};

/**
 * struct inbox - from the main thread to a worker
 * @first, @last: shares with mail, in order of arrival
 * @mints:	answers to questions for sockets
 * @handovers:	connections that others accepted for this worker
 * @shed:	how many connections or sessions to give up
 * @greedy:	the namespace that is to give up some UDP sessions, or NULL;
 *only compared, as it may be gone
 * @told:	the main thread's own: it put mail here and did not kick yet
 */
struct inbox {
	struct pollable poll;
	int fd;
	pthread_mutex_t lock;
	struct share *first, *last;
	struct mint_inbox mints;
	struct handover *handovers;
	unsigned int shed;
	const struct admission *greedy;
	bool stop;
	bool told;
};

/** outbox_init() - Return: 0 or -errno of eventfd(2). */
int outbox_init(struct outbox *outbox);

/** outbox_take() - the listeners that were released, linked by
 * @next_released; their owner frees them */
struct listener *outbox_take(struct outbox *outbox);
void outbox_done(struct outbox *outbox);

/** outbox_kick() - workers: wakes the main thread */
void outbox_kick(struct outbox *outbox);

/** outbox_ports_short() - workers: the kernel has no local port left in @space,
 * and the namespace that has most is to give some back, whichever workers serve
 * it */
void outbox_ports_short(struct outbox *outbox, uint32_t space);

/** outbox_unuse() - workers: takes a user of the listener away, and gives it
 * back to the main thread when that was the last */
void outbox_unuse(struct outbox *outbox, struct listener *listener);

/**
 * worker_tell() - main thread: asks a share's worker for something
 * @wanted:	SHARE_* bits
 * @serving:	with SHARE_SERVE: a reference is taken
 *
 * Needs no memory, so it cannot fail. Does nothing when the listener has no
 * user any more. The worker hears of it with worker_kick().
 */
void worker_tell(struct share *share, unsigned int wanted,
		 struct serving *serving);

/**
 * share_newest_serving() - its worker: what new connections are to get, even if
 * the mail that says so is not read yet
 *
 * Of a share that was begun. Return: a reference.
 */
struct serving *share_newest_serving(struct share *share);

/** worker_wake() - any thread: it shall look into its mailbox */
void worker_wake(struct worker *worker);

/** worker_kick() - main thread: wakes the worker if it was told something */
void worker_kick(struct worker *worker);

/** worker_ask() - any worker: asks @share's for SHARE_JOIN or SHARE_RESUME.
 * Cannot fail. */
void worker_ask(struct share *share, unsigned int wanted);

/** worker_shed() - main thread: gives up @n connections or sessions, if it has
 * as many, so that listeners find room */
void worker_shed(struct worker *worker, unsigned int n);

/** worker_shed_sessions() - main thread: namespace @greedy gives up a part of
 * its UDP sessions, those that are least worth */
void worker_shed_sessions(struct worker *worker,
			  const struct admission *greedy);

/** worker_ask_to_stop() - it resets all its connections and ends */
void worker_ask_to_stop(struct worker *worker);

/** inbox_handler() - the worker looks into its mailbox */
void inbox_handler(struct worker *worker, struct pollable *pollable,
		   uint32_t events);

#endif
