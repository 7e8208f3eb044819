// SPDX-License-Identifier: Apache-2.0
/* sctp_pump.c - messages from one side to the other
 *
 * Theory of operation: a message, or a part of one, is read into the worker's
 * scratch buffer. A whole message, as nearly all are, is sent on at once and
 * copied nowhere. Parts are put together first. What the receiver does not take
 * waits in the reading side's queue, and nothing more is read until that is
 * empty: the kernel's window then slows the sender down, and an edge-triggered
 * socket that nobody reads causes no wake-up.
 *
 * To a stream (TCP, UNIX) the messages go one after the other, without their
 * bounds, streams and ids. From a stream, the bytes of one read are one ordered
 * message on stream 0 with payload protocol id 0.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/buffer.h"
#include "relay/core/listener.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/worker.h"

/* Messages per turn, then others have theirs. */
#define PUMP_READS 16

void sctp_side_shut(struct sctp_side *side)
{
	if (side->shut || side->gone || side->fd < 0)
		return;
	side->shut = true;
	if (side->kind == SCTP_SIDE_SHARED)
		sctp_socket_shut(side->fd, side->assoc_id);
	else
		(void)shutdown(side->fd, SHUT_WR); /* reading tells the rest */
}

bool sctp_side_done(const struct sctp_side *side)
{
	return side->eof && !side->queue.first;
}

void sctp_side_drop_partial(struct sctp_conn *conn, struct sctp_side *side)
{
	if (!side->partial)
		return;
	flow_count_dropped(&conn->flow, BERTH_DROP_ENDED);
	side->partial =
		sctp_message_free(sctp_conn_budget(conn), side->partial);
}

void sctp_pump_explain(struct worker *worker, struct sctp_conn *conn, int error)
{
	enum berth_drop drop;
	const char *why;

	switch (error) {
	case -EMSGSIZE:
		drop = BERTH_DROP_TOO_LARGE;
		why = "a message is larger than the limit (256 KiB, or the "
		      "send buffer)";
		break;
	case -ECHRNG:
		drop = BERTH_DROP_NO_STREAM;
		why = "a message is on a stream that the other side did not "
		      "grant";
		break;
	case -ENOMEM:
		drop = BERTH_DROP_MEMORY;
		why = "there is no memory for a message, or its "
		      "namespace has its part";
		break;
	default:
		return; /* the peer's own doing */
	}
	flow_note_failure(&conn->flow, BERTH_ENDING_ERROR);
	flow_count_dropped(&conn->flow, drop);
	if (worker_may_log(worker, conn->flow.share->listener, NULL))
		log_warning_about(&conn->flow.share->listener->about,
				  "%s: aborting an association: %s",
				  conn->flow.share->listener->label, why);
}

/* @side said its last. */
static void note_end(struct sctp_conn *conn, const struct sctp_side *side)
{
	flow_note_end(&conn->flow, side == &conn->client
					   ? BERTH_ENDING_CLIENT_END
					   : BERTH_ENDING_BACKEND_END);
}

/* Reading or writing failed at @side: its peer has aborted, or is lost. */
static void note_reset(struct sctp_conn *conn, const struct sctp_side *side)
{
	flow_note_failure(&conn->flow, side == &conn->client
					       ? BERTH_ENDING_CLIENT_RESET
					       : BERTH_ENDING_BACKEND_RESET);
}

/* Giving */

static size_t side_max_bytes(const struct sctp_side *dst)
{
	return dst && dst->kind != SCTP_SIDE_STREAM ? dst->limits.max_bytes
						    : SCTP_MESSAGE_MAX;
}

