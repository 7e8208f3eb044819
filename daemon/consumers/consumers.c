// SPDX-License-Identifier: Apache-2.0
/* consumers.c - who serves the listeners: berth-relay and other programs
 *
 * Theory of operation: each open listener has one delivery, hung on it. A
 * delivery says how much of the listener its consumer knows: nothing (PENDING),
 * all (DONE), or an older service (STALE). PENDING and STALE ones stand in
 * their consumer's queue. One that the consumer refused, for want of
 * descriptors or memory, is PENDING again, and the queue rests for a while; one
 * of which it could not take a change is STALE again in the same way.
 * When an open listener that the consumer was ever sent is closed, a withdrawal
 * takes the delivery's place until the consumer says `released`: a refusal may
 * have crossed a newer offer that was taken. Nothing else is
 * remembered: a consumer that loses its connection has all its deliveries put
 * back to PENDING and its withdrawals dropped.
 *
 * Sending never blocks. What the socket does not take stays queued, and the
 * queue holds each listener once at most.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"

#define SLICE_MESSAGES 128 /* about a millisecond */
#define RECEIVE_MESSAGES 64
#define ABORT_TIMEOUT_US (10 * USEC_PER_SEC)
#define PAUSE_US USEC_PER_SEC
#define FINISH_US (30 * USEC_PER_SEC)

/* How often it is said that a consumer is short of something. */
#define SHORT_LOG_US (10 * USEC_PER_SEC)

/* Of answers, between two looks at other descriptors: about a millisecond. */
#define RECEIVE_BYTES (16 * 1024)

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
	*consumer = (struct consumer){
		.all = consumers,
		.fd = -1,
		.short_limit = { .interval_us = SHORT_LOG_US, .burst = 1 },
	};
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

/* The connection is over: what the consumer knew is unknown again. */
static void consumer_close(struct consumer *consumer)
{
	struct delivery *delivery;

	if (consumer->fd < 0)
		return;
	DL_FOREACH (consumer->queue, delivery)
		delivery->state = DELIVERY_PENDING;
	while (consumer->done)
		delivery_set(consumer->done, DELIVERY_PENDING);
	DL_FOREACH (consumer->queue, delivery)
		delivery->sent = false;
	consumer->source = loop_source_free(consumer->source);
	(void)close(TAKE_FD(consumer->fd)); /* nothing is buffered in it */
	consumer->pid = 0;
	consumer->blocked = false;
	consumer->pause_until_us = 0;
	consumer_sockets_clear(&consumer->sockets);
	withdrawals_clear(&consumer->withdrawals);
	consumer->asked = (struct asked){ .request = 0 };
	consumer->all->ops.stats_changed(consumer->all->user_data);
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
			      const struct consumer_reply *reply)
{
	struct withdrawal *withdrawal =
		withdrawals_find(&consumer->withdrawals, reply->id);
	struct consumers *consumers = consumer->all;
	uint64_t netns_id;

	if (!withdrawal)
		return;
	netns_id = withdrawal->netns_id;
	consumers->ops.counted(reply->id, withdrawal->service, &reply->counts,
			       /* final= */ true, consumers->user_data);
	withdrawals_remove(&consumer->withdrawals, withdrawal);
	consumers->ops.released(netns_id, consumers->user_data);
}

/* No listener is sent for a while: somebody is short of something. */
static void consumer_pause(struct consumer *consumer)
{
	struct consumers *consumers = consumer->all;

	consumer->pause_until_us = loop_now_us(consumers->loop) + PAUSE_US;
	loop_timer_set_earlier(consumers->timer, consumer->pause_until_us);
}

/* Of the open listener @id; NULL: it is not this consumer's. */
static struct delivery *consumer_delivery(const struct consumer *consumer,
					  uint64_t id)
{
	const struct consumers *consumers = consumer->all;
	const struct listener *listener =
		consumers->ops.find_listener(id, consumers->user_data);
	struct delivery *delivery = listener ? listener->user_data : NULL;

	return delivery && delivery->consumer == consumer ? delivery : NULL;
}

/* It could not take what it was sent of @id, which goes back to @state. */
static void consumer_short(struct consumer *consumer, uint64_t id,
			   enum delivery_state state)
{
	struct delivery *delivery = consumer_delivery(consumer, id);

	/* Closed meanwhile; another's; or so much is sent again anyway. */
	if (!delivery || delivery->state <= state)
		return;
	delivery_set(delivery, state);
	consumer_pause(consumer);
	if (log_ratelimit_ok(&consumer->short_limit))
		log_warning("consumer '%s' is short of descriptors or memory "
			    "for a listener; trying again in 1 s",
			    consumer->name);
}

