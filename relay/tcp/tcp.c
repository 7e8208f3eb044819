// SPDX-License-Identifier: Apache-2.0
/* tcp.c - connections: a flow with two sockets
 *
 * Theory of operation: a connection has a client side and, with `forward`, a
 * backend side. Both sockets are registered once, edge-triggered. A handler
 * notes in the side what the event says, and then does all that can be done
 * (flow_run()), until system calls would block. A new socket is registered only
 * then, so that the first bytes do not have to wait; the kernel reports at once
 * what came meanwhile. A socket is registered for room to write when a write
 * first finds none; most connections never do.
 *
 * The end. A socket that was close(2)d gracefully lives on in the kernel as an
 * orphan until its peer has acknowledged everything. The orphan holds its
 * network namespace, for minutes if the peer is gone, and nobody can reach it
 * any more. So a client's socket is closed only when TCP is through with it
 * (CLOSED; TIME_WAIT is a CLOSED socket with a minisocket that holds nothing).
 * After both directions have ended the connection is ENDING until the kernel
 * is through and wakes us with EPOLLHUP, or the drain timeout resets it, or the
 * namespace goes and the connection is aborted. Most backends live in our own
 * namespace, which nobody waits for: their sockets are closed gracefully, and
 * may end as orphans. A socket to a backend in another namespace is kept like
 * the client's.
 *
 * Every other end is a reset: every socket is born for that, see
 * common/stream.h, so that the kernel does the same if this process dies.
 */
#include "relay/tcp/tcp.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/service_http.h"
#include "common/stream.h"
#include "common/util.h"
#include "relay/core/accept.h"
#include "relay/core/admit.h"
#include "relay/backend/failover.h"
#include "relay/core/gate.h"
#include "relay/core/listener.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/tcp/tcp_internal.h"
#include "relay/core/worker.h"

static_assert(offsetof(struct conn, flow) == 0, "they are freed as one");

static const struct flow_ops tcp_flow_ops;

static struct conn *conn_of(struct flow *flow)
{
	return container_of(flow, struct conn, flow);
}

/* Progress */

/* Return: has the peer acknowledged something since its bytes were counted
 * last? Yes, too, if more was written since then and some of it is still
 * waiting; it is counted now. */
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

static bool conn_progressed(struct worker *worker, struct flow *flow)
{
	struct conn *conn = conn_of(flow);
	bool client = side_progressed(&conn->client);
	bool backend = side_progressed(&conn->backend);

	(void)worker;
	return client || backend;
}

/* The end */

static void conn_close_backend(struct worker *worker, struct flow *flow,
			       bool reset)
{
	struct conn *conn = conn_of(flow);
	struct side *backend = &conn->backend;
	bool hard = backend->hard;
	int fd = TAKE_FD(backend->fd);

	tcp_drop(worker, conn, backend);
	/* berthd may not have closed its copy of a socket that it made. */
	if (flow->upstream.minted && backend->watched)
		worker_unwatch(worker, fd);
	*backend = (struct side){ .fd = -1 };
	if (fd >= 0 && reset)
		stream_reset(fd);
	else if (fd >= 0 && hard)
		stream_close(fd);
	else if (fd >= 0)
		(void)close(fd); /* nothing is left that could fail */
}

/* A client's socket is closed gracefully only when the kernel is through. */
static void conn_close(struct worker *worker, struct flow *flow, bool reset)
{
	struct conn *conn = conn_of(flow);
	int fd = TAKE_FD(conn->client.fd);

	failover_close(worker, flow, reset);
	tcp_drop(worker, conn, &conn->client);
	tcp_http_forget(worker, conn);
	conn->client.poll.handler = NULL;
	if (reset)
		stream_reset(fd);
	else
		(void)close(fd); /* nothing is left that could fail */
}

static void conn_end_if_through(struct worker *worker, struct conn *conn)
{
	if (!stream_is_through(conn->client.fd) ||
	    (conn->backend.fd >= 0 && !stream_is_through(conn->backend.fd)))
		return;
	flow_end(worker, &conn->flow, /* reset= */ false);
}

void tcp_end(struct worker *worker, struct conn *conn)
{
	struct flow *flow = &conn->flow;

	tcp_shut(&conn->client);
	if (conn->backend.fd >= 0 && !failover_pins(flow)) {
		failover_close(worker, flow, /* reset= */ false);
		flow_give_fd(flow);
	}
	flow_set_state(worker, flow, FLOW_ENDING);
	conn_end_if_through(worker, conn);
	/* Nothing more is written from here on. Count what waits, so that a
	 * peer that takes nothing is reset after one timeout, not two. */
	if (!flow_is_dead(flow))
		(void)conn_progressed(worker, flow);
}

/* Life */

