// SPDX-License-Identifier: Apache-2.0
/* consumers.c - who serves the listeners: berth-relay and other programs
 *
 * Theory of operation: each open listener has one delivery, hung on it. A
 * delivery says how much of the listener its consumer knows: nothing (PENDING),
 * all (DONE), or an older service (STALE). PENDING and STALE ones stand in
 * their consumer's queue. One that the consumer refused, because it has no
 * descriptor left, is PENDING again, and the queue rests for a while. When an
 * open listener that the consumer knows is closed, a withdrawal takes the
 * delivery's place until the consumer says `released`. Nothing else is
 * remembered: a consumer that loses its connection has all its deliveries put
 * back to PENDING and its withdrawals dropped.
 *
 * Sending never blocks. What the socket does not take stays queued, and the
 * queue holds each listener once at most.
 */
#include "daemon/consumers.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumer_message.h"

#define SLICE_MESSAGES 128 /* about a millisecond */
#define RECEIVE_MESSAGES 64
#define ABORT_TIMEOUT_US (10 * USEC_PER_SEC)
#define PAUSE_US USEC_PER_SEC

enum delivery_state {
	DELIVERY_PENDING,
	DELIVERY_STALE,
	DELIVERY_DONE,
};

struct delivery {
	struct listener *listener;
	struct consumer *consumer;
	enum delivery_state state;
	struct delivery *prev, *next; /* in the queue, or when DONE in done */
};

/* A listener that the consumer still holds although berthd closed it. */
struct withdrawal {
	uint64_t id;
	uint64_t netns_id;
	uint64_t abort_since_us; /* 0: its connections may finish */
	bool queued;
	struct withdrawal *prev, *next; /* in the queue, when queued */
	struct withdrawal *mild_prev, *mild_next; /* while without abort */
	UT_hash_handle hh;
};

struct consumer {
	struct consumers *all;
	char *name;
	int fd;
	pid_t pid;
	struct loop_source *source;
	bool blocked; /* the socket is full: wait for EPOLLOUT */
	uint64_t pause_until_us; /* no listener is sent before */
	size_t n_done;
	size_t n_queue;
	struct delivery *queue;
	struct delivery *done;
	struct withdrawal *withdrawals; /* by id */
	struct withdrawal *withdraw_queue;
	struct withdrawal
		*mild; /* those without abort: few, for a short time */
	struct consumer *next;
};

struct consumers {
	struct loop *loop;
	struct consumers_ops ops;
	void *user_data;
	struct loop_timer *timer; /* for withdrawals and for pauses */
	struct log_ratelimit refused_limit;
	struct consumer *list;
};

static struct consumer *consumer_find(const struct consumers *consumers,
				      const char *name)
{
	struct consumer *consumer;

	LL_FOREACH (consumers->list, consumer) {
		if (strcmp(consumer->name, name) == 0)
			return consumer;
	}
	return NULL;
}

static struct consumer *consumer_get(struct consumers *consumers,
				     const char *name)
{
	struct consumer *consumer = consumer_find(consumers, name);

	if (consumer)
		return consumer;
	consumer = malloc(sizeof(*consumer));
	if (!consumer)
		return NULL;
	*consumer = (struct consumer){ .all = consumers, .fd = -1 };
	consumer->name = strdup(name);
	if (!consumer->name) {
		free(consumer);
		return NULL;
	}
	LL_APPEND(consumers->list, consumer);
	return consumer;
}

static void delivery_link(struct delivery *delivery, enum delivery_state state)
{
	struct consumer *consumer = delivery->consumer;

	delivery->state = state;
	if (state == DELIVERY_DONE) {
		DL_APPEND(consumer->done, delivery);
		consumer->n_done++;
	} else {
		DL_APPEND(consumer->queue, delivery);
		consumer->n_queue++;
	}
}

static void delivery_unlink(struct delivery *delivery)
{
	struct consumer *consumer = delivery->consumer;

	if (delivery->state == DELIVERY_DONE) {
		DL_DELETE(consumer->done, delivery);
		consumer->n_done--;
	} else {
		DL_DELETE(consumer->queue, delivery);
		consumer->n_queue--;
	}
}