/* Return: 0; -EPROTO; -ENOMEM. */
static int consumer_handle(struct consumer *consumer,
			   struct consumer_reply *reply)
{
	switch (reply->type) {
	case CONSUMER_REPLY_HELLO:
		log_debug("consumer '%s' is %s", consumer->name, reply->name);
		break;
	case CONSUMER_REPLY_RELEASED:
		consumer_released(consumer, reply);
		break;
	case CONSUMER_REPLY_REFUSED:
		consumer_short(consumer, reply->id, DELIVERY_PENDING);
		break;
	case CONSUMER_REPLY_REPEAT:
		consumer_short(consumer, reply->id, DELIVERY_STALE);
		break;
	case CONSUMER_REPLY_STATS:
		return consumer_counted(consumer, reply);
	case CONSUMER_REPLY_SOCKET:
		return consumer_sockets_ask(&consumer->sockets, reply->request,
					    &reply->target);
	case CONSUMER_REPLY_NETNS_CLOSED:
		consumer_sockets_netns_closed(&consumer->sockets,
					      reply->netns_id);
		break;
	case CONSUMER_REPLY_OTHER:
		break;
	}
	return 0;
}

/* Return: 0, or -EPROTO. */
static int consumer_read(struct consumer *consumer, const char *text,
			 size_t len)
{
	struct consumer_reply reply;
	int r = consumer_reply_parse(text, len, &reply);

	if (r < 0)
		return r;
	r = consumer_handle(consumer, &reply);
	consumer_reply_done(&reply);
	return r;
}

