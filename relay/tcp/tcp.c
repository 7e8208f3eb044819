// SPDX-License-Identifier: Apache-2.0
/* tcp.c - connections: accepting, their life and their end
 *
 * Theory of operation: a connection has a client side and, with `forward`, a
 * backend side. Both sockets are registered once, edge-triggered; a handler
 * notes in the side what the event says and then does all that can be done
 * (tcp_run()), until system calls would block. Only then, and so not before
 * the first bytes are on their way, is a new socket registered: what comes
 * meanwhile is reported at once. For room to write it is registered when a
 * write first finds none; most connections never do.
 *
 *	CONNECTING <-> WAITING -> OPEN -> DRAINING -> ENDING -> closed
 *
 * `respond`, `echo` and `discard` begin with OPEN. From every state
 * tcp_reset() leads out at once: errors, timeouts, and a namespace that goes.
 *
 * The end. A socket that was close(2)d gracefully lives on in the kernel as an
 * orphan until its peer has acknowledged everything. It then holds its network
 * namespace, for minutes if the peer is gone, and nobody can reach it any
 * more. So a client's socket is never closed before TCP is through with it
 * (CLOSED; TIME_WAIT is a CLOSED socket with a minisocket that holds nothing):
 * after both directions are done the connection is ENDING until tcp_done() in
 * net/ipv4/tcp.c wakes us with EPOLLHUP, or the drain timeout resets it, or the
 * namespace goes and its abort does. Most backends live in our own namespace,
 * which nobody waits for: their sockets are closed gracefully, and may end as
 * orphans. The socket to one in another namespace is kept like the client's.
 *
 * Every other end is a reset: every socket is born for that, see
 * common/stream.h, so that the kernel does the same if this process dies.
 */
#include "relay/tcp/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/ip.h"
#include "common/stream.h"
#include "common/util.h"
#include "relay/core/accept.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/backend/backend_queue.h"
#include "relay/core/listener.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/tcp/tcp_internal.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* How long a peer may acknowledge nothing of what was said to it after all is
 * done. */
#define DRAIN_TIMEOUT_US (30 * USEC_PER_SEC)

/* Deadlines */

static uint64_t conn_deadline(const struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_CONNECTING:
	case CONN_WAITING:
		return conn->active_us + conn->serving->connect_timeout_us;
	case CONN_OPEN:
		return conn->active_us + conn->serving->idle_timeout_us;
	case CONN_DRAINING:
	case CONN_ENDING:
		return conn->since_us + DRAIN_TIMEOUT_US;
	}
	return conn->since_us;
}

/* Has the peer taken something since its bytes were counted last? Yes, too, if
 * they were not counted since they were written: then they are now. */
static bool side_progressed(struct side *side)
{
	int unacked = side->fd < 0 ? 0 : stream_unacked(side->fd);
	uint32_t before = side->unacked;

	/* Fails for MPTCP before Linux 5.16. */
	side->unacked = unacked < 0 ? 0 : (uint32_t)unacked;
	if (before == UNACKED_UNKNOWN)
		return side->unacked > 0;
	return side->unacked < before;
}

/* The kernel tells nobody of what a peer takes while there is room for more
 * anyway. So it is asked when time is up, and not before. */
static bool conn_progressed(struct worker *worker, struct conn *conn)
{
	bool client = side_progressed(&conn->client);
	bool backend = side_progressed(&conn->backend);

	if (!client && !backend)
		return false;
	if (conn->state == CONN_OPEN)
		conn->active_us = worker->now_us;
	else
		conn->since_us = worker->now_us;
	return true;
}

