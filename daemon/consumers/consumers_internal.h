/* SPDX-License-Identifier: Apache-2.0 */
/* consumers_internal.h - what the files of the consumers share */
#ifndef DAEMON_CONSUMERS_CONSUMERS_INTERNAL_H
#define DAEMON_CONSUMERS_CONSUMERS_INTERNAL_H

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/log.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/consumer_sockets.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/withdrawals.h"

/* How much of a listener its consumer knows, the least first. */
enum delivery_state {
	DELIVERY_PENDING,
	DELIVERY_STALE,
	DELIVERY_DONE,
};

/**
 * struct delivery - an open listener and the consumer that is to serve it
 * @sent:	the consumer was sent the listener and may have it, whatever
 *		@state says: a `refused` may answer an earlier offer
 */
struct delivery {
	struct listener *listener;
	struct consumer *consumer;
	enum delivery_state state;
	bool sent;
	struct delivery *prev, *next; /* in the queue, or when DONE in done */
};

/**
 * struct stats_request - the last request for what a consumer counted
 * @number:	the answer bears it
 * @since_us:	when it was made; 0: it is answered
 * @queued:	it is not sent yet
 * @answers:	the consumer has answered one before
 */
struct stats_request {
	uint64_t number;
	uint64_t since_us;
	bool queued;
	bool answers;
};

/**
 * struct consumer - one program, connected or not; lives as long as berthd
 * @fd:		-1: not connected
 * @short_limit: of log lines that it is short of something
 * @blocked:	the socket is full: wait for EPOLLOUT
 * @pause_until_us: no listener is sent before
 * @queue, @n_queue: deliveries that are not DONE, in the order of sending
 * @done, @n_done: the others
 * @socket_turn: an answer to a socket request goes before the next listener
 */
struct consumer {
	struct consumers *all;
	char *name;
	int fd;
	pid_t pid;
	struct loop_source *source;
	struct log_ratelimit short_limit;
	bool blocked;
	uint64_t pause_until_us;
	struct stats_request stats;
	size_t n_done;
	size_t n_queue;
	struct delivery *queue;
	struct delivery *done;
	struct withdrawals withdrawals;
	struct consumer_sockets sockets;
	bool socket_turn;
	struct consumer *next;
};

/**
 * struct consumers - all of them
 * @timer:	for withdrawals and for pauses
 * @buffer:	for one message at a time
 */
struct consumers {
	struct loop *loop;
	struct consumers_ops ops;
	void *user_data;
	struct loop_timer *timer;
	struct consumer *list;
	char buffer[CONSUMER_REPLY_MAX];
};

/* consumers.c: all of them */

/** consumer_get() - the consumer named @name, made when missing; NULL: no
 * memory */
struct consumer *consumer_get(struct consumers *consumers, const char *name);

/* consumer.c: one connection */

/**
 * consumer_attach() - ends the connection that there is, and begins another
 * @fd:		taken, also on failure
 *
 * Return: 0; -ENOMEM; -errno of epoll_ctl(2).
 */
int consumer_attach(struct consumer *consumer, int fd, pid_t pid);

/** consumer_close() - ends the connection, if there is one: what the consumer
 * knew is unknown again */
void consumer_close(struct consumer *consumer);

/**
 * consumer_lost() - the connection is over: logs why, closes, tells the owner
 * @error:	positive errno; 0: the consumer closed it
 */
void consumer_lost(struct consumer *consumer, int error, const char *what);

/** consumer_pause() - no listener is sent for a while: memory or descriptors
 * are short on either side */
void consumer_pause(struct consumer *consumer);

/**
 * consumer_wait() - waits for messages, and for room while @blocked
 * Return: 0 or -errno of epoll_ctl(2).
 */
int consumer_wait(struct consumer *consumer);

/* consumer_send.c: what is sent */

/** consumer_step() - sends a bounded number of messages
 * Return: true while more could be sent at once. */
bool consumer_step(struct consumer *consumer);

/* delivery.c: how much of each listener is known */

/** delivery_set() - gives it another state, and the place that goes with it */
void delivery_set(struct delivery *delivery, enum delivery_state state);

/** consumer_delivery() - of the open listener @id; NULL: it is not this
 * consumer's */
struct delivery *consumer_delivery(const struct consumer *consumer,
				   uint64_t id);

/* consumers_stats.c */

/**
 * consumer_counted() - a part of an answer to consumers_ask_stats()
 * Return: 0, or -EPROTO.
 */
int consumer_counted(struct consumer *consumer, struct consumer_reply *reply);

#endif