static void delivery_set(struct delivery *delivery, enum delivery_state state)
{
	delivery_unlink(delivery);
	delivery_link(delivery, state);
}

static void withdrawal_queue(struct consumer *consumer,
			     struct withdrawal *withdrawal)
{
	if (withdrawal->queued)
		return;
	withdrawal->queued = true;
	DL_APPEND(consumer->withdraw_queue, withdrawal);
}

static void withdrawal_free(struct consumer *consumer,
			    struct withdrawal *withdrawal)
{
	if (withdrawal->queued)
		DL_DELETE(consumer->withdraw_queue, withdrawal);
	if (!withdrawal->abort_since_us)
		DL_DELETE2(consumer->mild, withdrawal, mild_prev, mild_next);
	HASH_DEL(consumer->withdrawals, withdrawal);
	free(withdrawal);
}

/* The connection is over: what the consumer knew is unknown again. */
static void consumer_close(struct consumer *consumer)
{
	struct withdrawal *withdrawal, *tmp;
	struct delivery *delivery;

	if (consumer->fd < 0)
		return;
	DL_FOREACH (consumer->queue, delivery)
		delivery->state = DELIVERY_PENDING;
	while (consumer->done)
		delivery_set(consumer->done, DELIVERY_PENDING);
	consumer->source = loop_source_free(consumer->source);
	(void)close(TAKE_FD(consumer->fd)); /* nothing is buffered in it */
	consumer->pid = 0;
	consumer->blocked = false;
	consumer->pause_until_us = 0;
	HASH_ITER (hh, consumer->withdrawals, withdrawal, tmp)
		withdrawal_free(consumer, withdrawal);
}

static void consumer_lost(struct consumer *consumer, int error,
			  const char *what)
{
	if (error)
		log_warning_errno(error, "consumer '%s': %s; disconnecting",
				  consumer->name, what);
	else
		log_info("consumer '%s': %s", consumer->name, what);
	consumer_close(consumer);
	consumer->all->ops.lost(consumer->name, consumer->all->user_data);
}

static void consumer_released(struct consumer *consumer,
			      struct withdrawal *withdrawal)
{
	uint64_t netns_id = withdrawal->netns_id;

	withdrawal_free(consumer, withdrawal);
	consumer->all->ops.released(netns_id, consumer->all->user_data);
}

/* No listener is sent for a while: somebody is short of something. */
static void consumer_pause(struct consumer *consumer)
{
	struct consumers *consumers = consumer->all;

	consumer->pause_until_us = loop_now_us(consumers->loop) + PAUSE_US;
	loop_timer_set_earlier(consumers->timer, consumer->pause_until_us);
}

static struct delivery *delivery_find(struct delivery *list, uint64_t id)
{
	struct delivery *delivery;

	DL_FOREACH (list, delivery) {
		if (delivery->listener->id == id)
			return delivery;
	}
	return NULL;
}

static void consumer_refused(struct consumer *consumer, uint64_t id)
{
	struct consumers *consumers = consumer->all;
	struct delivery *delivery;

	delivery = delivery_find(consumer->done, id);
	if (!delivery)
		delivery = delivery_find(consumer->queue, id); /* STALE */
	if (!delivery)
		return; /* closed meanwhile */
	delivery_set(delivery, DELIVERY_PENDING);
	consumer_pause(consumer);
	if (log_ratelimit_ok(&consumers->refused_limit))
		log_warning("consumer '%s' has no descriptor left for a "
			    "listener; trying again in 1 s",
			    consumer->name);
}

static void consumer_handle(struct consumer *consumer,
			    const struct consumer_reply *reply)
{
	struct withdrawal *withdrawal;

	switch (reply->type) {
	case CONSUMER_REPLY_HELLO:
		log_debug("consumer '%s' is %s", consumer->name, reply->name);
		break;
	case CONSUMER_REPLY_RELEASED:
		HASH_FIND(hh, consumer->withdrawals, &reply->id,
			  sizeof(reply->id), withdrawal);
		if (withdrawal)
			consumer_released(consumer, withdrawal);
		break;
	case CONSUMER_REPLY_REFUSED:
		consumer_refused(consumer, reply->id);
		break;
	case CONSUMER_REPLY_OTHER:
		break;
	}
}

