// SPDX-License-Identifier: Apache-2.0
/* consumer_send.c - what goes out on one connection, and in which order
 *
 * Theory of operation: nothing is queued as a message. What is to be sent next
 * is derived from what the consumer does not know yet: first that another
 * connection has taken over and has everything, then what frees a namespace
 * (withdrawals, and sockets to be closed), then a request for counts, then
 * listeners and answers to socket requests in turns. Sending never blocks: what
 * the socket does not take now is derived again later.
 */
#include "daemon/consumers/consumers_internal.h"

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"

#define SLICE_MESSAGES 128 /* about a millisecond's work */
#define FINISH_US (30 * USEC_PER_SEC)

/* What became of a message, by the result of consumer_message_send().
 * Return: 1 sent, 0 not now, -1 the connection is lost. */
static int consumer_sent(struct consumer_connection *conn, int r)
{
	if (r == 0)
		return 1;
	/* No EPOLLOUT tells when these are over. ETOOMANYREFS: too many
	 * descriptors are in flight (unix(7)). */
	if (r == -ENOBUFS || r == -ETOOMANYREFS || r == -ENOMEM) {
		consumer_pause(conn);
		return 0;
	}
	/* When the peer has ended, what it said last is still to be read, and
	 * the end comes after it. */
	if (r == -EAGAIN || r == -EPIPE || r == -ECONNRESET) {
		conn->blocked = true;
		if (consumer_wait(conn) == 0)
			return 0;
		consumer_lost(conn, EIO, "cannot wait for it");
		return -1;
	}
	consumer_lost(conn, -r, "cannot send");
	return -1;
}

static int consumer_send(struct consumer_connection *conn, const char *text,
			 int fd)
{
	return consumer_sent(conn, consumer_message_send(conn->fd, text, fd));
}

static int consumer_send_taken_over(struct consumer_connection *conn)
{
	int r = consumer_send(conn, CONSUMER_TAKEN_OVER_TEXT, -1);

	if (r > 0)
		conn->taken_over_queued = false;
	return r;
}

/* How long the connections may finish, at least a moment; 0: they may not. */
static uint64_t drain_left_ms(const struct withdrawal *withdrawal)
{
	uint64_t now_us = monotonic_us(), end_us = withdrawal->end.key;

	if (withdrawal->abort_since_us)
		return 0;
	return end_us < now_us + USEC_PER_MSEC
		       ? 1
		       : (end_us - now_us) / USEC_PER_MSEC;
}

static int consumer_send_withdrawal(struct consumer_connection *conn)
{
	const struct withdrawal *withdrawal = conn->withdrawals.queue;
	_cleanup_free_ char *text = NULL;
	int r;

	text = consumer_withdraw_text(withdrawal->id, drain_left_ms(withdrawal),
				      withdrawal->ending, withdrawal->reason);
	if (!text) { /* out of memory */
		consumer_pause(conn);
		return 0;
	}
	r = consumer_send(conn, text, -1);
	if (r > 0)
		withdrawals_sent(&conn->withdrawals);
	return r;
}

static int consumer_send_log_level(struct consumer_connection *conn)
{
	char text[CONSUMER_LOG_LEVEL_MAX];
	int r;

	consumer_log_level_fmt(conn->consumer->all->log_level, text);
	r = consumer_send(conn, text, -1);
	if (r > 0)
		conn->log_level_queued = false;
	return r;
}

static int consumer_send_stats_request(struct consumer_connection *conn)
{
	char text[CONSUMER_STATS_MAX];
	int r;

	consumer_stats_fmt(conn->stats.number, conn->stats.changed, text);
	r = consumer_send(conn, text, -1);
	if (r > 0)
		conn->stats.queued = false;
	return r;
}

/* What is asked about clients has the same place as requests for counts.
 * Return: as consumer_sent(); 1 too if nobody wants to know any more. */
static int consumer_send_question(struct consumer_connection *conn)
{
	char text[CONSUMER_QUESTION_MAX];
	int r;

	if (!questions_fmt(conn, text))
		return 1;
	r = consumer_send(conn, text, -1);
	if (r > 0)
		conn->questions.queued = false;
	return r;
}

