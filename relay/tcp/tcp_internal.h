/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_internal.h - a connection, for the files tcp*.c */
#ifndef RELAY_TCP_TCP_INTERNAL_H
#define RELAY_TCP_TCP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/ip.h"
#include "relay/core/buffer.h"
#include "relay/core/flow.h"
#include "relay/core/pipe.h"
#include "relay/core/pollable.h"

struct serving;
struct sockaddr_storage;
struct tcp_request;
struct worker;

/**
 * struct side - one socket of a connection, registered edge-triggered
 * @rest:	bytes that were read from this side and wait to be written to
 *the other; NULL: none
 * @pipe:	the same, with bytes that splice(2) took, which come after @rest
 * @fd:		the socket; -1: none
 * @error:	errno of a write to the backend before it was connected
 * @unacked:	how many of our bytes the peer had not acknowledged when they
 *		were last counted; UNACKED_UNKNOWN: since then more was written
 * @n_long:	bytes that came in long reads, one after the other
 * @n_short:	how many splices, one after the other, brought little
 * @no_delay:	TCP_NODELAY is set, or the socket has no such option
 * @spoken:	something was written to the socket
 * @splicing:	a long transfer: bytes go through a pipe
 * @no_splice:	splicing was tried, and one of the two sockets cannot
 * @hard:	close(2) resets the socket, see common/stream.h
 * @watched:	the socket is in the epoll set
 * @watched_out: it is there for room to write, too
 * @readable, @writable: as far as is known; a system call that would block
 *		clears them, an event sets them
 * @urgent:	a mark of urgent data was announced. A read ends before it,
 *		however much is behind it. Set until nothing is left to read.
 * @hangup:	the peer's end was announced: read on until it comes
 * @eof:	the peer's end was read
 * @shut:	we ended what we send to the peer
 * @broken:	the peer takes nothing any more: bytes for it are dropped
 * @cut_off:	the side is @broken although the peer's end was not announced,
 *		and nothing of what the peer sent was read since
 */
struct side {
	struct pollable poll;
	struct buffer *rest;
	struct pipe *pipe;
	int fd;
	int error;
	uint32_t unacked;
	uint32_t n_long;
	uint8_t n_short;
	bool no_delay;
	bool spoken;
	bool splicing;
	bool no_splice;
	bool hard;
	bool watched;
	bool watched_out;
	bool readable;
	bool writable;
	bool urgent;
	bool hangup;
	bool eof;
	bool shut;
	bool broken;
	bool cut_off;
};

#define UNACKED_UNKNOWN UINT32_MAX

/**
 * struct conn - see tcp.c
 * @request:	what is known of the client's request while that is read; else
 *		NULL
 * @from, @from_port: the client, if its request is read
 * @is_head:	the request is a HEAD request
 * @answering:	it is settled who answers the request, a backend or we
 */
struct conn {
	struct flow flow;
	struct side client;
	struct side backend;
	struct tcp_request *request;
	struct ip_addr from;
	uint16_t from_port;
	bool is_head;
	bool answering;
};

/* What sockets are registered for. EPOLLOUT comes with the first write that
 * finds no room: with it, a socket that has room would be reported at once. */
#define TCP_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* tcp.c */

/** tcp_end() - closes a connection whose directions have both ended, as soon as
 * the kernel is through with it. @conn may be dead afterwards. */
void tcp_end(struct worker *worker, struct conn *conn);

/* tcp_pump.c */

/**
 * tcp_pump() - moves bytes from @src to @dst until one of them blocks
 * @dst:	may be @src, for echo
 *
 * Passes on the end of what @src sends, too. Return: what the flow does next.
 */
enum flow_result tcp_pump(struct worker *worker, struct conn *conn,
			  struct side *src, struct side *dst);

/**
 * tcp_pump_first() - passes on the first bytes of @src
 *
 * Return: FLOW_AGAIN: some were there; FLOW_WAITS; FLOW_FAILED: the flow's
 * ending is BERTH_ENDING_CLIENT_RESET if writing failed, else @src has ended or
 * was reset without a byte, which @dst was not told.
 */
enum flow_result tcp_pump_first(struct worker *worker, struct conn *conn,
				struct side *src, struct side *dst);

/**
 * tcp_give_kept() - writes to @dst what was kept of @src, as far as possible,
 * and reads nothing
 *
 * Return: 0 or -errno.
 */
int tcp_give_kept(struct worker *worker, struct conn *conn, struct side *src,
		  struct side *dst);