/* Reads a bounded number of messages. Return: is the connection still there? */
static bool consumer_receive(struct consumer *consumer)
{
	struct consumer_reply reply;
	char buffer[CONSUMER_REPLY_MAX];

	for (int i = 0; i < RECEIVE_MESSAGES; i++) {
		ssize_t n = recv(consumer->fd, buffer, sizeof(buffer),
				 MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			consumer_lost(consumer, errno, "cannot read");
			return false;
		}
		if (n == 0) {
			consumer_lost(consumer, 0, "connection closed");
			return false;
		}
		if ((size_t)n > sizeof(buffer) ||
		    consumer_reply_parse(buffer, (size_t)n, &reply) < 0) {
			consumer_lost(consumer, EPROTO, "unreadable message");
			return false;
		}
		consumer_handle(consumer, &reply);
	}
	return true;
}

static int consumer_wait(struct consumer *consumer)
{
	return loop_source_set_events(
		consumer->source, EPOLLIN | (consumer->blocked ? EPOLLOUT : 0));
}

static void consumer_ready(uint32_t events, void *user_data)
{
	struct consumer *consumer = user_data;

	if (events & EPOLLOUT)
		consumer->blocked = false;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
	    !consumer_receive(consumer))
		return;
	if (consumer_wait(consumer) < 0)
		consumer_lost(consumer, EIO, "cannot wait for it");
}

/* Return: 1 sent, 0 not now, -1 the connection is lost. */
static int consumer_send(struct consumer *consumer, const char *text, int fd)
{
	int r = consumer_message_send(consumer->fd, text, fd);

	if (r == 0)
		return 1;
	/* Of these EPOLLOUT would tell nothing. ETOOMANYREFS: too many
	 * descriptors are in flight (unix(7)). */
	if (r == -ENOBUFS || r == -ETOOMANYREFS || r == -ENOMEM) {
		consumer_pause(consumer);
		return 0;
	}
	if (r == -EAGAIN) {
		consumer->blocked = true;
		if (consumer_wait(consumer) < 0)
			consumer_lost(consumer, EIO, "cannot wait for it");
		return 0;
	}
	consumer_lost(consumer, -r, "cannot send");
	return -1;
}

static int consumer_send_withdrawal(struct consumer *consumer,
				    struct withdrawal *withdrawal)
{
	char text[CONSUMER_WITHDRAW_MAX];
	int r;

	consumer_withdraw_fmt(withdrawal->id, withdrawal->abort_since_us != 0,
			      text);
	r = consumer_send(consumer, text, -1);
	if (r > 0) {
		withdrawal->queued = false;
		DL_DELETE(consumer->withdraw_queue, withdrawal);
	}
	return r;
}

static int consumer_send_listener(struct consumer *consumer,
				  struct delivery *delivery)
{
	struct consumers *consumers = consumer->all;
	const struct listener *listener = delivery->listener;
	_cleanup_free_ char *text = NULL;
	int r;

	text = consumer_listener_text(
		listener, consumers->ops.find_netns(listener->netns_id,
						    consumers->user_data));
	if (!text) { /* out of memory */
		consumer_pause(consumer);
		return 0;
	}
	r = consumer_send(consumer, text,
			  delivery->state == DELIVERY_PENDING ? listener->fd
							      : -1);
	if (r > 0)
		delivery_set(delivery, DELIVERY_DONE);
	return r;
}

/* Return: true while more could be sent at once. */
static bool consumer_step(struct consumer *consumer)
{
	int r = 1;

	if (consumer->fd < 0 || consumer->blocked)
		return false;
	for (int i = 0; i < SLICE_MESSAGES && r > 0; i++) {
		/* First what frees a namespace, then what serves one. */
		if (consumer->withdraw_queue)
			r = consumer_send_withdrawal(consumer,
						     consumer->withdraw_queue);
		else if (consumer->queue &&
			 consumer->pause_until_us <= monotonic_us())
			r = consumer_send_listener(consumer, consumer->queue);
		else
			return false;
	}
	return r > 0;
}

