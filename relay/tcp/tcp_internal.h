/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_internal.h - a connection, for the files tcp*.c */
#ifndef RELAY_TCP_TCP_INTERNAL_H
#define RELAY_TCP_TCP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/core/buffer.h"
#include "relay/core/flow.h"
#include "relay/core/pipe.h"
#include "relay/core/pollable.h"

struct serving;
struct worker;

/**
 * struct side - one socket of a connection, registered edge-triggered
 * @rest:	was read from this side and waits to be written to the other
 * @pipe:	the same, of what splice(2) took; after @rest
 * @fd:		-1: not there
 * @error:	errno that a write to a backend met before it was connected
 * @unacked:	bytes of ours that its peer had not acknowledged when they were
 *		counted last; UNACKED_UNKNOWN: since then more was written
 * @n_long:	bytes in a row that came in long reads
 * @n_short:	splices in a row that brought little
 * @no_delay:	TCP_NODELAY is set, or the socket has none
 * @spoken:	something was written to it
 * @splicing:	long transfer: bytes go through a pipe
 * @no_splice:	it was tried, and one of the two sockets cannot
 * @hard:	close(2) resets it, see common/stream.h
 * @watched:	it is in the epoll set
 * @watched_out: for room to write, too
 * @readable, @writable: as far as is known; a system call that would block
 *		clears them, an event sets them
 * @urgent:	a mark of urgent data was announced, which ends a read before
 *it, however much is behind it; until nothing is left
 * @hangup:	the end of what it sends is near: read on until it comes
 * @eof:	its end was read
 * @shut:	we ended what we send to it
 * @broken:	it takes nothing any more: what is meant for it is dropped
 * @cut_off:	so without that its end was announced, and nothing of what it
 *		sent was read since
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

/** struct conn - see tcp.c */
struct conn {
	struct flow flow;
	struct side client;
	struct side backend;
};

/* What sockets are registered for; EPOLLOUT comes with the first write that
 * finds no room, because a socket that has it is reported at once. */
#define TCP_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* tcp.c */

/** tcp_end() - both directions are done: closes when the kernel is through.
 * @conn may be dead afterwards. */
void tcp_end(struct worker *worker, struct conn *conn);

/* tcp_pump.c */

/**
 * tcp_pump() - moves bytes from @src to @dst until one of them blocks
 *
 * And the end of what @src sends. Both may be the same side (echo).
 */
enum flow_result tcp_pump(struct worker *worker, struct conn *conn,
			  struct side *src, struct side *dst);

/**
 * tcp_pump_early() - passes on to a backend whose connecting is not known to
 * be done what was kept for it, and what the client said by now
 *
 * Return: FLOW_AGAIN: it took some, so it is connected; FLOW_WAITS: it is not
 * known; FLOW_FAILED.
 */
enum flow_result tcp_pump_early(struct worker *worker, struct conn *conn);

/**
 * tcp_keep() - keeps a copy of what was read from @side and not written on
 * @len:	at most BUFFER_MAX_BYTES; nothing may be kept of that side yet
 *
 * Return: 0 or -ENOMEM.
 */
int tcp_keep(struct worker *worker, struct conn *conn, struct side *side,
	     const void *data, size_t len);

/** tcp_drop() - forgets what was read from @side and not written on */
void tcp_drop(struct worker *worker, struct conn *conn, struct side *side);

/**
 * tcp_send() - the one way to write to a side
 *
 * It sees to TCP_NODELAY. Return: how much was taken, or -errno.
 */
ssize_t tcp_send(struct side *dst, const void *data, size_t len);

/** tcp_sink() - reads and forgets */
enum flow_result tcp_sink(struct worker *worker, struct conn *conn,
			  struct side *src);

/** tcp_shut() - says to @side that nothing more will come */
void tcp_shut(struct side *side);

/* tcp_introduce.c */

/**
 * tcp_introduce() - keeps what any backend is to be told of the client first:
 * the PROXY protocol's header, if the rule wants it
 *
 * Return: 0; -errno: the client is gone, or memory is out.
 */
int tcp_introduce(struct worker *worker, struct conn *conn);

/**
 * tcp_introduce_anew() - the same when the rule changed, before a backend took
 * any of it
 * @old:	what conn.flow.serving was
 *
 * Return: 0; -errno: the client is gone, or there is no memory or room.
 */
int tcp_introduce_anew(struct worker *worker, struct conn *conn,
		       const struct serving *old);

/* tcp_respond.c */

/** tcp_respond_run() - while FLOW_OPEN: text, echo, discard */
enum flow_result tcp_respond_run(struct worker *worker, struct conn *conn);

#endif
