/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - a thread with its epoll set, its timers and its mailbox */
#ifndef RELAY_WORKER_H
#define RELAY_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "relay/buffer.h"
#include "relay/listener.h"
#include "relay/load.h"
#include "relay/mint.h"
#include "relay/pipe.h"
#include "relay/pollable.h"
#include "relay/sctp_message.h"
#include "relay/timer.h"

struct conn;
struct handover;
struct sctp_conn;
struct serving;
struct udp_worker;
struct worker;

/**
 * struct outbox - from the workers to the main thread
 * @fd:		eventfd(2) that the main thread polls
 * @released:	listeners that nobody uses any more
 * @mints:	questions for sockets
 */
struct outbox {
	int fd;
	pthread_mutex_t lock;
	struct listener *released;
	struct mint_outbox mints;
};

/**
 * struct inbox - from the main thread to a worker
 * @first, @last: shares with mail, in order of arrival
 * @mints:	answers to questions for sockets
 * @handovers:	connections that others accepted for this worker
 * @shed:	how many connections or sessions to give up
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
	bool stop;
	bool told;
};

/**
 * struct worker - only its thread touches it, except for the inbox
 * @index:	its number
 * @alarm:	timerfd(2), for the first of @timers; set to @alarm_us
 * @turn:	counts batches
 * @now_us:	monotonic, read once per batch
 * @scratch:	BUFFER_MAX_BYTES, for what goes on at once
 * @conns:	all that this worker has, newest last
 * @ready, @last_ready: connections whose work was cut short, in order; see
 *		worker_again()
 * @sctp_conns, @sctp_ready: the same for SCTP
 * @sctp_budget: what SCTP messages that wait may take
 * @graves:	memory to be freed after the batch
 * @done:	shares to be released after the batch
 * @parked:	listeners that rest, first come first
 * @joined:	listeners that another worker begins with, see spread.c
 * @resume:	when all of @parked are tried again
 * @trim:	when pipes that rest are closed
 * @leave:	when those of @joined that bring nothing are left
 * @load:	is it busy?
 * @udp:	buffers for datagrams; made with the first UDP listener
 * @uncounted:	what there is no memory to count; nobody reads it
 * @mint_netns:	sockets in other namespaces, by namespace
 * @log_limit:	for what peers can cause
 */
struct worker {
	int epoll_fd;
	int alarm_fd;
	struct pollable alarm;
	uint64_t alarm_us;
	bool stopping;
	size_t index;
	uint32_t turn;
	uint64_t now_us;
	uint8_t *scratch;
	struct timers timers;
	struct buffer_pool buffers;
	struct pipe_pool pipes;
	struct conn *conns;
	struct conn *ready, *last_ready;
	struct sctp_conn *sctp_conns;
	struct sctp_conn *sctp_ready;
	struct sctp_budget sctp_budget;
	struct grave *graves;
	struct share *done;
	struct share *parked;
	struct share *joined;
	struct timer resume;
	struct timer trim;
	struct timer leave;
	struct load load;
	struct udp_worker *udp;
	struct counters uncounted;
	struct mint_netns *mint_netns;
	struct log_ratelimit log_limit;
	struct outbox *outbox;
	struct inbox inbox;
	pthread_t thread;
};

/** outbox_init() - Return: 0 or -errno of eventfd(2). */
int outbox_init(struct outbox *outbox);

/** outbox_take() - the listeners that were released, linked by
 * @next_released; their owner frees them */
struct listener *outbox_take(struct outbox *outbox);
void outbox_done(struct outbox *outbox);

/** outbox_kick() - workers: wakes the main thread */
void outbox_kick(struct outbox *outbox);

/**
 * worker_start() - makes the thread
 * @index:	its number, from 0
 * @outbox:	must outlive the worker
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int worker_start(struct worker *worker, size_t index, struct outbox *outbox);

/** worker_ask_to_stop() - it resets all its connections and ends */
void worker_ask_to_stop(struct worker *worker);

/** worker_join() - waits for that */
void worker_join(struct worker *worker);

/** worker_forget() - frees what a joined worker has in @share */
void worker_forget(struct share *share);

/** worker_done() - frees the rest of a joined worker */
void worker_done(struct worker *worker);

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

/** worker_wake() - any thread: it shall look into its mailbox */
void worker_wake(struct worker *worker);

/** worker_kick() - main thread: wakes the worker if it was told something */
void worker_kick(struct worker *worker);

/** worker_ask_to_join() - any worker: @share's worker shall accept from the
 * listener, too, as long as that brings something. Cannot fail. */
void worker_ask_to_join(struct share *share);

/** worker_shed() - main thread: gives up @n connections or sessions, if it has
 * as many, so that listeners find room */
void worker_shed(struct worker *worker, unsigned int n);

/* The rest is for the worker's own thread. */

/** worker_watch() - Return: 0 or -errno of epoll_ctl(2) */
int worker_watch(struct worker *worker, int fd, uint32_t events,
		 struct pollable *pollable);

/** worker_watch_more() - replaces the events of an @fd that is watched */
int worker_watch_more(struct worker *worker, int fd, uint32_t events,
		      struct pollable *pollable);

/** worker_unwatch() - for an @fd whose socket others have a copy of: to close
 * it then takes it out of no epoll set */
void worker_unwatch(struct worker *worker, int fd);

/** worker_take_pipe() - an empty pipe, or NULL, see pipe_take() */
struct pipe *worker_take_pipe(struct worker *worker);

/** worker_put_pipe() - gives it back. Returns NULL. */
struct pipe *worker_put_pipe(struct worker *worker, struct pipe *pipe);

/** worker_bury() - free(3)s @grave after the batch, when no event points to
 * it any more */
void worker_bury(struct worker *worker, struct grave *grave);

/** worker_again() - runs @conn once more after the other events */
void worker_again(struct worker *worker, struct conn *conn);

/** worker_share_ended() - the share has no connection left and is withdrawn:
 * releases it after the batch */
void worker_share_ended(struct worker *worker, struct share *share);

/** worker_unuse() - takes a user of the listener away, and gives it back to
 * the main thread when that was the last */
void worker_unuse(struct worker *worker, struct listener *listener);

/** worker_park() - stops accepting from @share until worker_unpark() or a
 * moment later, whichever comes first */
void worker_park(struct worker *worker, struct share *share);

/** worker_unpark() - room came: lets @share accept again if it rests, and else
 * the listener that rests longest. @share may be NULL. */
void worker_unpark(struct worker *worker, struct share *share);

#endif