static enum flow_result conn_forward(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client, *backend = &conn->backend;
	enum flow_result up, down;

	up = tcp_pump(worker, conn, client, backend);
	down = tcp_pump(worker, conn, backend, client);
	if (up == FLOW_FAILED || down == FLOW_FAILED)
		return FLOW_FAILED;
	if (backend->eof && client->shut) {
		if (client->eof && backend->shut) {
			tcp_end(worker, conn);
			return FLOW_WAITS;
		}
		if (backend->broken) {
			flow_set_state(worker, &conn->flow, FLOW_DRAINING);
			return FLOW_AGAIN;
		}
	}
	return up == FLOW_AGAIN || down == FLOW_AGAIN ? FLOW_AGAIN : FLOW_WAITS;
}

static enum flow_result conn_drain(struct worker *worker, struct conn *conn)
{
	enum flow_result result = tcp_sink(worker, conn, &conn->client);

	if (result == FLOW_WAITS && conn->client.eof)
		tcp_end(worker, conn);
	return result;
}

static enum flow_result conn_advance(struct worker *worker, struct conn *conn)
{
	switch ((enum flow_state)conn->flow.state) {
	case FLOW_READING:
		return tcp_http_read(worker, conn);
	case FLOW_CONNECTING:
	case FLOW_WAITING:
		return FLOW_WAITS;
	case FLOW_ASKED:
	case FLOW_OPEN:
		if (conn->flow.serving->http)
			return tcp_http_run(worker, conn);
		return conn->flow.serving->action == SERVICE_FORWARD
			       ? conn_forward(worker, conn)
			       : tcp_respond_run(worker, conn);
	case FLOW_DRAINING:
		return conn_drain(worker, conn);
	case FLOW_ENDING:
		conn_end_if_through(worker, conn);
		return FLOW_WAITS;
	}
	return FLOW_FAILED;
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
static enum flow_result conn_watch(struct worker *worker, struct conn *conn)
{
	int r = side_watch(worker, &conn->backend);

	if (r == 0)
		r = side_watch(worker, &conn->client);
	if (r == 0)
		return FLOW_WAITS;
	share_log_refused(conn->flow.share, r);
	return FLOW_FAILED;
}

static enum flow_result conn_step(struct worker *worker, struct flow *flow)
{
	enum flow_result result = conn_advance(worker, conn_of(flow));

	if (result != FLOW_WAITS || flow_is_dead(flow))
		return result;
	return conn_watch(worker, conn_of(flow));
}

static void side_note(struct side *side, uint32_t events)
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

	side_note(&conn->client, events);
	flow_handle(worker, &conn->flow, &conn->client.fd, events,
		    BERTH_ENDING_CLIENT_RESET);
}

/* The backend */

static void conn_connected(struct flow *flow)
{
	conn_of(flow)->backend.writable = true;
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct conn *conn = container_of(pollable, struct conn, backend.poll);

	side_note(&conn->backend, events);
	failover_handle(worker, &conn->flow, &conn->backend.fd, events);
}

/* The socket is registered only after connect(2): before, it would report
 * EPOLLHUP. */
static int conn_take_socket(struct worker *worker, struct flow *flow, int fd)
{
	const struct upstream *upstream = &flow->upstream;
	struct side *backend = &conn_of(flow)->backend;
	const struct serving_backend *target =
		&flow->serving->backends[upstream->index];

	(void)worker;
	backend->fd = fd;
	backend->poll.handler = backend_handler;
	backend->no_delay = target->address->sa_family == AF_UNIX;
	backend->hard = !backend->no_delay;
	return 0;
}

/* A backend on this host is connected before connect(2) returns, although the
 * kernel says EINPROGRESS. If the client has said something by now, writing
 * that shows whether the backend is connected, and saves a wake-up. */
static void conn_connecting(struct worker *worker, struct flow *flow,
			    bool connected)
{
	struct conn *conn = conn_of(flow);
	enum flow_result result = tcp_pump_early(worker, conn);

	if (result == FLOW_FAILED)
		flow_reset(worker, flow);
	else if (connected || result == FLOW_AGAIN)
		failover_reached(worker, flow);
	else if (conn->backend.error)
		failover_missed(worker, flow, conn->backend.error);
	else
		failover_await(worker, flow);
}

