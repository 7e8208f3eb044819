/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_internal.h - a connection, for the files tcp*.c */
#ifndef RELAY_TCP_TCP_INTERNAL_H
#define RELAY_TCP_TCP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/core/buffer.h"
#include "relay/backend/failover.h"
#include "relay/core/pipe.h"
#include "relay/core/pollable.h"
#include "relay/core/timer.h"

struct backend_waiter;
struct mint;
struct own_socket;
struct serving;
struct share;
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

enum conn_state {
	CONN_CONNECTING, /* the backend's answer is awaited */
	CONN_WAITING, /* in a queue for a full backlog, or a local port */
	CONN_OPEN, /* bytes flow */
	CONN_DRAINING, /* all is said; what the client still says is dropped */
	CONN_ENDING, /* both ends were said; the kernel is not through yet */
};

/**
 * struct conn - see tcp.c
 * @prev, @next: in share.conns
 * @all_prev, @all_next: in worker.conns
 * @since_us:	beginning of @state; while draining or ending: the last time
 *that a peer was seen to have acknowledged something
 * @active_us:	last progress; while connecting: beginning with this backend
 * @sent:	bytes of serving.text that are written
 * @mint:	where @backend's socket comes from, when berthd makes it
 * @waiter:	its place in a queue while CONN_WAITING
 * @ports:	the port space that @backend has a local port of, or 0
 * @n_fds:	descriptors it holds of the limit
 * @hops:	see own_arrival_hops()
 * @own:	of @backend, if it may be a listener of the relay's; else NULL
 * @queued:	it is in worker.ready
 */
struct conn {
	struct grave grave;
	struct timer timer;
	struct share *share;
	struct serving *serving;
	struct conn *prev, *next;
	struct conn *all_prev, *all_next;
	struct conn *next_ready;
	uint64_t since_us;
	uint64_t active_us;
	struct mint *mint;
	struct backend_waiter *waiter;
	struct own_socket *own;
	struct failover failover;
	struct side client;
	struct side backend;
	uint32_t sent;
	uint32_t ports;
	uint8_t state;
	uint8_t n_fds;
	uint8_t hops;
	bool queued;
};

enum tcp_result {
	TCP_WAITS, /* for an event */
	TCP_AGAIN, /* there is more to do at once, after the others' turn */
	TCP_FAILED, /* reset the connection */
};

/* What sockets are registered for; EPOLLOUT comes with the first write that
 * finds no room, because a socket that has it is reported at once. */
#define TCP_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* tcp.c */

/** tcp_set_state() - and the deadline that goes with it */
void tcp_set_state(struct worker *worker, struct conn *conn,
		   enum conn_state state);

/** tcp_reset() - ends it at once: both peers see a reset. @conn is dead. */
void tcp_reset(struct worker *worker, struct conn *conn);

/** tcp_end() - both directions are done: closes when the kernel is through */
void tcp_end(struct worker *worker, struct conn *conn);

/** tcp_close_backend() - @reset: so that the backend sees a reset */
void tcp_close_backend(struct worker *worker, struct conn *conn, bool reset);

/** tcp_is_dead() - was it ended? */
bool tcp_is_dead(const struct conn *conn);

/** tcp_note() - writes down what epoll(7) says of a side */
void tcp_note(struct side *side, uint32_t events);

/** tcp_run() - does what can be done in the present state; @conn may be dead
 * afterwards */
void tcp_run(struct worker *worker, struct conn *conn);

/* tcp_pump.c */

/**
 * tcp_pump() - moves bytes from @src to @dst until one of them blocks
 *
 * And the end of what @src sends. Both may be the same side (echo).
 */
enum tcp_result tcp_pump(struct worker *worker, struct conn *conn,
			 struct side *src, struct side *dst);

/**
 * tcp_pump_early() - passes on to a backend whose connecting is not known to
 * be done what was kept for it, and what the client said by now
 *
 * Return: TCP_AGAIN: it took some, so it is connected; TCP_WAITS: it is not
 * known; TCP_FAILED.
 */
enum tcp_result tcp_pump_early(struct worker *worker, struct conn *conn);

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
enum tcp_result tcp_sink(struct worker *worker, struct conn *conn,
			 struct side *src);

/** tcp_shut() - says to @side that nothing more will come */
void tcp_shut(struct side *side);

/* tcp_forward.c */

/** tcp_forward_begin() - connects to a backend; @conn may be dead afterwards */
void tcp_forward_begin(struct worker *worker, struct conn *conn);

/** tcp_forward_forget() - gives up the socket that berthd makes; after it was
 * closed */
void tcp_forward_forget(struct worker *worker, struct conn *conn);

/** tcp_forward_pins() - does its backend's socket hold a namespace that may go?
 */
bool tcp_forward_pins(const struct conn *conn);

/** tcp_forward_timeout() - no backend was reached in time */
void tcp_forward_timeout(struct worker *worker, struct conn *conn);

/** tcp_forward_run() - while CONN_OPEN */
enum tcp_result tcp_forward_run(struct worker *worker, struct conn *conn);

/* tcp_respond.c */

/** tcp_respond_run() - while CONN_OPEN: text, echo, discard */
enum tcp_result tcp_respond_run(struct worker *worker, struct conn *conn);

#endif
