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
 * @sent:	the consumer was sent it, and may have it, whatever @state says:
 *a `refused` may be of an earlier offer than the last
 */
struct delivery {
	struct listener *listener;
	struct consumer *consumer;
	enum delivery_state state;
	bool sent;
	struct delivery *prev, *next; /* in the queue, or when DONE in done */
};

/**
 * struct asked - what a consumer was asked to count up
 * @request:	of the last question
 * @since_us:	when that was; 0: it is answered
 * @queued:	it is not sent yet
 * @answers:	the consumer has answered before
 */
struct asked {
	uint64_t request;
	uint64_t since_us;
	bool queued;
	bool answers;
};

struct consumer {
	struct consumers *all;
	char *name;
	int fd;
	pid_t pid;
	struct loop_source *source;
	struct log_ratelimit short_limit;
	bool blocked; /* the socket is full: wait for EPOLLOUT */
	uint64_t pause_until_us; /* no listener is sent before */
	struct asked asked;
	size_t n_done;
	size_t n_queue;
	struct delivery *queue;
	struct delivery *done;
	struct withdrawals withdrawals;
	struct consumer_sockets sockets;
	bool socket_turn; /* an answer goes before the next listener */
	struct consumer *next;
};

struct consumers {
	struct loop *loop;
	struct consumers_ops ops;
	void *user_data;
	struct loop_timer *timer; /* for withdrawals and for pauses */
	struct consumer *list;
	char buffer[CONSUMER_REPLY_MAX]; /* for one message at a time */
};

/**
 * consumer_counted() - a part of an answer to consumers_ask_stats()
 * Return: 0, or -EPROTO.
 */
int consumer_counted(struct consumer *consumer, struct consumer_reply *reply);

#endif