/* Reads a bounded number of messages. Return: is the connection still there? */
static bool consumer_receive(struct consumer *consumer)
{
	char *buffer = consumer->all->buffer;
	size_t read = 0;

	for (int i = 0; i < RECEIVE_MESSAGES && read < RECEIVE_BYTES; i++) {
		ssize_t n = recv(consumer->fd, buffer, CONSUMER_REPLY_MAX,
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
		if ((size_t)n > CONSUMER_REPLY_MAX ||
		    consumer_read(consumer, buffer, (size_t)n) < 0) {
			consumer_lost(consumer, EPROTO, "unreadable message");
			return false;
		}
		read += (size_t)n;
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

/* What became of a message, by the result of consumer_message_send().
 * Return: 1 sent, 0 not now, -1 the connection is lost. */
static int consumer_sent(struct consumer *consumer, int r)
{
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

static int consumer_send(struct consumer *consumer, const char *text, int fd)
{
	return consumer_sent(consumer,
			     consumer_message_send(consumer->fd, text, fd));
}

static int consumer_send_withdrawal(struct consumer *consumer)
{
	const struct withdrawal *withdrawal = consumer->withdrawals.queue;
	char text[CONSUMER_WITHDRAW_MAX];
	int r;

	consumer_withdraw_fmt(withdrawal->id, withdrawal->abort_since_us != 0,
			      text);
	r = consumer_send(consumer, text, -1);
	if (r > 0)
		withdrawals_sent(&consumer->withdrawals);
	return r;
}

static int consumer_send_question(struct consumer *consumer)
{
	char text[CONSUMER_STATS_MAX];
	int r;

	consumer_stats_fmt(consumer->asked.request, text);
	r = consumer_send(consumer, text, -1);
	if (r > 0)
		consumer->asked.queued = false;
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
	if (r > 0) {
		delivery_set(delivery, DELIVERY_DONE);
		delivery->sent = true;
	}
	return r;
}

/* Connections of a listener that no rule wants any more may finish, also those
 * that wait for a socket. The time is for a consumer that tries one backend
 * after the other; it does not keep what a rule allowed for ever by never
 * releasing. */
static int consumer_mint_withdrawn(struct consumer *consumer,
				   const struct mint_target *target,
				   int *ret_fd, uint64_t *ret_netns_id)
{
	const struct consumers *consumers = consumer->all;
	const struct withdrawal *withdrawal =
		withdrawals_find(&consumer->withdrawals, target->id);
	struct listener listener = { .fd = -1 };

	if (!withdrawal || withdrawal->abort_since_us ||
	    withdrawal->since_us + FINISH_US < monotonic_us())
		return -ESTALE;
	listener.id = withdrawal->id;
	listener.netns_id = withdrawal->netns_id;
	listener.endpoint = withdrawal->endpoint;
	listener.service = withdrawal->service;
	return consumers->ops.mint(&listener, target, ret_fd, ret_netns_id,
				   consumers->user_data);
}

static int consumer_mint(const struct mint_target *target, int *ret_fd,
			 uint64_t *ret_netns_id, void *user_data)
{
	struct consumer *consumer = user_data;
	const struct consumers *consumers = consumer->all;
	const struct delivery *delivery =
		consumer_delivery(consumer, target->id);

	if (!delivery)
		return consumer_mint_withdrawn(consumer, target, ret_fd,
					       ret_netns_id);
	return consumers->ops.mint(delivery->listener, target, ret_fd,
				   ret_netns_id, consumers->user_data);
}

/* A consumer whose question is of before a change must know of the change when
 * it hears so, or else it could only ask the same again. Return: as
 * consumer_sent(). */
static int consumer_serve_question(struct consumer *consumer)
{
	struct consumer_sockets *sockets = &consumer->sockets;
	struct delivery *delivery =
		consumer_delivery(consumer, consumer_sockets_listener(sockets));

	if (delivery && delivery->state == DELIVERY_STALE)
		return consumer_send_listener(consumer, delivery);
	consumer->socket_turn = false;
	return consumer_sent(consumer, consumer_sockets_send_answer(
					       sockets, consumer->fd,
					       consumer_mint, consumer));
}

/* What serves a namespace: listeners, and answers to questions, in turns.
 * Return: as consumer_sent(); 0 when there is nothing to send. */
static int consumer_serve(struct consumer *consumer)
{
	bool questions = consumer->sockets.first != NULL;

	if (consumer->pause_until_us > monotonic_us())
		return 0;
	if (questions && (consumer->socket_turn || !consumer->queue))
		return consumer_serve_question(consumer);
	consumer->socket_turn = questions;
	return consumer->queue
		       ? consumer_send_listener(consumer, consumer->queue)
		       : 0;
}

/* Return: true while more could be sent at once. */
static bool consumer_step(struct consumer *consumer)
{
	int r = 1;

	if (consumer->fd < 0 || consumer->blocked)
		return false;
	for (int i = 0; i < SLICE_MESSAGES && r > 0; i++) {
		/* First what frees a namespace. */
		if (consumer->withdrawals.queue)
			r = consumer_send_withdrawal(consumer);
		else if (consumer->sockets.gone)
			r = consumer_sent(consumer, consumer_sockets_send_gone(
							    &consumer->sockets,
							    consumer->fd));
		else if (consumer->asked.queued)
			r = consumer_send_question(consumer);
		else
			r = consumer_serve(consumer);
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

/* Earliest moment at which something of a namespace that is gone was first
 * asked for. */
static uint64_t consumer_oldest_abort_us(const struct consumer *consumer)
{
	uint64_t sockets_us = consumer_sockets_oldest_us(&consumer->sockets);
	uint64_t oldest_us = withdrawals_oldest_us(&consumer->withdrawals);

	if (oldest_us == 0 || (sockets_us && sockets_us < oldest_us))
		oldest_us = sockets_us;
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
	/* One by one: the buffer takes no memory before it is used. */
	consumers->loop = loop;
	consumers->ops = *ops;
	consumers->user_data = user_data;
	consumers->list = NULL;
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

	if (!consumers)
		return NULL;
	LL_FOREACH_SAFE (consumers->list, consumer, tmp) {
		assert(!consumer->queue &&
		       !consumer->done); /* the binder closed all before */
		withdrawals_clear(&consumer->withdrawals);
		consumer_sockets_clear(&consumer->sockets);
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
		     &consumer->source);
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
	if (withdrawals_add(&consumer->withdrawals, listener, monotonic_us()) ==
	    0)
		return;
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
	if (delivery->sent && consumer->fd >= 0)
		consumer_withdraw(consumer, listener);
	delivery_unlink(delivery);
	listener->user_data = NULL;
	free(delivery);
}

void consumers_netns_gone(struct consumers *consumers, uint64_t netns_id)
{
	struct consumer *consumer;
	uint64_t now_us = monotonic_us();
	bool told = false;

	LL_FOREACH (consumers->list, consumer) {
		told |= consumer_sockets_netns_gone(&consumer->sockets,
						    netns_id, now_us);
		told |= withdrawals_netns_gone(&consumer->withdrawals, netns_id,
					       now_us);
	}
	if (told)
		loop_timer_set_earlier(consumers->timer,
				       now_us + ABORT_TIMEOUT_US);
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
		.withdrawn = withdrawals_count(&consumer->withdrawals),
		.silent = consumer->asked.since_us != 0,
	};
}

bool consumers_delivered(const struct listener *listener)
{
	const struct delivery *delivery = listener->user_data;

	return delivery && delivery->state == DELIVERY_DONE;
}

const char *consumers_holder(const struct consumers *consumers,
			     uint64_t netns_id, const struct endpoint *endpoint)
{
	const struct consumer *consumer;
	const struct withdrawal *withdrawal;

	LL_FOREACH (consumers->list, consumer) {
		withdrawal = withdrawals_of(&consumer->withdrawals, netns_id);
		for (; withdrawal; withdrawal = withdrawal->netns_next) {
			if (endpoint_conflict(&withdrawal->endpoint, endpoint))
				return consumer->name;
		}
	}
	return NULL;
}

size_t consumers_holds(const struct consumers *consumers, uint64_t netns_id)
{
	const struct consumer *consumer;
	const struct withdrawal *withdrawal;
	size_t n = 0;

	LL_FOREACH (consumers->list, consumer) {
		n += consumer_sockets_hold(&consumer->sockets, netns_id);
		withdrawal = withdrawals_of(&consumer->withdrawals, netns_id);
		for (; withdrawal; withdrawal = withdrawal->netns_next)
			n++;
	}
	return n;
}
