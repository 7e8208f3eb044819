// SPDX-License-Identifier: Apache-2.0
/* consumer.c - the connections of one consumer, and what arrives on them
 *
 * A consumer that loses its connection forgets everything: all its deliveries
 * become PENDING, and the connection's withdrawals are dropped. One that
 * refuses a listener, or cannot take a change, is short of descriptors or
 * memory: the listener is sent again after a pause.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/log.h"
#include "common/util.h"

#define RECEIVE_MESSAGES 64
#define PAUSE_US USEC_PER_SEC

/* After so many bytes of replies other descriptors are looked at: libberth's
 * pieces of an answer, which are longer, come one in a turn, and each is about
 * a millisecond's work. */
#define RECEIVE_BYTES (8 * 1024)

void consumer_free_connection(struct consumer_connection *conn)
{
	DL_DELETE(conn->consumer->connections, conn);
	questions_lost(conn);
	loop_source_free(conn->source);
	close_unread(conn->fd);
	consumer_sockets_clear(&conn->sockets);
	withdrawals_clear(&conn->withdrawals);
	free(conn);
}

void consumer_close(struct consumer_connection *conn)
{
	struct consumer *consumer = conn->consumer;
	uint64_t number = conn->number;
	bool handed_back = conn->held_left > 0 && !conn->only_drains;

	consumer_keep_pins(conn);
	conn->held_left = 0;
	if (consumer->current == conn) {
		consumer_forget_deliveries(consumer);
		consumer->current = NULL;
		backends_forget_consumer(consumer->all->backends,
					 consumer->name);
		consumer_came_or_went(consumer);
		hand_back_closed(consumer);
	} else if (handed_back) {
		hand_back_closed(consumer);
	}
	consumer_free_connection(conn);
	consumer->all->ops.ended(number, consumer->all->user_data);
	consumer->all->ops.stats_changed(consumer->all->user_data);
}

void consumer_lost(struct consumer_connection *conn, int error,
		   const char *what)
{
	const struct consumer *consumer = conn->consumer;
	pid_t pid = conn->peer.pid;

	if (error)
		log_warning_errno(error,
				  "consumer '%s' (pid %d): %s; disconnecting",
				  consumer->name, pid, what);
	else
		log_info("consumer '%s' (pid %d): %s", consumer->name, pid,
			 what);
	consumer_close(conn);
	consumer->all->ops.lost(consumer->name, pid, what,
				consumer->all->user_data);
}

static void consumer_released(struct consumer_connection *conn,
			      const struct consumer_reply *reply)
{
	struct withdrawal *withdrawal =
		withdrawals_find(&conn->withdrawals, reply->id);
	struct consumers *consumers = conn->consumer->all;
	struct consumer_count count = {
		.id = reply->id,
		.connection = conn->number,
		.counts = &reply->counts,
		.final = true,
	};
	uint64_t netns_id;

	if (!withdrawal)
		return;
	netns_id = withdrawal->netns_id;
	count.service = withdrawal->service;
	count.protocol = (enum protocol)withdrawal->endpoint.protocol;
	/* That cannot fail. */
	(void)consumers->ops.counted(&count, consumers->user_data);
	withdrawals_remove(&conn->withdrawals, withdrawal);
	consumers->ops.released(netns_id, consumers->user_data);
}

void consumer_pause(struct consumer_connection *conn)
{
	struct consumers *consumers = conn->consumer->all;

	conn->pause_until_us = loop_now_us(consumers->loop) + PAUSE_US;
	loop_timer_set_earlier(consumers->timer, conn->pause_until_us);
}

/* The consumer could not take what it was sent of the listener @id: its
 * delivery goes back to @state. */
static void consumer_short(struct consumer_connection *conn, uint64_t id,
			   enum delivery_state state)
{
	struct delivery *delivery = consumer_delivery(conn, id);