static void conn_timer_handler(struct timer *timer, void *user_data)
{
	struct conn *conn = container_of(timer, struct conn, timer);
	struct worker *worker = user_data;
	uint64_t deadline_us = conn_deadline(conn);

	/* Activity postpones the deadline without moving the timer. */
	if (deadline_us > worker->now_us)
		timer_set(&worker->timers, timer, deadline_us);
	else if (conn->state == CONN_CONNECTING || conn->state == CONN_WAITING)
		tcp_forward_timeout(worker, conn);
	else if (conn_progressed(worker, conn))
		timer_set(&worker->timers, timer, conn_deadline(conn));
	else
		tcp_reset(worker, conn);
}

void tcp_set_state(struct worker *worker, struct conn *conn,
		   enum conn_state state)
{
	if (state != CONN_WAITING)
		backend_queue_leave(worker, &conn->waiter);
	conn->state = (uint8_t)state;
	conn->since_us = worker->now_us;
	/* Also when it is later: many that were connected at one time would
	 * each wake an idle relay for nothing. */
	timer_set(&worker->timers, &conn->timer, conn_deadline(conn));
}

/* The end */

void tcp_close_backend(struct worker *worker, struct conn *conn, bool reset)
{
	struct side *backend = &conn->backend;
	bool hard = backend->hard;
	int fd = TAKE_FD(backend->fd);

	tcp_drop(worker, conn, backend);
	conn->own = own_socket_free(conn->own);
	/* berthd may not have closed its copy of a socket that it made. */
	if (conn->mint && backend->watched)
		worker_unwatch(worker, fd);
	*backend = (struct side){ .fd = -1 };
	if (fd >= 0 && reset)
		stream_reset(fd);
	else if (fd >= 0 && hard)
		stream_close(fd);
	else if (fd >= 0)
		(void)close(fd); /* nothing is left that could fail */
	admission_give_port(conn->share->listener->netns, conn->ports);
	conn->ports = 0;
	tcp_forward_forget(worker, conn);
}

/* Frees all but the client's socket, which the caller closed. */
static void conn_free(struct worker *worker, struct conn *conn)
{
	struct share *share = conn->share;

	conn->client.poll.handler = NULL;
	conn->backend.poll.handler = NULL;
	backend_queue_leave(worker, &conn->waiter);
	tcp_drop(worker, conn, &conn->client);
	timers_unreserve(&worker->timers, &conn->timer);
	conn->serving = serving_unref(conn->serving);
	counters_add(share_counters(share), COUNTER_ENDED, 1);
	admit_give(share, conn->n_fds);
	load_add_conns(&worker->load, -1);
	DL_DELETE(share->conns, conn);
	DL_DELETE2(worker->conns, conn, all_prev, all_next);
	worker_bury(worker, &conn->grave);
	if (!share->withdrawn)
		share_unpark(worker, share);
	else if (!share->conns)
		share_ended(worker, share);
}

void tcp_reset(struct worker *worker, struct conn *conn)
{
	tcp_close_backend(worker, conn, /* reset= */ true);
	stream_reset(TAKE_FD(conn->client.fd));
	conn_free(worker, conn);
}

bool tcp_is_dead(const struct conn *conn)
{
	return !conn->client.poll.handler;
}

static void conn_close_if_through(struct worker *worker, struct conn *conn)
{
	if (!stream_is_through(conn->client.fd) ||
	    (conn->backend.fd >= 0 && !stream_is_through(conn->backend.fd)))
		return;
	tcp_close_backend(worker, conn, /* reset= */ false);
	(void)close(TAKE_FD(conn->client.fd)); /* the kernel is through */
	conn_free(worker, conn);
}

void tcp_end(struct worker *worker, struct conn *conn)
{
	tcp_shut(&conn->client);
	if (conn->backend.fd >= 0 && !tcp_forward_pins(conn)) {
		tcp_close_backend(worker, conn, /* reset= */ false);
		conn->n_fds--;
		admit_give_fds(conn->share, 1);
	}
	tcp_set_state(worker, conn, CONN_ENDING);
	conn_close_if_through(worker, conn);
	/* From here on nothing more is written: who takes nothing for as long
	 * as it may is reset at once. */
	if (!tcp_is_dead(conn))
		(void)conn_progressed(worker, conn);
}

