// SPDX-License-Identifier: Apache-2.0
/* delivery.c - how much of each open listener its consumer knows
 *
 * Theory of operation: each open listener has one delivery, hung on it. Its
 * state says how much of the listener the consumer knows: nothing (PENDING),
 * all (DONE), or an older service (STALE). PENDING and STALE deliveries stand
 * in their consumer's queue, each once at most.
 *
 * When a listener that was ever sent to its consumer is closed, a withdrawal
 * takes the delivery's place until the consumer says `released`. That holds for
 * one that the consumer refused, too: the refusal may have crossed a newer
 * offer that the consumer took.
 */
#include "daemon/consumers/consumers_internal.h"

#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"

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
		/* The analyzer takes the list to be empty.
		 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		DL_DELETE(consumer->done, delivery);
		consumer->n_done--;
	} else {
		/* The analyzer takes the list to be empty.
		 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		DL_DELETE(consumer->queue, delivery);
		consumer->n_queue--;
	}
}

void delivery_set(struct delivery *delivery, enum delivery_state state)
{
	delivery_unlink(delivery);
	delivery_link(delivery, state);
}

struct delivery *consumer_next_delivery(const struct consumer_connection *conn)
{
	if (conn->consumer->current != conn || hand_back_goes_on(conn))
		return NULL;
	return conn->consumer->queue;
}

struct delivery *consumer_delivery(const struct consumer_connection *conn,
				   uint64_t id)
{
	const struct consumers *consumers = conn->consumer->all;
	const struct listener *listener =
		consumers->ops.find_listener(id, consumers->user_data);
	struct delivery *delivery = listener ? listener->user_data : NULL;

	return delivery && delivery->consumer->current == conn ? delivery
							       : NULL;
}

void consumers_listener_opened(struct consumers *consumers,
			       struct listener *listener)
{
	struct consumer *consumer =
		consumer_get(consumers, listener->service->consumer);
	struct delivery *delivery = consumer ? malloc(sizeof(*delivery)) : NULL;

	if (!delivery) {
		/* Clients wait in its backlog; a reload tries again. */
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

void consumer_forget_deliveries(struct consumer *consumer)
{
	struct delivery *delivery;

	DL_FOREACH (consumer->queue, delivery)
		delivery->state = DELIVERY_PENDING;
	while (consumer->done)
		delivery_set(consumer->done, DELIVERY_PENDING);
	DL_FOREACH (consumer->queue, delivery)
		delivery->sent = false;
}

static int withdraw(struct consumer_connection *conn,
		    const struct listener *listener)
{
	const struct consumers *consumers = conn->consumer->all;
	const struct withdrawals_limits limits = {
		.drain_us = consumers->timeouts.drain_ms * USEC_PER_MSEC,
		.max_per_netns = consumers->max_draining_per_netns,
	};

	return withdrawals_add(&conn->withdrawals, listener, &limits,
			       monotonic_us());
}

static int withdraw_sent(struct consumer_connection *conn,
			 const struct delivery *list)
{
	const struct delivery *delivery;

	DL_FOREACH (list, delivery) {
		if (delivery->sent && withdraw(conn, delivery->listener) < 0)
			return -ENOMEM;
	}
	return 0;
}

int consumer_withdraw_all(struct consumer_connection *conn)
{
	int r = withdraw_sent(conn, conn->consumer->queue);

	if (r == 0)
		r = withdraw_sent(conn, conn->consumer->done);
	if (r == 0)
		consumer_watch(conn);
	return r;
}

int consumer_withdraw(struct consumer_connection *conn,
		      const struct listener *listener)
{
	int r = withdraw(conn, listener);

	if (r == 0)
		consumer_watch(conn);
	return r;
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
	/* Without a withdrawal the consumer would hold the listener for ever.
	 * Without a connection it lets go of all. */
	if (delivery->sent && consumer->current &&
	    consumer_withdraw(consumer->current, listener) < 0)
		consumer_lost(consumer->current, ENOMEM,
			      "cannot withdraw a listener");
	delivery_unlink(delivery);
	listener->user_data = NULL;
	free(delivery);
}
