// SPDX-License-Identifier: Apache-2.0
/* consumers.c - who serves the listeners: berth-relay and other programs
 *
 * All consumers together: found by name, timed, counted, told that a namespace
 * goes. delivery.c knows what each has of the open listeners, withdrawals.c and
 * consumer_sockets.c what each holds beside them, consumer.c and
 * consumer_send.c speak with one.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"

#define ABORT_TIMEOUT_US (10 * USEC_PER_SEC)

/* How often it is said that a consumer is short of something. */
#define SHORT_LOG_US (10 * USEC_PER_SEC)

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

struct consumer *consumer_get(struct consumers *consumers, const char *name)
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

bool consumers_step(struct consumers *consumers)
{
	struct consumer *consumer;
	bool left = false;

	LL_FOREACH (consumers->list, consumer)
		left = consumer_step(consumer) || left;
	return left;
}

/* Since when does the consumer not let go of what it has of a namespace that is
 * gone? 0: it has nothing of one. */
static uint64_t consumer_oldest_abort_us(const struct consumer *consumer)
{
	uint64_t sockets_us = consumer_sockets_oldest_us(&consumer->sockets);
	uint64_t oldest_us = withdrawals_oldest_us(&consumer->withdrawals);

	if (oldest_us == 0 || (sockets_us && sockets_us < oldest_us))
		oldest_us = sockets_us;
	return oldest_us;
}

/* A consumer that does not let go of a dead namespace keeps the kernel from
 * freeing it. So its connection is ended, and the owner, who is told, ends the
 * process. */
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
	/* The members are set one by one, so that the buffer takes no memory
	 * before it is used. */
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
	struct consumer *consumer = consumer_get(consumers, name);

	if (consumer)
		return consumer_attach(consumer, fd, pid);
	(void)close(fd); /* nothing is buffered in it */
	return -ENOMEM;
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
		.silent = consumer->stats.since_us != 0,
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