/* Life */

static enum tcp_result conn_drain(struct worker *worker, struct conn *conn)
{
	enum tcp_result result = tcp_sink(worker, conn, &conn->client);

	if (result == TCP_WAITS && conn->client.eof)
		tcp_end(worker, conn);
	return result;
}

static enum tcp_result conn_step(struct worker *worker, struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_CONNECTING:
	case CONN_WAITING:
		return TCP_WAITS;
	case CONN_OPEN:
		return conn->serving->action == SERVICE_FORWARD
			       ? tcp_forward_run(worker, conn)
			       : tcp_respond_run(worker, conn);
	case CONN_DRAINING:
		return conn_drain(worker, conn);
	case CONN_ENDING:
		conn_close_if_through(worker, conn);
		return TCP_WAITS;
	}
	return TCP_FAILED;
}

static int side_watch(struct worker *worker, struct side *side)
{
	bool out = !side->writable && !side->broken;

	if (side->fd < 0 || (side->watched && (side->watched_out || !out)))
		return 0;
	side->watched_out = out;
	if (side->watched)
		return worker_watch_more(worker, side->fd,
					 TCP_EVENTS | EPOLLOUT, &side->poll);
	side->watched = true;
	return worker_watch(worker, side->fd,
			    out ? TCP_EVENTS | EPOLLOUT : TCP_EVENTS,
			    &side->poll);
}

/* Waits for events of both sides. */
static void conn_watch(struct worker *worker, struct conn *conn)
{
	int r = side_watch(worker, &conn->backend);

	if (r == 0)
		r = side_watch(worker, &conn->client);
	if (r == 0)
		return;
	if (worker_may_log(worker, conn->share->listener, NULL))
		log_warning_errno(r, "%s: resetting a connection",
				  conn->share->listener->label);
	tcp_reset(worker, conn);
}

static void conn_again(struct worker *worker, struct conn *conn)
{
	if (conn->queued)
		return;
	conn->queued = true;
	conn->next_ready = NULL;
	if (worker->ready)
		worker->last_ready->next_ready = conn;
	else
		worker->ready = conn;
	worker->last_ready = conn;
}

void tcp_run(struct worker *worker, struct conn *conn)
{
	if (admit_turn_is_over(worker, conn->share)) {
		conn_again(worker, conn);
		return;
	}
	switch (conn_step(worker, conn)) {
	case TCP_WAITS:
		if (!tcp_is_dead(conn))
			conn_watch(worker, conn);
		return;
	case TCP_AGAIN:
		conn_again(worker, conn);
		return;
	case TCP_FAILED:
		tcp_reset(worker, conn);
		return;
	}
}

/* Those that need another turn queue again. */
static void tcp_run_ready(struct worker *worker)
{
	struct conn *conn = TAKE_PTR(worker->ready), *next;

	for (; conn; conn = next) {
		next = conn->next_ready;
		conn->queued = false;
		if (!tcp_is_dead(conn))
			tcp_run(worker, conn);
	}
}

void tcp_note(struct side *side, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->hangup = true;
	if (events & EPOLLPRI)
		side->urgent = true;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		side->writable = true;
}

static void client_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events)
{
	struct conn *conn = container_of(pollable, struct conn, client.poll);

	tcp_note(&conn->client, events);
	tcp_run(worker, conn);
	/* What could still be read was passed on; now the reset is, even if
	 * the other side is too slow to let us read as far as to it. */
	if (!tcp_is_dead(conn) && (events & EPOLLERR))
		tcp_reset(worker, conn);
}

/* The beginning */

