// SPDX-License-Identifier: Apache-2.0
/* tcp_pump.c - bytes from one socket to the other
 *
 * Theory of operation: bytes are read into the worker's one scratch buffer and
 * written on at once. Only what the receiver did not take is kept, in a buffer
 * of the reading side, and nothing more is read until that is gone: the
 * kernel's windows then slow the sender down, and an edge-triggered socket that
 * nobody reads causes no wake-up.
 *
 * A read that comes back short has emptied the socket, so the next read, which
 * would only say so, is saved. There are two exceptions: after the peer's end
 * was announced the next read is the one that sees it, and after urgent data
 * were announced a read ends before their mark. A write that was taken in part
 * has found no more room, and the kernel noted that somebody waits for it.
 *
 * Long transfers are spliced: the pages go through a pipe, uncopied. Splicing
 * costs one more system call to find out that a socket is empty, and cannot
 * tell that from a full pipe. So it begins only after a good deal came in long
 * reads, only into an empty pipe, and it ends when little comes at a time, as
 * with requests and answers. A direction gives its pipe back as soon as that is
 * empty. Without a pipe, and where a socket cannot splice, bytes are copied.
 * That splice(2) gets nothing means little: at a mark of urgent data, for one,
 * it reports an empty socket, or the end if that is there, and goes no further.
 * So recv(2) always has the last word on both.
 *
 * Buffers are counted for the namespace. The connections of a namespace that
 * has its share of them keep nothing more: they peek at the bytes, write them,
 * and then read only as many as were taken. So each goes on, but not as
 * cheaply.
 *
 * splice(2) gives a socket many parts, one after the other. When an error comes
 * between two of them it returns what it has given, and nobody is told of the
 * error any more (fs/splice.c, splice_to_socket()). The next write gets EPIPE,
 * as it does with a backend that ended before. The two cases differ in what the
 * backend has left to say, see side_broke() and was_reset().
 */
#include "relay/tcp/tcp_internal.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/sock_diag.h>

#include "common/stream.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* Reads per turn: a quarter of a MiB, then others have theirs. */
#define PUMP_READS 4
#define PUMP_SPLICES 2

/* Reads of at least LONG_READ bytes, together LONG_TRANSFER, begin to splice;
 * SHORTS_MAX splices in a row of less than SHORT_READ end it. */
#define LONG_READ 16384u
#define LONG_TRANSFER 65536u
#define SHORT_READ 4096u
#define SHORTS_MAX 4

/* Fits in one segment of any path. */
#define SMALL_SEND 512u

void tcp_shut(struct side *side)
{
	if (side->shut || side->fd < 0)
		return;
	side->shut = true;
	(void)shutdown(side->fd, SHUT_WR); /* reading tells what went wrong */
}

/* @side said its last. */
static void note_end(struct conn *conn, const struct side *side)
{
	flow_note_end(&conn->flow, side == &conn->client
					   ? BERTH_ENDING_CLIENT_END
					   : BERTH_ENDING_BACKEND_END);
}

/* Reading or writing failed at @side: its peer has reset the connection, or is
 * lost. */
static void note_reset(struct conn *conn, const struct side *side)
{
	flow_note_failure(&conn->flow, side == &conn->client
					       ? BERTH_ENDING_CLIENT_RESET
					       : BERTH_ENDING_BACKEND_RESET);
}

static void side_put_pipe(struct worker *worker, struct conn *conn,
			  struct side *src)
{
	if (!src->pipe)
		return;
	src->pipe = worker_put_pipe(worker, src->pipe);
	admission_give(conn->flow.share->listener->netns, ADMISSION_PIPES, 1);
}

static bool side_take_pipe(struct worker *worker, struct conn *conn,
			   struct side *src)
{
	struct admission *netns = conn->flow.share->listener->netns;

	if (!admission_take(netns, ADMISSION_PIPES, 1, NULL))
		return false;
	src->pipe = worker_take_pipe(worker);
	if (!src->pipe)
		admission_give(netns, ADMISSION_PIPES, 1);
	return src->pipe != NULL;
}

/* Is there memory to keep what one read brings? */
static bool may_keep(const struct conn *conn)
{
	return admission_has_room(conn->flow.share->listener->netns,
				  ADMISSION_BYTES, BUFFER_MAX_BYTES);
}

int tcp_keep(struct worker *worker, struct conn *conn, struct side *side,
	     const void *data, size_t len)
{
	side->rest = buffer_new(&worker->buffers, data, len);
	if (!side->rest) {
		flow_note_failure(&conn->flow, BERTH_ENDING_ERROR);
		return -ENOMEM;
	}
	tcp_count_kept(conn, side->rest);
	return 0;
}

