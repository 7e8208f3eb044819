// SPDX-License-Identifier: Apache-2.0
/* consumer_send.c - what one consumer is sent, and in which order
 *
 * Theory of operation: nothing is queued as a message. What is to be sent next
 * is derived from what the consumer does not know yet: first what frees a
 * namespace (withdrawals, and sockets to be closed), then a request for counts,
 * then listeners and answers to socket requests in turns. Sending never blocks:
 * what the socket does not take now is derived again later.
 */
#include "daemon/consumers/consumers_internal.h"

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"

#define SLICE_MESSAGES 128 /* about a millisecond's work */
#define FINISH_US (30 * USEC_PER_SEC)

/* What became of a message, by the result of consumer_message_send().
 * Return: 1 sent, 0 not now, -1 the connection is lost. */
static int consumer_sent(struct consumer *consumer, int r)
{
	if (r == 0)
		return 1;
	/* No EPOLLOUT tells when these are over. ETOOMANYREFS: too many
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

static int consumer_send_stats_request(struct consumer *consumer)
{
	char text[CONSUMER_STATS_MAX];
	int r;

	consumer_stats_fmt(consumer->stats.number, text);
	r = consumer_send(consumer, text, -1);
	if (r > 0)
		consumer->stats.queued = false;
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
 * that wait for a socket. FINISH_US is enough for a consumer that tries one
 * backend after the other. After it a consumer that never releases the listener
 * gets no more of what the rule allowed. */
static int consumer_mint_withdrawn(struct consumer *consumer,
				   const struct socket_request *request,
				   int *ret_fd, uint64_t *ret_netns_id)
{
	const struct consumers *consumers = consumer->all;
	const struct withdrawal *withdrawal =
		withdrawals_find(&consumer->withdrawals, request->id);
	struct listener listener = { .fd = -1 };

	if (!withdrawal || withdrawal->abort_since_us ||
	    withdrawal->since_us + FINISH_US < monotonic_us())
		return -ESTALE;
	listener.id = withdrawal->id;
	listener.netns_id = withdrawal->netns_id;
	listener.endpoint = withdrawal->endpoint;
	listener.service = withdrawal->service;
	return consumers->ops.mint(&listener, request, ret_fd, ret_netns_id,
				   consumers->user_data);
}

static int consumer_mint(const struct socket_request *request, int *ret_fd,
			 uint64_t *ret_netns_id, void *user_data)
{
	struct consumer *consumer = user_data;
	const struct consumers *consumers = consumer->all;
	const struct delivery *delivery =
		consumer_delivery(consumer, request->id);

	if (!delivery)
		return consumer_mint_withdrawn(consumer, request, ret_fd,
					       ret_netns_id);
	return consumers->ops.mint(delivery->listener, request, ret_fd,
				   ret_netns_id, consumers->user_data);
}

/* Answers the first socket request. A request that was made before a change is
 * answered by ESTALE: the consumer must have heard of the change by then, or it
 * could only ask the same again. Return: as consumer_sent(). */
static int consumer_answer(struct consumer *consumer)
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

/* Sends what serves a namespace: listeners, and answers to socket requests, in
 * turns.
 * Return: as consumer_sent(); 0 when there is nothing to send. */
static int consumer_serve(struct consumer *consumer)
{
	bool requests = consumer->sockets.requests != NULL;

	if (consumer->pause_until_us > monotonic_us())
		return 0;
	if (requests && (consumer->socket_turn || !consumer->queue))
		return consumer_answer(consumer);
	consumer->socket_turn = requests;
	return consumer->queue
		       ? consumer_send_listener(consumer, consumer->queue)
		       : 0;
}

bool consumer_step(struct consumer *consumer)
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
		else if (consumer->stats.queued)
			r = consumer_send_stats_request(consumer);
		else
			r = consumer_serve(consumer);
	}
	return r > 0;
}