static int conn_new(struct worker *worker, struct share *share, int fd,
		    struct conn **ret_conn)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return -ENOMEM;
	r = timers_reserve(&worker->timers);
	if (r < 0) {
		free(conn);
		return r;
	}
	conn->timer.handler = conn_timer_handler;
	conn->share = share;
	conn->serving = serving_ref(share->serving);
	conn->active_us = worker->now_us;
	conn->client.poll.handler = client_handler;
	conn->client.fd = fd;
	conn->client.no_delay = true; /* the listener's */
	conn->client.readable = true; /* perhaps, and soon in any case */
	conn->client.writable = true;
	conn->backend.fd = -1;
	*ret_conn = conn;
	return 0;
}

/* Return: as own_arrival_hops(). */
static int arrival_hops(struct share *share, int fd,
			const struct sockaddr_storage *from)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	struct own_arrival arrival;
	struct ip_addr to;

	/* A chain ends with other actions. */
	if (share->serving->action != SERVICE_FORWARD ||
	    !own_sockets_any(PROTOCOL_TCP) ||
	    ip_addr_from_sockaddr(from, &arrival.from, &arrival.from_port) < 0)
		return 0;
	(void)getsockname(fd, (struct sockaddr *)&sa, &len);
	arrival.to = &to;
	arrival.n_to = ip_addr_from_sockaddr(&sa, &to, NULL) == 0 ? 1 : 0;
	return share_arrival_hops(share, &arrival);
}

static void conn_refuse(struct share *share, int fd)
{
	stream_reset(fd);
	admit_give(share, admit_fds(share));
}

static void tcp_accepted(struct worker *worker, struct share *share, int fd,
			 const struct sockaddr_storage *from)
{
	int hops = arrival_hops(share, fd, from);
	struct conn *conn;
	int r;

	if (hops < 0) {
		conn_refuse(share, fd);
		return;
	}
	r = conn_new(worker, share, fd, &conn);
	if (r < 0) {
		if (worker_may_log(worker, share->listener, NULL))
			log_warning_errno(r, "%s: resetting a connection",
					  share->listener->label);
		conn_refuse(share, fd);
		return;
	}
	/* What an MPTCP listener passes on to clients of TCP lacks it. */
	if (share->listener->protocol == PROTOCOL_MPTCP)
		(void)stream_set_inline(fd, true); /* fails for the others */
	conn->hops = (uint8_t)hops;
	share_accepted(share);
	conn->n_fds = (uint8_t)admit_fds(share);
	load_add_conns(&worker->load, 1);
	DL_APPEND(share->conns, conn);
	DL_APPEND2(worker->conns, conn, all_prev, all_next);
	if (conn->serving->action == SERVICE_FORWARD) {
		tcp_forward_begin(worker, conn);
	} else {
		tcp_set_state(worker, conn, CONN_OPEN);
		tcp_run(worker, conn);
	}
}

static void tcp_abort(struct worker *worker, struct share *share)
{
	struct conn *conn, *next;

	DL_FOREACH_SAFE (share->conns, conn, next)
		tcp_reset(worker, conn);
}

/* The newest, because the table was not full before it came. */
static bool tcp_shed(struct worker *worker)
{
	struct conn *oldest = worker->conns;

	if (!oldest)
		return false;
	tcp_reset(worker, oldest->all_prev); /* the ring's end */
	return true;
}

static void tcp_stop(struct worker *worker)
{
	while (tcp_shed(worker))
		;
}

/* Accepted sockets inherit the option. MPTCP knows it since Linux 5.17. */
static void tcp_prepare(int fd)
{
	static const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

const struct relay_protocol tcp_protocol = {
	.client_fds = 1,
	.prepare = tcp_prepare,
	.readable = accept_readable,
	.accepted = tcp_accepted,
	.abort = tcp_abort,
	.run_ready = tcp_run_ready,
	.shed = tcp_shed,
	.stop = tcp_stop,
};

const struct relay_protocol mptcp_protocol = {
	.client_fds = 1,
	.prepare = tcp_prepare,
	.readable = accept_readable,
	.accepted = tcp_accepted,
	.abort = tcp_abort,
};
