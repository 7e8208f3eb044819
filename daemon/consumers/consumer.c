// SPDX-License-Identifier: Apache-2.0
/* consumer.c - the connection of one consumer, and what arrives on it
 *
 * A consumer that loses its connection forgets everything: all its deliveries
 * become PENDING and its withdrawals are dropped. One that refuses a listener,
 * or cannot take a change, is short of descriptors or memory: the listener is
 * sent again after a pause.
 */
#include "daemon/consumers/consumers_internal.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"

#define RECEIVE_MESSAGES 64
#define PAUSE_US USEC_PER_SEC

/* How many bytes of replies are read between two looks at other descriptors:
 * about a millisecond's work. */
#define RECEIVE_BYTES (16 * 1024)

void consumer_close(struct consumer *consumer)
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
	consumer->stats = (struct stats_request){ .number = 0 };
	consumer->all->ops.stats_changed(consumer->all->user_data);
}

void consumer_lost(struct consumer *consumer, int error, const char *what)
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

void consumer_pause(struct consumer *consumer)
{
	struct consumers *consumers = consumer->all;

	consumer->pause_until_us = loop_now_us(consumers->loop) + PAUSE_US;
	loop_timer_set_earlier(consumers->timer, consumer->pause_until_us);
}

/* The consumer could not take what it was sent of the listener @id: its
 * delivery goes back to @state. */
static void consumer_short(struct consumer *consumer, uint64_t id,
			   enum delivery_state state)
{
	struct delivery *delivery = consumer_delivery(consumer, id);

	/* It was closed meanwhile, or is another consumer's; or it is in the
	 * queue already, with as much to be sent. */
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
		return consumer_sockets_add(&consumer->sockets, &reply->socket);
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

int consumer_wait(struct consumer *consumer)
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

int consumer_attach(struct consumer *consumer, int fd, pid_t pid)
{
	_cleanup_close_ int owned_fd = fd;
	int r;

	consumer_close(consumer);
	r = loop_add(consumer->all->loop, fd, EPOLLIN, consumer_ready, consumer,
		     &consumer->source);
	if (r < 0)
		return r;
	consumer->fd = TAKE_FD(owned_fd);
	consumer->pid = pid;
	return 0;
}