bool consumers_step(struct consumers *consumers)
{
	struct consumer *consumer;
	bool left = false;

	LL_FOREACH (consumers->list, consumer)
		left = consumer_step(consumer) || left;
	return left;
}

/* Earliest moment at which a withdrawal with abort was first asked for. */
static uint64_t consumer_oldest_abort_us(const struct consumer *consumer)
{
	const struct withdrawal *withdrawal;
	uint64_t oldest_us = 0;

	for (withdrawal = consumer->withdrawals; withdrawal;
	     withdrawal = withdrawal->hh.next) {
		if (withdrawal->abort_since_us &&
		    (!oldest_us || withdrawal->abort_since_us < oldest_us))
			oldest_us = withdrawal->abort_since_us;
	}
	return oldest_us;
}

/* A consumer that sits on a dead namespace is worth less than the namespace:
 * its connection ends, and its owner ends the process that it knows. */
static void consumers_timeout(void *user_data)
{
	struct consumers *consumers = user_data;
	struct consumer *consumer;
	uint64_t oldest_us;

	LL_FOREACH (consumers->list, consumer) {
		if (consumer->pause_until_us > monotonic_us())
			loop_timer_set_earlier(consumers->timer,
					       consumer->pause_until_us);
		oldest_us = consumer_oldest_abort_us(consumer);
		if (!oldest_us)
			continue;
		if (oldest_us + ABORT_TIMEOUT_US <= monotonic_us())
			consumer_lost(consumer, ETIMEDOUT,
				      "does not let go of a namespace that is "
				      "gone");
		else
			loop_timer_set_earlier(consumers->timer,
					       oldest_us + ABORT_TIMEOUT_US);
	}
}

int consumers_new(struct loop *loop, const struct consumers_ops *ops,
		  void *user_data, struct consumers **ret_consumers)
{
	struct consumers *consumers = malloc(sizeof(*consumers));
	int r;

	if (!consumers)
		return -ENOMEM;
	*consumers = (struct consumers){
		.loop = loop,
		.ops = *ops,
		.user_data = user_data,
		.refused_limit = { .interval_us = 10 * USEC_PER_SEC,
				   .burst = 1 },
	};
	r = loop_timer_new(loop, consumers_timeout, consumers,
			   &consumers->timer);
	if (r < 0) {
		free(consumers);
		return r;
	}
	*ret_consumers = consumers;
	return 0;
}

struct consumers *consumers_free(struct consumers *consumers)
{
	struct consumer *consumer, *tmp;
	struct withdrawal *withdrawal, *next;

	if (!consumers)
		return NULL;
	LL_FOREACH_SAFE (consumers->list, consumer, tmp) {
		assert(!consumer->queue &&
		       !consumer->done); /* the binder closed all before */
		HASH_ITER (hh, consumer->withdrawals, withdrawal, next)
			withdrawal_free(consumer, withdrawal);
		loop_source_free(consumer->source);
		if (consumer->fd >= 0)
			(void)close(consumer->fd); /* holds no data */
		free(consumer->name);
		free(consumer);
	}
	loop_timer_free(consumers->timer);
	free(consumers);
	return NULL;
}

int consumers_attach(struct consumers *consumers, const char *name, int fd,
		     pid_t pid)
{
	_cleanup_close_ int owned_fd = fd;
	struct consumer *consumer = consumer_get(consumers, name);
	int r;

	if (!consumer)
		return -ENOMEM;
	consumer_close(consumer);
	r = loop_add(consumers->loop, fd, EPOLLIN, consumer_ready, consumer,
		     "consumer", &consumer->source);
	if (r < 0)
		return r;
	consumer->fd = TAKE_FD(owned_fd);
	consumer->pid = pid;
	return 0;
}

void consumers_listener_opened(struct consumers *consumers,
			       struct listener *listener)
{
	struct consumer *consumer =
		consumer_get(consumers, listener->service->consumer);
	struct delivery *delivery = consumer ? malloc(sizeof(*delivery)) : NULL;

