// SPDX-License-Identifier: Apache-2.0
/* tcp_pump.c - bytes from one socket to the other
 *
 * Theory of operation: what is read goes into the worker's one scratch buffer
 * and is written on at once. Only what the receiver did not take is kept, in a
 * buffer of the reading side, and nothing more is read until it is gone: the
 * kernel's windows then slow the sender down, and an edge-triggered side that
 * is not read from causes no wake-up.
 *
 * A read that comes back short has emptied the socket, so the read that would
 * only say so is saved; but not once the peer's end was announced, because
 * then that read is the one that sees it.
 */
#include "relay/tcp_internal.h"

#include <sys/socket.h>

#include "common/util.h"
#include "relay/worker.h"

/* Reads per turn: a quarter of a MiB, then others have theirs. */
#define PUMP_READS 4

void tcp_shut(struct side *side)
{
	if (side->shut || side->fd < 0)
		return;
	side->shut = true;
	(void)shutdown(side->fd, SHUT_WR); /* reading tells what went wrong */
}

/* Writes what @dst takes. Return: how much, or -errno. */
static ssize_t side_write(struct side *dst, const uint8_t *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(dst->fd, data + done, len - done, MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			dst->writable = false;
			break;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return (ssize_t)done;
}

/* As side_write(), where a backend that only stopped reading fails nothing:
 * what it says may be the reason, and the client is to read it. */
static ssize_t side_give(struct conn *conn, struct side *dst,
			 const uint8_t *data, size_t len)
{
	ssize_t n = dst->broken ? (ssize_t)len : side_write(dst, data, len);

	if (n == -EPIPE && dst == &conn->backend) {
		dst->broken = true;
		dst->shut = true;
		n = (ssize_t)len;
	}
	return n;
}

static int give_rest(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	struct buffer *rest = src->rest;
	ssize_t n = side_give(conn, dst, rest->data + rest->begin,
			      rest->end - rest->begin);

	if (n < 0)
		return (int)n;
	if (n > 0)
		conn->active_us = worker->now_us;
	rest->begin += (uint32_t)n;
	if (rest->begin == rest->end)
		src->rest = buffer_free(&worker->buffers, rest);
	return 0;
}

/* Reads to the scratch buffer. Return: bytes; 0: nothing now, or the end, see
 * @src; -errno. */
static ssize_t side_read(struct worker *worker, struct side *src)
{
	ssize_t n;

	do {
		n = recv(src->fd, worker->scratch, BUFFER_MAX_BYTES, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (n == 0)
		src->eof = true;
	if (n <= 0 || ((size_t)n < BUFFER_MAX_BYTES && !src->hangup))
		src->readable = false;
	return n < 0 ? 0 : n;
}

static int pump_once(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	ssize_t n = side_read(worker, src), done;

	if (n <= 0)
		return (int)n;
	conn->active_us = worker->now_us;
	done = side_give(conn, dst, worker->scratch, (size_t)n);
	if (done < 0)
		return (int)done;
	if (done < n) {
		src->rest = buffer_new(&worker->buffers, worker->scratch + done,
				       (size_t)(n - done));
		if (!src->rest)
			return -ENOMEM;
	}
	return 0;
}

enum tcp_result tcp_pump(struct worker *worker, struct conn *conn,
			 struct side *src, struct side *dst)
{
	for (int i = 0; i < PUMP_READS; i++) {
		if (src->rest && give_rest(worker, conn, src, dst) < 0)
			return TCP_FAILED;
		if (src->rest)
			return TCP_WAITS;
		if (src->eof)
			tcp_shut(dst);
		if (!src->readable || src->eof ||
		    !(dst->writable || dst->broken))
			return TCP_WAITS;
		if (pump_once(worker, conn, src, dst) < 0)
			return TCP_FAILED;
	}
	return TCP_AGAIN;
}

enum tcp_result tcp_sink(struct worker *worker, struct conn *conn,
			 struct side *src)
{
	for (int i = 0; i < PUMP_READS; i++) {
		if (!src->readable)
			return TCP_WAITS;
		if (side_read(worker, src) < 0)
			return TCP_FAILED;
		conn->active_us = worker->now_us;
	}
	return TCP_AGAIN;
}