void tcp_count_kept(struct conn *conn, const struct buffer *buffer)
{
	admission_add_bytes(conn->flow.share->listener->netns,
			    buffer_bytes(buffer));
}

struct buffer *tcp_forget(struct worker *worker, struct conn *conn,
			  struct buffer *buffer)
{
	if (!buffer)
		return NULL;
	admission_give(conn->flow.share->listener->netns, ADMISSION_BYTES,
		       buffer_bytes(buffer));
	return buffer_free(&worker->buffers, buffer);
}

static void drop_rest(struct worker *worker, struct conn *conn,
		      struct side *side)
{
	side->rest = tcp_forget(worker, conn, side->rest);
}

void tcp_drop(struct worker *worker, struct conn *conn, struct side *side)
{
	drop_rest(worker, conn, side);
	side_put_pipe(worker, conn, side);
}

/* A write to @dst failed with @error. A backend that only stopped reading ends
 * nothing: it may say why, and the client is to read that.
 * Return: is it such a backend? */
static bool side_broke(struct conn *conn, struct side *dst, int error)
{
	if (error != EPIPE || dst != &conn->backend)
		return false;
	dst->broken = true;
	dst->shut = true;
	dst->cut_off = !dst->hangup && stream_state(dst->fd) == TCP_CLOSE;
	return true;
}

/* Return: did @src reset the connection, without splice(2) saying so? A backend
 * that was cut off and then ended properly counts as well, if the client has
 * got all that it said: the client would talk to nobody. */
static bool was_reset(const struct side *src, const struct side *dst)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	return src->cut_off &&
	       getsockopt(dst->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 &&
	       info[SK_MEMINFO_WMEM_QUEUED] == 0;
}

static void count_given(struct worker *worker, struct conn *conn,
			const struct side *dst, ssize_t n)
{
	conn->flow.active_us = worker->now_us;
	if (dst == &conn->client)
		flow_count_out(&conn->flow, (uint64_t)n);
}

static void count_read(struct worker *worker, struct conn *conn,
		       struct side *src, ssize_t n)
{
	conn->flow.active_us = worker->now_us;
	src->cut_off = false;
	admit_bytes(worker, conn->flow.share, (size_t)n);
	if (src == &conn->client)
		flow_count_in(&conn->flow, (uint64_t)n);
}