	/* It was closed meanwhile, or is another consumer's; or it is in the
	 * queue already, with as much to be sent. */
	if (!delivery || delivery->state <= state)
		return;
	delivery_set(delivery, state);
	consumer_pause(conn);
	if (log_ratelimit_ok(&conn->consumer->short_limit))
		log_warning("consumer '%s' is short of descriptors or memory "
			    "for a listener; trying again in 1 s",
			    conn->consumer->name);
}

/* A consumer that was taken over uses its backends no more: what it tells of
 * them would stand instead of what the other one knows. */
static void consumer_backend(struct consumer_connection *conn,
			     const struct consumer_backend *told)
{
	struct consumer *consumer = conn->consumer;
	struct backends *backends = consumer->all->backends;
	struct backend_status status = told->status;

	if (consumer->current != conn)
		return;
	status.consumer = consumer->name;
	if (told->gone)
		backends_forget(backends, &status);
	else if (backends_tell(backends, &status) < 0 &&
		 log_ratelimit_ok(&consumer->backends_limit))
		log_warning("consumer '%s' tells of too many backends; "
			    "ignoring the state of '%s' of rule '%s'",
			    consumer->name, status.backend, status.rule);
}

/* Return: 0; -EPROTO; -ENOMEM. */
static int consumer_handle(struct consumer_connection *conn,
			   struct consumer_reply *reply, int *fd)
{
	switch (reply->type) {
	case CONSUMER_REPLY_HELLO: /* it was said before */
		break;
	case CONSUMER_REPLY_RELEASED:
		consumer_released(conn, reply);
		break;
	case CONSUMER_REPLY_REFUSED:
		consumer_short(conn, reply->id, DELIVERY_PENDING);
		break;
	case CONSUMER_REPLY_REPEAT:
		consumer_short(conn, reply->id, DELIVERY_STALE);
		break;
	case CONSUMER_REPLY_STATS:
		return consumer_counted(conn, reply);
	case CONSUMER_REPLY_SOCKET:
		return consumer_sockets_add(&conn->sockets, &reply->socket);
	case CONSUMER_REPLY_NETNS_CLOSED:
		consumer_sockets_netns_closed(&conn->sockets, reply->netns_id);
		break;
	case CONSUMER_REPLY_HELD:
		return hand_back_take(conn, &reply->held, TAKE_FD(*fd));
	case CONSUMER_REPLY_HELD_NETNS:
		return hand_back_netns(conn, reply->netns_id);
	case CONSUMER_REPLY_CONNECTIONS:
	case CONSUMER_REPLY_CLOSED:
		questions_answered(conn, reply);
		break;
	case CONSUMER_REPLY_BACKEND:
		consumer_backend(conn, &reply->backend);
		break;
	case CONSUMER_REPLY_OTHER:
		break;
	}
	return 0;
}

/* @fd:	came with it; -1 when it is taken. Return: 0, or -errno. */
static int consumer_read(struct consumer_connection *conn, const char *text,
			 size_t len, int *fd)
{
	struct consumer_reply reply;
	int r = consumer_reply_parse(text, len, &reply);

	if (r < 0)
		return r;
	/* Closing it may cost a process: it is not for every message. */
	if (*fd >= 0 && reply.type != CONSUMER_REPLY_HELD)
		r = -EPROTO;
	else
		r = consumer_handle(conn, &reply, fd);
	consumer_reply_done(&reply);
	return r;
}