	if (!delivery) {
		/* It answers from the backlog only; a reload tries again. */
		log_error("out of memory: a listener of rule '%s' is not "
			  "delivered",
			  listener->service->rule);
		return;
	}
	*delivery = (struct delivery){
		.listener = listener,
		.consumer = consumer,
	};
	delivery_link(delivery, DELIVERY_PENDING);
	listener->user_data = delivery;
}

void consumers_listener_changed(struct consumers *consumers,
				struct listener *listener)
{
	struct delivery *delivery = listener->user_data;

	if (delivery && strcmp(delivery->consumer->name,
			       listener->service->consumer) != 0) {
		/* Another program serves it from now on. */
		consumers_listener_closing(consumers, listener);
		delivery = NULL;
	}
	if (!delivery)
		consumers_listener_opened(consumers, listener);
	else if (delivery->state == DELIVERY_DONE)
		delivery_set(delivery, DELIVERY_STALE);
}

/* Asks @consumer to let go of what it knows; memory permitting. */
static void consumer_withdraw(struct consumer *consumer,
			      const struct listener *listener)
{
	struct withdrawal *withdrawal = calloc(1, sizeof(*withdrawal));

	if (withdrawal) {
		withdrawal->id = listener->id;
		withdrawal->netns_id = listener->netns_id;
		HASH_ADD(hh, consumer->withdrawals, id, sizeof(withdrawal->id),
			 withdrawal);
		if (withdrawal->hh.tbl) {
			DL_APPEND2(consumer->mild, withdrawal, mild_prev,
				   mild_next);
			withdrawal_queue(consumer, withdrawal);
			return;
		}
		free(withdrawal);
	}
	/* The consumer would hold it for ever: start it afresh. */
	consumer_lost(consumer, ENOMEM, "cannot withdraw a listener");
}

void consumers_listener_closing(struct consumers *consumers,
				struct listener *listener)
{
	struct delivery *delivery = listener->user_data;
	struct consumer *consumer;

	(void)consumers;
	if (!delivery)
		return;
	consumer = delivery->consumer;
	if (delivery->state != DELIVERY_PENDING && consumer->fd >= 0)
		consumer_withdraw(consumer, listener);
	delivery_unlink(delivery);
	listener->user_data = NULL;
	free(delivery);
}

void consumers_netns_gone(struct consumers *consumers, uint64_t netns_id)
{
	struct consumer *consumer;
	struct withdrawal *withdrawal, *tmp;
	uint64_t now_us = monotonic_us();

	LL_FOREACH (consumers->list, consumer) {
		DL_FOREACH_SAFE2(consumer->mild, withdrawal, tmp, mild_next)
		{
			if (withdrawal->netns_id != netns_id)
				continue;
			DL_DELETE2(consumer->mild, withdrawal, mild_prev,
				   mild_next);
			withdrawal->abort_since_us = now_us;
			withdrawal_queue(consumer, withdrawal);
			loop_timer_set_earlier(consumers->timer,
					       now_us + ABORT_TIMEOUT_US);
		}
	}
}

size_t consumers_count(const struct consumers *consumers)
{
	struct consumer *consumer;
	size_t n;

	LL_COUNT(consumers->list, consumer, n);
	return n;
}

void consumers_get_info(const struct consumers *consumers, size_t index,
			struct consumer_info *ret_info)
{
	const struct consumer *consumer = consumers->list;

	while (index-- > 0)
		consumer = consumer->next;
	*ret_info = (struct consumer_info){
		.name = consumer->name,
		.connected = consumer->fd >= 0,
		.pid = consumer->pid,
		.delivered = consumer->n_done,
		.undelivered = consumer->n_queue,
		.withdrawn = HASH_COUNT(consumer->withdrawals),
	};
}

bool consumers_delivered(const struct listener *listener)
{
	const struct delivery *delivery = listener->user_data;

	return delivery && delivery->state == DELIVERY_DONE;
}

size_t consumers_holds(const struct consumers *consumers, uint64_t netns_id)
{
	const struct consumer *consumer;
	const struct withdrawal *withdrawal;
	size_t n = 0;

	LL_FOREACH (consumers->list, consumer) {
		for (withdrawal = consumer->withdrawals; withdrawal;
		     withdrawal = withdrawal->hh.next)
			n += withdrawal->netns_id == netns_id;
	}
	return n;
}