ssize_t tcp_send(struct side *dst, const void *data, size_t len)
{
	static const int on = 1;
	ssize_t n;

	/* The kernel does not delay a first small segment anyway. */
	if (!dst->no_delay && (dst->spoken || len > SMALL_SEND)) {
		dst->no_delay = true;
		/* Latency only: what a failure would cost. */
		(void)setsockopt(dst->fd, IPPROTO_TCP, TCP_NODELAY, &on,
				 sizeof(on));
	}
	do {
		n = send(dst->fd, data, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	dst->spoken = true;
	dst->unacked = UNACKED_UNKNOWN;
	return n;
}

/* Writes what @dst takes. Return: how much, or -errno. */
static ssize_t side_give(struct worker *worker, struct conn *conn,
			 struct side *dst, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (dst->broken)
		return (ssize_t)len;
	n = tcp_send(dst, data, len);
	if (n < 0 && n != -EAGAIN) {
		if (side_broke(conn, dst, (int)-n))
			return (ssize_t)len;
		note_reset(conn, dst);
		return n;
	}
	if (n < (ssize_t)len)
		dst->writable = false;
	if (n < 0)
		return 0;
	count_given(worker, conn, dst, n);
	return n;
}

static int give_rest(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	struct buffer *rest = src->rest;
	ssize_t n = side_give(worker, conn, dst, rest->data + rest->begin,
			      rest->end - rest->begin);

	if (n < 0)
		return (int)n;
	rest->begin += (uint32_t)n;
	if (rest->begin == rest->end)
		drop_rest(worker, conn, src);
	return 0;
}

/* Gives @n bytes of the scratch buffer, and keeps the rest. */
static int give_scratch(struct worker *worker, struct conn *conn,
			struct side *src, struct side *dst, size_t n)
{
	ssize_t done = side_give(worker, conn, dst, worker->scratch, n);

	if (done < 0)
		return (int)done;
	if ((size_t)done == n)
		return 0;
	return tcp_keep(worker, conn, src, worker->scratch + done,
			n - (size_t)done);
}

ssize_t tcp_read(struct worker *worker, struct conn *conn, struct side *src,
		 void *buffer, size_t room)
{
	ssize_t n;

	do {
		n = recv(src->fd, buffer, room, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		int error = errno;

		note_reset(conn, src);
		return -error;
	}
	if (n == 0) {
		src->eof = true;
		note_end(conn, src);
	}
	if (n <= 0)
		src->urgent = false;
	if (n <= 0 || ((size_t)n < room && !src->hangup && !src->urgent))
		src->readable = false;
	if (n <= 0)
		return 0;
	count_read(worker, conn, src, n);
	return n;
}

/* Reads into the scratch buffer, behind the @used bytes that are in it. */
static ssize_t side_read(struct worker *worker, struct conn *conn,
			 struct side *src, size_t used)
{
	return tcp_read(worker, conn, src, worker->scratch + used,
			BUFFER_MAX_BYTES - used);
}

/* Takes the @len bytes that were peeked at out of the socket. */
static int side_consume(struct worker *worker, struct conn *conn,
			struct side *src, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = recv(src->fd, worker->scratch, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* they were there */
			return n < 0 ? -errno : -EPIPE;
		count_read(worker, conn, src, n);
		len -= (size_t)n;
	}
	return 0;
}

/* There is no memory to keep anything: what @dst does not take stays in the
 * socket. The next read tells whether that is empty or has ended. */
static int pump_peek(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	ssize_t n, done;

	do {
		n = recv(src->fd, worker->scratch, BUFFER_MAX_BYTES, MSG_PEEK);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		n = side_read(worker, conn, src, 0);
		return n <= 0 ? (int)n /* or something came just now */
			      : give_scratch(worker, conn, src, dst, (size_t)n);
	}
	done = side_give(worker, conn, dst, worker->scratch, (size_t)n);
	return done < 0 ? (int)done
			: side_consume(worker, conn, src, (size_t)done);
}

static int pump_copy(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	ssize_t n;

	if (!may_keep(conn))
		return pump_peek(worker, conn, src, dst);
	n = side_read(worker, conn, src, 0);
	if (n <= 0)
		return (int)n;
	src->n_long = n < LONG_READ ? 0 : src->n_long + (uint32_t)n;
	if (src->n_long >= LONG_TRANSFER) {
		src->n_long = 0;
		src->n_short = 0;
		src->splicing = !src->no_splice;
	}
	return give_scratch(worker, conn, src, dst, (size_t)n);
}

/* Splicing */

/* The receiver cannot be spliced to: takes a buffer's worth out of the pipe. */
static int unpipe(struct worker *worker, struct conn *conn, struct side *src,
		  struct side *dst)
{
	ssize_t n = read(src->pipe->read_fd, worker->scratch, BUFFER_MAX_BYTES);

	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	src->pipe->n_bytes -= (uint32_t)n;
	return give_scratch(worker, conn, src, dst, (size_t)n);
}

static int give_pipe(struct worker *worker, struct conn *conn, struct side *src,
		     struct side *dst)
{
	struct pipe *pipe = src->pipe;
	ssize_t n;
	int error;

	if (src->no_splice)
		return unpipe(worker, conn, src, dst);
	n = splice(pipe->read_fd, NULL, dst->fd, NULL, pipe->n_bytes,
		   SPLICE_F_NONBLOCK);
	if (n > 0) {
		pipe->n_bytes -= (uint32_t)n;
		dst->unacked = UNACKED_UNKNOWN;
		count_given(worker, conn, dst, n);
		return 0;
	}
	if (n == 0 || errno == EAGAIN) {
		dst->writable = false;
		return 0;
	}
	if (errno == EINVAL) {
		src->no_splice = true;
		return 0;
	}
	error = errno;
	if (error == EINTR || side_broke(conn, dst, error))
		return 0;
	note_reset(conn, dst);
	return -error;
}

/* Goes on until the pipe is empty or @dst takes no more. */
static int empty_pipe(struct worker *worker, struct conn *conn,
		      struct side *src, struct side *dst)
{
	int r = 0;

	while (r == 0 && src->pipe->n_bytes > 0 && !src->rest &&
	       dst->writable && !dst->broken)
		r = give_pipe(worker, conn, src, dst);
	if (src->pipe->n_bytes == 0 || dst->broken)
		side_put_pipe(worker, conn, src);
	return r;
}

static void judge_splice(struct side *src, size_t n)
{
	if (n >= SHORT_READ) {
		src->n_short = 0;
	} else if (++src->n_short >= SHORTS_MAX) {
		src->splicing = false;
		src->n_long = 0;
	}
}

static int pump_splice(struct worker *worker, struct conn *conn,
		       struct side *src, struct side *dst)
{
	ssize_t n;
	int error;

	if (!side_take_pipe(worker, conn, src)) {
		src->splicing = false;
		return pump_copy(worker, conn, src, dst);
	}
	n = splice(src->fd, NULL, src->pipe->write_fd, NULL, PIPE_BYTES,
		   SPLICE_F_NONBLOCK);
	if (n <= 0) {
		error = errno;
		side_put_pipe(worker, conn, src);
		if (n < 0 && error == EINVAL) {
			src->no_splice = true;
			src->splicing = false;
		} else if (n < 0 && error != EAGAIN && error != EINTR) {
			note_reset(conn, src);
			return -error; /* recv(2) would not tell it again */
		}
		return pump_copy(worker, conn, src, dst);
	}
	src->pipe->n_bytes = (uint32_t)n;
	count_read(worker, conn, src, n);
	judge_splice(src, (size_t)n);
	return empty_pipe(worker, conn, src, dst);
}

int tcp_give_kept(struct worker *worker, struct conn *conn, struct side *src,
		  struct side *dst)
{
	int r = 0;

	if (!dst->writable && !dst->broken)
		return 0;
	if (src->rest)
		r = give_rest(worker, conn, src, dst);
	if (r == 0 && !src->rest && src->pipe)
		r = empty_pipe(worker, conn, src, dst);
	return r;
}

enum flow_result tcp_pump(struct worker *worker, struct conn *conn,
			  struct side *src, struct side *dst)
{
	int r, n_reads = src->splicing ? PUMP_SPLICES : PUMP_READS;

	for (int i = 0; i < n_reads; i++) {
		if ((src->rest || src->pipe) &&
		    tcp_give_kept(worker, conn, src, dst) < 0)
			return FLOW_FAILED;
		if (src->rest || src->pipe)
			return FLOW_WAITS;
		if (src->eof && !dst->shut && was_reset(src, dst)) {
			note_reset(conn, src);
			return FLOW_FAILED;
		}
		if (src->eof)
			tcp_shut(dst);
		if (!src->readable || src->eof ||
		    !(dst->writable || dst->broken))
			return FLOW_WAITS;
		r = src->splicing && !dst->broken
			    ? pump_splice(worker, conn, src, dst)
			    : pump_copy(worker, conn, src, dst);
		if (r < 0)
			return FLOW_FAILED;
	}
	return FLOW_AGAIN;
}

/* Without memory to keep anything: is there a byte, or the end?
 * Return: as tcp_pump_first(). */
static enum flow_result peek_first(struct conn *conn, struct side *src)
{
	uint8_t byte;
	ssize_t n;

	do {
		n = recv(src->fd, &byte, sizeof(byte), MSG_PEEK);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return FLOW_AGAIN;
	if (n < 0 && errno == EAGAIN) {
		src->readable = false;
		return FLOW_WAITS;
	}
	note_reset(conn, src);
	return FLOW_FAILED;
}

enum flow_result tcp_pump_first(struct worker *worker, struct conn *conn,
				struct side *src, struct side *dst)
{
	ssize_t n;

	if (!src->readable)
		return FLOW_WAITS;
	if (!may_keep(conn))
		return peek_first(conn, src);
	n = side_read(worker, conn, src, 0);
	if (n == 0 && !src->eof)
		return FLOW_WAITS;
	if (n <= 0 || give_scratch(worker, conn, src, dst, (size_t)n) < 0)
		return FLOW_FAILED;
	return FLOW_AGAIN;
}

/* Moves what was kept to the scratch buffer. Return: how much. */
static size_t take_rest(struct worker *worker, struct conn *conn,
			struct side *src)
{
	struct buffer *rest = src->rest;
	size_t len;

	if (!rest)
		return 0;
	len = rest->end - rest->begin;
	memcpy(worker->scratch, rest->data + rest->begin, len);
	drop_rest(worker, conn, src);
	return len;
}

enum flow_result tcp_pump_early(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client, *backend = &conn->backend;
	size_t len = take_rest(worker, conn, client);
	ssize_t n = 0, done;

	/* Behind a request nothing is passed on. */
	if (client->readable && len < BUFFER_MAX_BYTES && may_keep(conn) &&
	    !conn->flow.serving->http)
		n = side_read(worker, conn, client, len);
	if (n < 0)
		return FLOW_FAILED;
	len += (size_t)n;
	if (len == 0)
		return FLOW_WAITS;
	done = tcp_send(backend, worker->scratch, len);
	if (done < 0) {
		if (done != -EAGAIN)
			backend->error = (int)-done;
		done = 0;
	}
	if ((size_t)done < len &&
	    tcp_keep(worker, conn, client, worker->scratch + done,
		     len - (size_t)done) < 0)
		return FLOW_FAILED;
	return done > 0 ? FLOW_AGAIN : FLOW_WAITS;
}

enum flow_result tcp_sink(struct worker *worker, struct conn *conn,
			  struct side *src)
{
	for (int i = 0; i < PUMP_READS; i++) {
		if (!src->readable)
			return FLOW_WAITS;
		if (side_read(worker, conn, src, 0) < 0)
			return FLOW_FAILED;
	}
	return FLOW_AGAIN;
}