/* Reads a bounded number of messages. Return: is the connection still there? */
static bool consumer_receive(struct consumer_connection *conn)
{
	char *buffer = conn->consumer->all->buffer;
	size_t read = 0;
	int r;

	for (int i = 0; i < RECEIVE_MESSAGES && read < RECEIVE_BYTES; i++) {
		_cleanup_foreign_ int fd = -1;
		ssize_t n = receive_safely(conn->fd, buffer, CONSUMER_REPLY_MAX,
					   &fd);

		if (n == -EAGAIN || n == -EINTR)
			return true;
		/* The peer ended without reading all. This is said once, and
		 * before what it had sent. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n < 0) {
			consumer_lost(conn, (int)-n, "cannot read");
			return false;
		}
		if (n == 0) {
			consumer_lost(conn, 0, "connection closed");
			return false;
		}
		r = (size_t)n > CONSUMER_REPLY_MAX
			    ? -EPROTO
			    : consumer_read(conn, buffer, (size_t)n, &fd);
		if (r < 0) {
			consumer_lost(conn, -r,
				      r == -EPROTO ? "unreadable message"
						   : "cannot take its message");
			return false;
		}
		read += (size_t)n;
	}
	return true;
}

int consumer_wait(struct consumer_connection *conn)
{
	uint32_t in = hand_back_waits(conn) ? 0 : EPOLLIN;

	return loop_source_set_events(conn->source,
				      in | (conn->blocked ? EPOLLOUT : 0));
}

static void consumer_ready(uint32_t events, void *user_data)
{
	struct consumer_connection *conn = user_data;

	if (events & EPOLLOUT)
		conn->blocked = false;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !consumer_receive(conn))
		return;
	if (consumer_wait(conn) < 0)
		consumer_lost(conn, EIO, "cannot wait for it");
}

size_t consumer_count_draining(const struct consumer *consumer)
{
	const struct consumer_connection *conn;
	size_t n = 0;

	DL_FOREACH (consumer->connections, conn)
		n += conn->draining_since_us != 0;
	return n;
}

/* Those that drain come first. */
static void consumer_end_oldest(const struct consumer *consumer)
{
	if (consumer_count_draining(consumer) > CONSUMER_DRAINING_MAX)
		consumer_lost(consumer->connections, EBUSY,
			      "others have taken over again and again");
}

void consumer_retire(struct consumer *consumer)
{
	struct consumer_connection *conn = consumer->current;
	int r = consumer_withdraw_all(conn);

	consumer_forget_deliveries(consumer);
	consumer->current = NULL;
	conn->draining_since_us = loop_now_us(consumer->all->loop);
	if (r < 0) /* without a connection it lets go of all */
		consumer_lost(conn, ENOMEM, "cannot withdraw its listeners");
}

void consumer_take_over(struct consumer *consumer)
{
	struct consumers *consumers = consumer->all;

	consumer->current->taken_over_queued = true;
	loop_timer_set_earlier(consumers->timer, loop_now_us(consumers->loop) +
							 CONSUMER_KEEPS_US);
	consumer_retire(consumer);
	consumer_end_oldest(consumer);
}

/* It gets the listeners. */
static void consumer_become_current(struct consumer_connection *conn)
{
	struct consumer *consumer = conn->consumer;

	assert(!consumer->current);
	DL_APPEND(consumer->connections, conn);
	consumer->current = conn;
	consumer_came_or_went(consumer);
}

int consumer_connect(struct consumer *consumer, int fd,
		     const struct consumer_peer *peer, bool drains,
		     struct consumer_connection **ret_conn)
{
	struct consumer_connection *conn = malloc(sizeof(*conn));
	int r = -ENOMEM;

	if (conn) {
		*conn = (struct consumer_connection){
			.consumer = consumer,
			.number = ++consumer->all->last_connection,
			.peer = *peer,
			.started = known_started(peer->pid),
			.since_us = loop_now_us(consumer->all->loop),
			.only_drains = drains,
			.fd = fd,
		};
		r = loop_add(consumer->all->loop, fd, EPOLLIN, consumer_ready,
			     conn, &conn->source);
	}
	if (r < 0) {
		close_unread(fd);
		free(conn);
		return r;
	}
	pinners_returned(&consumer->all->pinners, peer->pid, conn->started);
	consumer_queue_log_level(conn);
	if (drains) {
		/* Taken over by an earlier berthd, so before all others. */
		DL_PREPEND(consumer->connections, conn);
		conn->draining_since_us = conn->since_us;
	} else {
		consumer_become_current(conn);
	}
	*ret_conn = conn;
	return 0;
}