static int conn_client_address(const struct flow *flow,
			       struct ip_addr *ret_addr)
{
	const struct conn *conn = container_of(flow, struct conn, flow);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getpeername(conn->client.fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ip_addr_from_sockaddr(&sa, ret_addr, NULL);
}

/* Of a client that is gone the kernel knows no address. */
static void conn_describe(const struct flow *flow, struct roster_record *record)
{
	int fd = container_of(flow, struct conn, flow)->client.fd;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (!flow->client && getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		(void)ip_addr_from_sockaddr(&sa, &record->client,
					    &record->client_port);
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		(void)ip_addr_from_sockaddr(&sa, &record->local,
					    &record->local_port);
}

/* A request was changed as the old rule says, and the client's own is not there
 * any more. */
static int conn_renewed(struct worker *worker, struct flow *flow,
			const struct serving *old)
{
	if (old->http || flow->serving->http) {
		flow_note_failure(flow, BERTH_ENDING_RULE_CHANGED);
		return -ESTALE;
	}
	return tcp_introduce_anew(worker, conn_of(flow), old);
}

static void conn_late(struct worker *worker, struct flow *flow)
{
	tcp_http_late(worker, conn_of(flow));
}

static void conn_unreachable(struct worker *worker, struct flow *flow,
			     enum berth_ending ending)
{
	if (flow->serving->http && ending != BERTH_ENDING_CLIENT_RESET)
		tcp_http_unreachable(worker, conn_of(flow), ending);
	else
		flow_reset_for(worker, flow, ending);
}

/* A client that has ended, and perhaps is gone, does not hold a backend that
 * answers no more and ends not. */
static uint64_t conn_stalled_until(const struct flow *flow)
{
	const struct conn *conn = container_of(flow, const struct conn, flow);
	const struct service_http *http = flow->serving->http;

	return http && conn->client.hangup
		       ? flow->active_us +
				 http->response_timeout_ms * USEC_PER_MSEC
		       : TIMERS_NEVER;
}

static const struct flow_ops tcp_flow_ops = {
	.size = sizeof(struct conn),
	.step = conn_step,
	.close = conn_close,
	.progressed = conn_progressed,
	.stalled_until = conn_stalled_until,
	.connect_timeout = failover_timeout,
	.late = conn_late,
	.unreachable = conn_unreachable,
	.client_address = conn_client_address,
	.take_socket = conn_take_socket,
	.connecting = conn_connecting,
	.connected = conn_connected,
	.close_backend = conn_close_backend,
	.describe = conn_describe,
	.renewed = conn_renewed,
};

/* The beginning */

/* Return: as own_arrival_hops(). */
static int arrival_hops(struct share *share, int fd,
			const struct sockaddr_storage *from)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	struct own_arrival arrival;
	struct ip_addr to;

	/* Only a listener that forwards can be part of a circle. */
	if (share->serving->action != SERVICE_FORWARD ||
	    !own_sockets_any(PROTOCOL_TCP) ||
	    ip_addr_from_sockaddr(from, &arrival.from, &arrival.from_port) < 0)
		return 0;
	(void)getsockname(fd, (struct sockaddr *)&sa, &len);
	arrival.to = &to;
	arrival.n_to = ip_addr_from_sockaddr(&sa, &to, NULL) == 0 ? 1 : 0;
	return share_arrival_hops(share, &arrival);
}

/* Return: does the rule serve the client? If not, it is reset. */
static bool tcp_admit(struct worker *worker, struct flow *flow,
		      const struct sockaddr_storage *from)
{
	struct ip_addr client = { .family = AF_UNSPEC };
	bool known = ip_addr_from_sockaddr(from, &client, NULL) == 0;

	return gate_flow(worker, flow, &client, known ? 1 : 0);
}

static int tcp_accepted(struct worker *worker, struct share *share, int fd,
			const struct sockaddr_storage *from)
{
	int hops = arrival_hops(share, fd, from);
	struct flow *flow;
	struct side *client;

	if (hops < 0)
		return hops;
	flow = flow_new(worker, share, &tcp_flow_ops);
	if (!flow)
		return -ENOMEM;
	/* A client that speaks plain TCP to an MPTCP listener gets a socket
	 * that has not inherited the option. */
	if (share->listener->protocol == PROTOCOL_MPTCP)
		(void)stream_set_inline(fd,
					true); /* fails for clients of MPTCP */
	flow->upstream.hops = (uint8_t)hops;
	if (flow->client)
		(void)ip_addr_from_sockaddr(from, &flow->client->addr,
					    &flow->client->port);
	conn_of(flow)->backend.fd = -1;
	client = &conn_of(flow)->client;
	client->poll.handler = client_handler;
	client->fd = fd;
	client->no_delay = true; /* the listener's */
	client->readable = true; /* perhaps, and soon in any case */
	client->writable = true;
	if (!tcp_admit(worker, flow, from))
		return 0;
	if (flow->serving->http)
		tcp_http_begin(worker, conn_of(flow), from);
	else if (flow->serving->action == SERVICE_FORWARD &&
		 tcp_introduce(worker, conn_of(flow)) < 0)
		flow_reset(worker, flow);
	else
		failover_begin(worker, flow);
	return 0;
}

/* Accepted sockets inherit the option. MPTCP knows it since Linux 5.17. */
static void tcp_prepare(int fd)
{
	static const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

const struct relay_protocol tcp_protocol = {
	.client_fds = 1,
	.gives_up = "resetting the client",
	.prepare = tcp_prepare,
	.readable = accept_readable,
	.drain = accept_rest,
	.accepted = tcp_accepted,
	.abort = flow_share_abort,
};

const struct relay_protocol mptcp_protocol = {
	.client_fds = 1,
	.gives_up = "resetting the client",
	.prepare = tcp_prepare,
	.readable = accept_readable,
	.drain = accept_rest,
	.accepted = tcp_accepted,
	.abort = flow_share_abort,
};