static int consumer_send_listener(struct consumer_connection *conn,
				  struct delivery *delivery)
{
	struct consumers *consumers = conn->consumer->all;
	const struct listener *listener = delivery->listener;
	_cleanup_free_ char *text = NULL;
	int r;

	text = consumer_listener_text(
		listener, consumers->ops.find_netns(listener->netns_id,
						    consumers->user_data));
	if (!text) { /* out of memory */
		consumer_pause(conn);
		return 0;
	}
	r = consumer_send(conn, text,
			  delivery->state == DELIVERY_PENDING ? listener->fd
							      : -1);
	if (r > 0) {
		delivery_set(delivery, DELIVERY_DONE);
		delivery->sent = true;
		delivery->given = true;
	}
	return r;
}

/* Connections of a listener that no rule wants any more may finish, also those
 * that wait for a socket. FINISH_US is enough for a consumer that tries one
 * backend after the other. After it a consumer that never releases the listener
 * gets no more of what the rule allowed. */
static int consumer_mint_withdrawn(struct consumer_connection *conn,
				   const struct socket_request *request,
				   int *ret_fd, uint64_t *ret_netns_id)
{
	const struct consumers *consumers = conn->consumer->all;
	const struct withdrawal *withdrawal =
		withdrawals_find(&conn->withdrawals, request->id);
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
	struct consumer_connection *conn = user_data;
	const struct consumers *consumers = conn->consumer->all;
	const struct delivery *delivery = consumer_delivery(conn, request->id);

	if (!delivery)
		return consumer_mint_withdrawn(conn, request, ret_fd,
					       ret_netns_id);
	return consumers->ops.mint(delivery->listener, request, ret_fd,
				   ret_netns_id, consumers->user_data);
}

/* Answers the first socket request. A request that was made before a change is
 * answered by ESTALE: the consumer must have heard of the change by then, or it
 * could only ask the same again. Return: as consumer_sent(). */
static int consumer_answer(struct consumer_connection *conn)
{
	struct consumer_sockets *sockets = &conn->sockets;
	struct delivery *delivery =
		consumer_delivery(conn, consumer_sockets_listener(sockets));

	if (delivery && delivery->state == DELIVERY_STALE)
		return consumer_send_listener(conn, delivery);
	conn->socket_turn = false;
	return consumer_sent(conn,
			     consumer_sockets_send_answer(sockets, conn->fd,
							  consumer_mint, conn));
}

/* Sends what serves a namespace: listeners, and answers to socket requests, in
 * turns.
 * Return: as consumer_sent(); 0 when there is nothing to send. */
static int consumer_serve(struct consumer_connection *conn)
{
	bool requests = conn->sockets.requests != NULL;
	struct delivery *next = consumer_next_delivery(conn);

	if (conn->pause_until_us > monotonic_us())
		return 0;
	if (requests && (conn->socket_turn || !next))
		return consumer_answer(conn);
	conn->socket_turn = requests;
	return next ? consumer_send_listener(conn, next) : 0;
}

/* Another connection has taken over, and was not sent all listeners yet. If
 * berthd were killed now, what nobody else has would be lost with its backlog:
 * the earlier connection keeps its copies a moment longer. */
static bool consumer_keeps_on(const struct consumer_connection *conn)
{
	const struct consumer *consumer = conn->consumer;

	return conn->taken_over_queued && consumer->current &&
	       consumer->n_queue > 0 &&
	       monotonic_us() < conn->draining_since_us + CONSUMER_KEEPS_US;
}

bool consumer_step(struct consumer_connection *conn)
{
	int r = 1;

	if (conn->blocked || consumer_keeps_on(conn))
		return false;
	for (int i = 0; i < SLICE_MESSAGES && r > 0; i++) {
		if (conn->taken_over_queued)
			r = consumer_send_taken_over(conn);
		else if (conn->withdrawals.queue)
			r = consumer_send_withdrawal(conn);
		else if (conn->sockets.gone)
			r = consumer_sent(
				conn, consumer_sockets_send_gone(&conn->sockets,
								 conn->fd));
		else if (conn->log_level_queued)
			r = consumer_send_log_level(conn);
		else if (conn->stats.queued)
			r = consumer_send_stats_request(conn);
		else if (conn->questions.queued)
			r = consumer_send_question(conn);
		else
			r = consumer_serve(conn);
	}
	return r > 0;
}