/**
 * tcp_read() - reads from @src into @buffer
 *
 * Return: how many bytes; 0: nothing now, or the end (src->eof); -errno.
 */
ssize_t tcp_read(struct worker *worker, struct conn *conn, struct side *src,
		 void *buffer, size_t room);

/**
 * tcp_pump_early() - tries to write to a backend that may be connected or not
 *
 * Writes what was kept of the client and what it said meanwhile, and keeps the
 * rest. If the backend refused the connection, sets backend.error.
 * Return: FLOW_AGAIN: the backend took something, so it is connected;
 * FLOW_WAITS: that is not known; FLOW_FAILED.
 */
enum flow_result tcp_pump_early(struct worker *worker, struct conn *conn);

/**
 * tcp_keep() - keeps a copy of bytes for the other side
 * @side:	they were read from this one; nothing may be kept of it yet
 * @len:	at most BUFFER_MAX_BYTES
 *
 * Return: 0 or -ENOMEM.
 */
int tcp_keep(struct worker *worker, struct conn *conn, struct side *side,
	     const void *data, size_t len);

/** tcp_count_kept() - counts @buffer for the namespace; tcp_forget() gives it
 * back. Afterwards it may be kept of a side. */
void tcp_count_kept(struct conn *conn, const struct buffer *buffer);

/** tcp_forget() - frees a buffer that was counted. Returns NULL; NULL is fine.
 */
struct buffer *tcp_forget(struct worker *worker, struct conn *conn,
			  struct buffer *buffer);

/** tcp_drop() - forgets what is kept of @side */
void tcp_drop(struct worker *worker, struct conn *conn, struct side *side);

/**
 * tcp_send() - writes to @dst
 *
 * Every write to a socket goes this way, but for splice(2): it sets TCP_NODELAY
 * in time. Return: how many bytes were taken, or -errno.
 */
ssize_t tcp_send(struct side *dst, const void *data, size_t len);

/** tcp_sink() - reads from @src and forgets it. Return: what the flow does
 * next. */
enum flow_result tcp_sink(struct worker *worker, struct conn *conn,
			  struct side *src);

/** tcp_shut() - tells the peer of @side, once, that nothing more comes */
void tcp_shut(struct side *side);

/* tcp_introduce.c */

/**
 * tcp_proxy_header() - writes to @buffer the header of the PROXY protocol that
 * a backend of @serving gets
 *
 * Return: its length, 0 if it gets none; -errno: the client is gone.
 */
ssize_t tcp_proxy_header(const struct conn *conn, const struct serving *serving,
			 uint8_t *buffer, size_t size);

/**
 * tcp_introduce() - keeps what a backend has to be told of the client first,
 * the PROXY protocol's header, as if the client had said it
 *
 * Return: 0; -errno: the client is gone, or memory is out.
 */
int tcp_introduce(struct worker *worker, struct conn *conn);

/**
 * tcp_introduce_anew() - keeps what the rule says now instead
 * @old:	what conn.flow.serving was before
 *
 * No backend may have taken anything yet. Return: 0; -errno: the client is
 * gone, or there is no memory or room.
 */
int tcp_introduce_anew(struct worker *worker, struct conn *conn,
		       const struct serving *old);

/* tcp_http.c */

/**
 * tcp_http_begin() - reads the request of a client
 * @from:	its address
 *
 * The flow may be dead afterwards.
 */
void tcp_http_begin(struct worker *worker, struct conn *conn,
		    const struct sockaddr_storage *from);

/** tcp_http_read() - reads on; asks a backend when the request is whole. The
 * flow may be dead afterwards. Return: what it does next. */
enum flow_result tcp_http_read(struct worker *worker, struct conn *conn);

/** tcp_http_run() - passes on the rest of the request, and the answer. The flow
 * may be dead afterwards. Return: what it does next. */
enum flow_result tcp_http_run(struct worker *worker, struct conn *conn);

/** tcp_http_late() - the request, or the answer, did not come in time */
void tcp_http_late(struct worker *worker, struct conn *conn);

/** tcp_http_unreachable() - no backend was reached, because of @ending */
void tcp_http_unreachable(struct worker *worker, struct conn *conn,
			  enum berth_ending ending);

/** tcp_http_forget() - frees what is known of a request that is read */
void tcp_http_forget(struct worker *worker, struct conn *conn);

/* tcp_respond.c */

/** tcp_respond_run() - serves the client of an open flow that is not forwarded:
 * text, echo, discard. Return: what the flow does next. */
enum flow_result tcp_respond_run(struct worker *worker, struct conn *conn);

#endif