/* Return: bytes taken; -EAGAIN; -errno. */
static ssize_t give_stream(struct sctp_side *dst, const uint8_t *data,
			   size_t len)
{
	ssize_t n = send(dst->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	/* The backend only stopped reading. It may say why. */
	if (errno == EPIPE) {
		dst->broken = true;
		return (ssize_t)len;
	}
	return -errno;
}

static ssize_t give_message(struct worker *worker, struct sctp_conn *conn,
			    struct sctp_side *dst,
			    const struct sctp_label *label, const uint8_t *data,
			    size_t len)
{
	const struct sctp_target target = { .fd = dst->fd };
	int r;

	if (label->sid >= dst->limits.streams)
		return -ECHRNG;
	if (len > dst->limits.max_bytes)
		return -EMSGSIZE;
	if (dst->kind == SCTP_SIDE_SHARED)
		r = sctp_shared_send(worker, conn, label, data, len);
	else
		r = sctp_socket_send(&target, label, data, len);
	return r < 0 ? r : (ssize_t)len;
}

/* Return: does @dst take nothing more? */
static bool side_is_closed(const struct sctp_side *dst)
{
	return dst->kind == SCTP_SIDE_STREAM ? dst->broken
					     : dst->eof || dst->shut;
}

static void note_given(struct worker *worker, struct sctp_conn *conn,
		       struct sctp_side *dst)
{
	dst->taken = SCTP_TAKEN_UNKNOWN;
	conn->flow.active_us = worker->now_us;
	if (conn->flow.state == FLOW_ENDING)
		conn->flow.since_us = worker->now_us;
}

ssize_t sctp_pump_give(struct worker *worker, struct sctp_conn *conn,
		       struct sctp_side *dst, const struct sctp_label *label,
		       const uint8_t *data, size_t len)
{
	ssize_t n;

	if (!dst)
		return (ssize_t)len;
	if (!side_is_closed(dst)) {
		if (!dst->writable)
			return 0;
		n = dst->kind == SCTP_SIDE_STREAM
			    ? give_stream(dst, data, len)
			    : give_message(worker, conn, dst, label, data, len);
		if (n == -EAGAIN) {
			dst->writable = false;
			return 0;
		}
		/* EPIPE: the peer's SHUTDOWN came, and we have not read it. */
		if (n != -EPIPE || dst->kind == SCTP_SIDE_STREAM) {
			if (n > 0 && dst == &conn->client) {
				flow_count_out(&conn->flow, (uint64_t)n);
				flow_count(&conn->flow, COUNTER_MESSAGES_OUT,
					   1);
			}
			if (n > 0)
				note_given(worker, conn, dst);
			else if (n < 0)
				note_reset(conn, dst);
			return n;
		}
	}
	flow_count_dropped(&conn->flow, BERTH_DROP_ENDED);
	return (ssize_t)len;
}

/* Sends what waits in the queue of @src. Return: 0 or -errno. */
static int pump_flush(struct worker *worker, struct sctp_conn *conn,
		      struct sctp_side *src, struct sctp_side *dst)
{
	struct sctp_message *message;
	ssize_t n;

	while ((message = src->queue.first)) {
		n = sctp_pump_give(worker, conn, dst, &message->label,
				   message->data + message->begin,
				   message->len - message->begin);
		if (n <= 0)
			return (int)n;
		message->begin += (size_t)n;
		if (message->begin < message->len)
			continue;
		(void)sctp_message_free(sctp_conn_budget(conn),
					sctp_queue_pop(&src->queue));
		if (conn->full && src == &conn->client)
			conn->stalled_us = 0;
	}
	return 0;
}

/* Taking */

/* Sends @data on at once if it is a whole message and its turn.
 * Return: how many bytes were taken; -errno. */
static ssize_t take_whole(struct worker *worker, struct sctp_conn *conn,
			  struct sctp_side *src, struct sctp_side *dst,
			  const struct sctp_received *received,
			  const uint8_t *data)
{
	if (src->partial || src->queue.first || !received->last)
		return 0;
	return sctp_pump_give(worker, conn, dst, &received->label, data,
			      received->len);
}

int sctp_pump_take(struct worker *worker, struct sctp_conn *conn,
		   struct sctp_side *src, struct sctp_side *dst,
		   const struct sctp_received *received, const uint8_t *data)
{
	ssize_t n;
	int r;

	conn->flow.active_us = worker->now_us;
	admit_bytes(worker, conn->flow.share, received->len);
	if (src == &conn->client) {
		flow_count_in(&conn->flow, received->len);
		if (received->last)
			flow_count(&conn->flow, COUNTER_MESSAGES_IN, 1);
	}
	if (!dst)
		return 0;
	/* What is there goes on, and half of a message waits for the rest; but
	 * more would put off the end as long as the peer has something to say.
	 */
	if (conn->expired && !src->partial) {
		if (received->last)
			flow_count_dropped(&conn->flow, BERTH_DROP_ENDED);
		return 0;
	}
	n = take_whole(worker, conn, src, dst, received, data);
	if (n < 0)
		return (int)n;
	if ((size_t)n == received->len)
		return 0;
	r = sctp_message_append(sctp_conn_budget(conn), &src->partial,
				&received->label, data + n,
				received->len - (size_t)n, side_max_bytes(dst));
	if (r == 0 && received->last)
		sctp_queue_push(&src->queue, TAKE_PTR(src->partial));
	return r;
}

/* Reads from a stream: what comes is one message. Return: 0 or -errno. */
static int receive_stream(struct sctp_side *src, uint8_t *buffer, size_t size,
			  struct sctp_received *received)
{
	ssize_t n = recv(src->fd, buffer, size, 0);

	if (n < 0 && errno != EAGAIN)
		return -errno;
	*received = (struct sctp_received){
		.kind = SCTP_KIND_NOTHING,
		.last = true,
	};
	if (n == 0)
		received->kind = SCTP_KIND_EOF;
	if (n > 0) {
		received->kind = SCTP_KIND_DATA;
		received->len = (size_t)n;
	}
	return 0;
}

/* Return: 0 or -errno. */
static int pump_pull(struct worker *worker, struct sctp_conn *conn,
		     struct sctp_side *src, struct sctp_side *dst)
{
	size_t size = BUFFER_MAX_BYTES;
	struct sctp_received received;
	int r;

	if (src->kind == SCTP_SIDE_STREAM && size > side_max_bytes(dst))
		size = side_max_bytes(dst);
	r = src->kind == SCTP_SIDE_STREAM
		    ? receive_stream(src, worker->scratch, size, &received)
		    : sctp_socket_receive(src->fd, worker->scratch, size,
					  &received);
	if (r < 0) {
		note_reset(conn, src);
		return r;
	}
	switch (received.kind) {
	case SCTP_KIND_NOTHING:
		src->readable = false;
		/* After our own SHUTDOWN the kernel reports no end. */
		if (src->kind == SCTP_SIDE_OWN && src->shut)
			src->eof = sctp_socket_is_gone(src->fd);
		return 0;
	case SCTP_KIND_DATA:
		return sctp_pump_take(worker, conn, src, dst, &received,
				      worker->scratch);
	case SCTP_KIND_EOF:
	case SCTP_KIND_CLOSED:
		src->eof = true;
		note_end(conn, src);
		sctp_side_drop_partial(conn, src);
		return 0;
	case SCTP_KIND_LOST:
		note_reset(conn, src);
		return -ECONNRESET;
	case SCTP_KIND_RESTARTED:
		/* A backend that forgot its client is lost to it: only the
		 * client can begin anew. */
		note_reset(conn, src);
		return src == &conn->client ? -ERESTART : -ECONNRESET;
	case SCTP_KIND_ABANDONED:
		sctp_side_drop_partial(conn, src);
		return 0;
	case SCTP_KIND_UP:
	case SCTP_KIND_DRY:
	case SCTP_KIND_OTHER:
		return 0;
	}
	return 0;
}

/* Return: can @dst be given something now, or is that dropped anyway? */
static bool side_takes(const struct sctp_side *dst)
{
	return !dst || dst->writable || side_is_closed(dst);
}

enum flow_result sctp_pump(struct worker *worker, struct sctp_conn *conn,
			   struct sctp_side *src, struct sctp_side *dst)
{
	int r;

	for (int i = 0; i < PUMP_READS; i++) {
		r = pump_flush(worker, conn, src, dst);
		if (r == 0 && src->queue.first)
			return FLOW_WAITS;
		if (r == 0 && conn->expired && dst)
			sctp_side_shut(dst);
		if (r == 0 && src->eof) {
			if (dst)
				sctp_side_shut(dst);
			return FLOW_WAITS;
		}
		if (r == 0 && (src->kind == SCTP_SIDE_SHARED ||
			       !src->readable || !side_takes(dst)))
			return FLOW_WAITS;
		if (r == 0 && admit_turn_is_over(worker, conn->flow.share))
			return FLOW_AGAIN;
		if (r == 0)
			r = pump_pull(worker, conn, src, dst);
		conn->restarted = r == -ERESTART;
		if (r < 0) {
			sctp_pump_explain(worker, conn, r);
			return FLOW_FAILED;
		}
	}
	return FLOW_AGAIN;
}
