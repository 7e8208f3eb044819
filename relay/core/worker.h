/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - what a worker has, and what all that it serves makes use of
 *
 * worker_thread.h has its life.
 */
#ifndef RELAY_CORE_WORKER_H
#define RELAY_CORE_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/log.h"
#include "common/log_subjects.h"
#include "relay/core/budget.h"
#include "relay/core/buffer.h"
#include "relay/core/inbox.h"
#include "relay/core/listener.h"
#include "relay/core/load.h"
#include "relay/core/pipe.h"
#include "relay/core/pollable.h"
#include "relay/core/roster.h"
#include "relay/core/timer.h"

struct backend_queue;
struct epoll_event;
struct flow;
struct minted_netns;
struct outbox;
struct relay_protocol;

/**
 * struct worker - only its thread touches it, but for the inbox and the load
 * @index:	its number
 * @protocols:	by enum protocol
 * @protocol_data: what each protocol has for all of its shares; its own affair
 * @alarm:	timerfd(2), for the first of @timers; set to @alarm_us
 * @turn:	counts batches of events
 * @now_us:	monotonic, read once for each batch
 * @scratch:	BUFFER_MAX_BYTES, for what is read and passed on at once
 * @rosters:	all clients that this worker has
 * @ready:	those whose work was cut short, in order; see flow_run_ready()
 * @messages:	what messages that wait may take, see admission_messages()
 * @graves:	memory to be freed after the batch
 * @done:	shares to be released after the batch
 * @parked:	shares that rest, in the order in which they began to
 * @joined:	shares in listeners that another worker begins with, see
 *		spread.c
 * @resume:	when all of @parked are tried again
 * @trim:	when pipes that were not used lately are closed
 * @leave:	when those of @joined that bring nothing are left
 * @load:	is it busy? Read by all workers
 * @minted_netns:	sockets in other namespaces, by namespace
 * @backend_queues: connections that wait for a backend
 * @log_limits:	for what peers can cause, see worker_may_log()
 * @log_tell:	when the log is told how many lines were held back
 */
struct worker {
	int epoll_fd;
	int alarm_fd;
	struct pollable alarm;
	uint64_t alarm_us;
	bool stopping;
	size_t index;
	const struct relay_protocol *const *protocols;
	void *protocol_data[PROTOCOL_COUNT];
	uint32_t turn;
	uint64_t now_us;
	uint8_t *scratch;
	struct timers timers;
	struct buffer_pool buffers;
	struct pipe_pool pipes;
	struct roster rosters[ROSTER_KINDS];
	struct flow *ready;
	struct budget messages;
	struct grave *graves;
	struct share *done;
	struct share *parked;
	struct share *joined;
	struct timer resume;
	struct timer trim;
	struct timer leave;
	struct load load;
	struct minted_netns *minted_netns;
	struct backend_queue *backend_queues;
	struct log_subjects log_limits;
	struct timer log_tell;
	struct outbox *outbox;
	struct inbox inbox;
	pthread_t thread;
};

/**
 * worker_init() - opens what @worker needs
 * @index:	its number, from 0
 * @outbox:	must outlive the worker
 * @protocols:	by enum protocol; must outlive the worker, too
 *
 * The caller sets the handlers of @inbox, @resume and @leave.
 * Return: 0 or a negative errno; worker_done() is due in both cases.
 */
int worker_init(struct worker *worker, size_t index, struct outbox *outbox,
		const struct relay_protocol *const *protocols);

/** worker_done() - closes and frees what @worker has; nothing may be left that
 * it serves */
void worker_done(struct worker *worker);

/**
 * worker_wait() - a new turn: waits until there are events, a timer is due, or
 * work that was cut short goes on
 * @events:	filled, at most @n_max
 *
 * Return: how many events there are.
 */
int worker_wait(struct worker *worker, struct epoll_event *events, int n_max);

/**
 * worker_may_log() - may a line about @listener's traffic be printed?
 * @about:	what of it, such as a backend; NULL: anything else
 *
 * Each rule has a limit of its own for everything that a line is about. How
 * many lines were held back is said later.
 */
bool worker_may_log(struct worker *worker, const struct listener *listener,
		    const char *about);

/** worker_watch() - adds @fd to the epoll set. Return: 0 or -errno of
 * epoll_ctl(2). */
int worker_watch(struct worker *worker, int fd, uint32_t events,
		 struct pollable *pollable);

/** worker_watch_more() - replaces the events of an @fd that is watched. Return:
 * 0 or -errno of epoll_ctl(2). */
int worker_watch_more(struct worker *worker, int fd, uint32_t events,
		      struct pollable *pollable);

/** worker_unwatch() - takes @fd out of the epoll set. Needed if others have a
 * copy of its socket: close(2) then takes it out of no epoll set. */
void worker_unwatch(struct worker *worker, int fd);

/** worker_take_pipe() - an empty pipe, or NULL, see pipe_take() */
struct pipe *worker_take_pipe(struct worker *worker);

/** worker_put_pipe() - gives @pipe back. Returns NULL. */
struct pipe *worker_put_pipe(struct worker *worker, struct pipe *pipe);

/** worker_bury() - free(3)s @grave after the batch, when no event points to
 * it any more */
void worker_bury(struct worker *worker, struct grave *grave);

/** worker_free_graves() - the batch is over: frees what was buried */
void worker_free_graves(struct worker *worker);

#endif
