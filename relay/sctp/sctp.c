// SPDX-License-Identifier: Apache-2.0
/* sctp.c - SCTP associations: a flow of messages
 *
 * Theory of operation: a relayed association has a client side and, with
 * `forward`, a backend side, which is an association too or a stream. The relay
 * reads whole messages, each with its stream, payload protocol id and order,
 * and sends them on as they are. If it cannot, it aborts the association:
 * no message is cut, and none goes missing in the middle.
 *
 * The end. SCTP has no half-closed state: whoever gets a SHUTDOWN can send
 * nothing more. So when one side ends, what it sent before is passed on and the
 * other side is shut as well. What that one still says is dropped, unless it is
 * a stream's last words to a client that still listens. A client's socket that
 * is closed politely lives on in the kernel until its peer has acknowledged
 * all, and holds its network namespace meanwhile. So it is closed only when its
 * association is gone, or aborted after the drain timeout. The same is true of
 * a socket to a backend in another namespace, which berthd makes, see minted.c.
 *
 * An association whose lifetime is over ends so, too, as if both sides had said
 * their last.
 *
 * Every other end is an abort: every socket is born for that, see
 * common/stream.h, so that the kernel does the same if this process dies.
 *
 * A client's host may lose its state, and connect from the same port again
 * before its old association is given up. The new association takes the old
 * one over: the kernel keeps the socket, and says that the peer restarted,
 * between the data of both lives. The relay serves such a client as a new one.
 * When a backend restarts, both sides are aborted: its client has to begin
 * anew, and only the client can.
 *
 * A one-to-one socket has one association. A one-to-many socket is shared by
 * all associations of its listener: see sctp_shared.c.
 */
#include "relay/sctp/sctp.h"

#include <assert.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "common/stream.h"
#include "common/util.h"
#include "relay/core/accept.h"
#include "relay/core/admission.h"
#include "relay/core/access_log.h"
#include "relay/core/admit.h"
#include "relay/backend/failover.h"
#include "relay/core/gate.h"
#include "relay/core/listener.h"
#include "relay/core/own_sockets.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* How long one association may keep the others of its socket waiting while it
 * takes nothing. */
#define STALL_TIMEOUT_US (30 * USEC_PER_SEC)

static_assert(offsetof(struct sctp_conn, flow) == 0, "they are freed as one");

static struct sctp_conn *conn_of(struct flow *flow)
{
	return container_of(flow, struct sctp_conn, flow);
}

struct budget *sctp_conn_budget(const struct sctp_conn *conn)
{
	struct worker *worker = conn->flow.share->worker;

	return admission_messages(conn->flow.share->listener->netns,
				  worker->index, &worker->messages);
}

/* Progress */

/* Return: was something sent to the peer of @side that it has not
 * acknowledged? */
static bool side_holds(const struct sctp_conn *conn,
		       const struct sctp_side *side)
{
	return side->kind == SCTP_SIDE_SHARED ? conn->in_kernel > 0
					      : sctp_socket_holds(side->fd);
}

/* Return: has the peer of @side acknowledged something since this was asked
 * last? Yes, too, if more was sent since then and some of it is still waiting.
 */
static bool side_progressed(const struct sctp_conn *conn,
			    struct sctp_side *side)
{
	uint64_t before = side->taken;
	int unacked;

	if (side->fd < 0)
		return false;
	if (side->kind == SCTP_SIDE_STREAM) {
		unacked = stream_unacked(side->fd);
		side->taken = unacked < 0 ? 0 : (uint64_t)unacked;
		return before == SCTP_TAKEN_UNKNOWN ? side->taken > 0
						    : side->taken < before;
	}
	side->taken = sctp_socket_taken(side->fd, side->assoc_id);
	return before == SCTP_TAKEN_UNKNOWN ? side_holds(conn, side)
					    : side->taken != before;
}

static uint64_t conn_stalled_until(const struct flow *flow)
{
	const struct sctp_conn *conn =
		container_of(flow, struct sctp_conn, flow);

	return conn->stalled_us ? conn->stalled_us + STALL_TIMEOUT_US
				: TIMERS_NEVER;
}

/* The association is about to be aborted, and nothing else would tell why. */
static void log_stalled(struct worker *worker, const struct flow *flow)
{
	if (worker_may_log(worker, flow->share->listener, NULL))
		log_warning_about(
			&flow->share->listener->about,
			"%s: aborting an association: it holds the buffers "
			"that all of the listener's share",
			flow->share->listener->label);
}

static bool conn_progressed(struct worker *worker, struct flow *flow)
{
	struct sctp_conn *conn = conn_of(flow);
	bool client = side_progressed(conn, &conn->client);
	bool backend = side_progressed(conn, &conn->backend);
	bool progressed = client || backend;

	/* A full queue waits for the backend; with echo, for the client. */
	if (conn->full && conn->backend.fd >= 0)
		client = backend;
	if (conn->stalled_us && client)
		conn->stalled_us = worker->now_us;
	if (flow->state == FLOW_OPEN && conn->stalled_us &&
	    (!progressed || conn_stalled_until(flow) <= worker->now_us))
		log_stalled(worker, flow);
	return progressed;
}

void sctp_conn_stalls(struct worker *worker, struct sctp_conn *conn,
		      bool stalls)
{
	if (!stalls) {
		conn->stalled_us = 0;
	} else if (!conn->stalled_us) {
		conn->stalled_us = worker->now_us;
		flow_hasten(worker, &conn->flow);
	}
}

/* The end */

static void side_close(struct sctp_side *side, bool abort)
{
	int fd = TAKE_FD(side->fd);

	if (fd >= 0 && abort)
		stream_reset(fd);
	else if (fd >= 0)
		stream_close(fd);
}

static void side_forget(struct sctp_conn *conn, struct sctp_side *side)
{
	struct budget *budget = sctp_conn_budget(conn);

	side->partial = sctp_message_free(budget, side->partial);
	(void)sctp_queue_clear(budget, &side->queue);
}

static void conn_forget_backend(struct sctp_conn *conn)
{
	conn->backend = (struct sctp_side){
		.fd = -1,
		.limits.max_bytes = SCTP_MESSAGE_MAX, /* until it is known */
	};
}

static void conn_close_backend(struct worker *worker, struct flow *flow,
			       bool reset)
{
	struct sctp_conn *conn = conn_of(flow);
	struct sctp_side *backend = &conn->backend;

	side_forget(conn, backend);
	/* berthd may not have closed its copy of a socket that it made. */
	if (flow->upstream.minted && backend->poll.handler)
		worker_unwatch(worker, backend->fd);
	side_close(backend, reset);
	conn_forget_backend(conn);
}

static void conn_close(struct worker *worker, struct flow *flow, bool reset)
{
	struct sctp_conn *conn = conn_of(flow);
	struct sctp_side *client = &conn->client;

	failover_close(worker, flow, reset);
	side_forget(conn, client);
	client->poll.handler = NULL;
	if (client->kind != SCTP_SIDE_SHARED) {
		side_close(client, reset);
		return;
	}
	if (reset && !client->gone)
		sctp_socket_abort(client->fd, client->assoc_id);
	sctp_shared_remove(worker, conn);
	client->fd = -1;
}

/* Return: has the kernel nothing left to do for this side? */
static bool side_is_gone(const struct sctp_side *side)
{
	switch ((enum sctp_side_kind)side->kind) {
	case SCTP_SIDE_OWN:
		return sctp_socket_is_gone(side->fd);
	case SCTP_SIDE_SHARED:
		return side->gone;
	case SCTP_SIDE_STREAM:
		return stream_is_through(side->fd);
	}
	return true;
}

/* Return: is the conn dead now? */
static bool conn_end_if_through(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_side *client = &conn->client, *backend = &conn->backend;
	struct flow *flow = &conn->flow;

	if (flow->state == FLOW_OPEN &&
	    (client->eof || (backend->fd >= 0 && backend->eof)))
		flow_set_state(worker, flow, FLOW_ENDING);
	if (!sctp_side_done(client) ||
	    (backend->fd >= 0 && !sctp_side_done(backend)))
		return false;
	sctp_side_shut(client);
	if (!side_is_gone(client))
		return false;
	if (failover_pins(flow)) {
		sctp_side_shut(backend);
		if (!side_is_gone(backend))
			return false;
	}
	flow_end(worker, flow, /* reset= */ false);
	return true;
}

/* Messages are whole, so an end in order, unlike that of a stream, passes none
 * off as something that it is not: what was read is passed on, and both sides
 * are shut. */
static void conn_expire(struct worker *worker, struct flow *flow)
{
	conn_of(flow)->expired = true;
	flow_set_state(worker, flow, FLOW_ENDING);
	flow_run(worker, flow);
}

/* Life */

static enum flow_result conn_forward(struct worker *worker,
				     struct sctp_conn *conn)
{
	enum flow_result up, down;

	up = sctp_pump(worker, conn, &conn->client, &conn->backend);
	if (up == FLOW_FAILED)
		return up;
	down = sctp_pump(worker, conn, &conn->backend, &conn->client);
	return down == FLOW_WAITS ? up : down;
}

/* Return: 0: all is said; -EAGAIN; -errno. A long text is several messages. */
static int respond_say(struct worker *worker, struct sctp_conn *conn)
{
	static const struct sctp_label label = { .sid = 0 };
	const struct serving *serving = conn->flow.serving;
	size_t len;
	ssize_t n;

	while (conn->flow.sent < serving->text_len) {
		len = serving->text_len - conn->flow.sent;
		if (len > conn->client.limits.max_bytes)
			len = conn->client.limits.max_bytes;
		n = sctp_pump_give(
			worker, conn, &conn->client, &label,
			(const uint8_t *)serving->text + conn->flow.sent, len);
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		conn->flow.sent += (uint32_t)n;
	}
	return 0;
}

static enum flow_result conn_respond(struct worker *worker,
				     struct sctp_conn *conn)
{
	int r = respond_say(worker, conn);

	if (r < 0 && r != -EAGAIN)
		return FLOW_FAILED;
	if (r == 0 && conn->flow.state == FLOW_OPEN) {
		flow_note_end(&conn->flow, BERTH_ENDING_ANSWERED);
		sctp_side_shut(&conn->client);
		flow_set_state(worker, &conn->flow, FLOW_ENDING);
	}
	return sctp_pump(worker, conn, &conn->client, NULL);
}

static enum flow_result conn_advance(struct worker *worker,
				     struct sctp_conn *conn)
{
	switch (conn->flow.serving->action) {
	case SERVICE_FORWARD:
		return conn_forward(worker, conn);
	case SERVICE_RESPOND:
		return conn_respond(worker, conn);
	case SERVICE_ECHO:
		return sctp_pump(worker, conn, &conn->client, &conn->client);
	case SERVICE_DISCARD:
		return sctp_pump(worker, conn, &conn->client, NULL);
	case SERVICE_HANDOFF:
		break;
	}
	return FLOW_FAILED;
}

static enum flow_result conn_step(struct worker *worker, struct flow *flow)
{
	struct sctp_conn *conn = conn_of(flow);
	enum flow_result result = FLOW_WAITS;

	if (flow->state == FLOW_OPEN || flow->state == FLOW_ENDING) {
		result = conn_advance(worker, conn);
		if (result == FLOW_FAILED && conn->restarted) {
			sctp_conn_restart(worker, conn);
			return FLOW_WAITS;
		}
		if (result == FLOW_FAILED || conn_end_if_through(worker, conn))
			return result;
	}
	sctp_shared_update(worker, conn);
	return result;
}

static void side_note(struct sctp_side *side, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		side->writable = true;
}

static void client_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events)
{
	struct sctp_conn *conn =
		container_of(pollable, struct sctp_conn, client.poll);

	side_note(&conn->client, events);
	flow_handle(worker, &conn->flow, &conn->client.fd, events,
		    BERTH_ENDING_CLIENT_RESET);
}

/* The backend */

static void conn_connected(struct flow *flow)
{
	struct sctp_side *backend = &conn_of(flow)->backend;

	/* The backend may have said all and be gone; what it said can still be
	 * read. */
	if (backend->kind != SCTP_SIDE_STREAM &&
	    sctp_socket_limits(backend->fd, 0, &backend->limits) < 0)
		backend->shut = true;
	backend->writable = true;
	backend->readable = true;
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct sctp_conn *conn =
		container_of(pollable, struct sctp_conn, backend.poll);

	side_note(&conn->backend, events);
	failover_handle(worker, &conn->flow, &conn->backend.fd, events);
}

static int conn_take_socket(struct worker *worker, struct flow *flow, int fd)
{
	const struct upstream *upstream = &flow->upstream;
	struct sctp_conn *conn = conn_of(flow);

	(void)worker;
	conn->backend.fd = fd;
	return sctp_backend_prepare(conn,
				    &flow->serving->backends[upstream->index]);
}

/* Registered only now: an unconnected socket would report EPOLLHUP. */
static void conn_connecting(struct worker *worker, struct flow *flow,
			    bool connected)
{
	struct sctp_conn *conn = conn_of(flow);
	struct sctp_side *backend = &conn->backend;
	int r;

	backend->poll.handler = backend_handler;
	r = worker_watch(worker, backend->fd, SCTP_EPOLL_EVENTS,
			 &backend->poll);
	if (r < 0)
		failover_missed(worker, flow, -r);
	else if (connected)
		failover_reached(worker, flow);
	else
		failover_await(worker, flow);
}

static int conn_client_address(const struct flow *flow,
			       struct ip_addr *ret_addr)
{
	*ret_addr = container_of(flow, struct sctp_conn, flow)->from;
	return 0;
}

static void conn_describe(const struct flow *flow, struct roster_record *record)
{
	const struct sctp_conn *conn =
		container_of(flow, struct sctp_conn, flow);
	const struct sctp_side *client = &conn->client;
	struct ip_addr addrs[SCTP_ENDS_MAX];

	record->client = conn->from;
	if (sctp_socket_peers(client->fd, client->assoc_id, addrs,
			      &record->client_port) > 0 &&
	    record->client.family == AF_UNSPEC)
		record->client = addrs[0];
	if (sctp_socket_locals(client->fd, client->assoc_id, addrs) > 0) {
		record->local = addrs[0];
		record->local_port = flow->share->listener->port;
	}
}

static const struct flow_ops sctp_flow_ops = {
	.size = sizeof(struct sctp_conn),
	.step = conn_step,
	.close = conn_close,
	.progressed = conn_progressed,
	.stalled_until = conn_stalled_until,
	.expire = conn_expire,
	.connect_timeout = failover_timeout,
	.client_address = conn_client_address,
	.take_socket = conn_take_socket,
	.connecting = conn_connecting,
	.connected = conn_connected,
	.close_backend = conn_close_backend,
	.describe = conn_describe,
};

/* The beginning */

static int conn_open_client(struct worker *worker, struct sctp_conn *conn,
			    int fd, int32_t assoc_id)
{
	struct sctp_side *client = &conn->client;
	bool shared = assoc_id != 0;
	int r;

	client->kind = shared ? SCTP_SIDE_SHARED : SCTP_SIDE_OWN;
	client->assoc_id = assoc_id;
	client->writable = true;
	client->fd = fd;
	r = sctp_socket_prepare(fd, assoc_id, shared);
	if (r < 0 && !shared)
		return r;
	/* The client may have said all and be gone; what it said can still be
	 * read. How many streams it had is not known then, and the backend is
	 * asked for the usual number. */
	if (sctp_socket_limits(fd, assoc_id, &client->limits) < 0) {
		client->shut = true;
		client->gone = client->eof = shared;
	}
	if (shared)
		return sctp_shared_add(conn);
	client->poll.handler = client_handler;
	return worker_watch(worker, fd, SCTP_EPOLL_EVENTS, &client->poll);
}

/* The client may have several addresses: is any of them one of the relay's own
 * sockets? Return: as own_arrival_hops(). */
static int arrival_hops(struct share *share, int fd, int32_t assoc_id)
{
	struct ip_addr from[SCTP_ENDS_MAX], to[SCTP_ENDS_MAX];
	struct own_arrival arrival = { .to = to };
	size_t n;
	int hops = 0;

	/* Only a listener that forwards can be part of a circle. */
	if (share->serving->action != SERVICE_FORWARD ||
	    !own_sockets_any(PROTOCOL_SCTP))
		return 0;
	n = sctp_socket_peers(fd, assoc_id, from, &arrival.from_port);
	arrival.n_to = sctp_socket_locals(fd, assoc_id, to);
	for (size_t i = 0; i < n && hops == 0; i++) {
		arrival.from = from[i];
		hops = share_arrival_hops(share, &arrival);
	}
	return hops;
}

/* Return: does the rule serve the client, with all the addresses that it has,
 * and so often? If not, its association is aborted. */
static bool conn_admit(struct worker *worker, struct sctp_conn *conn)
{
	const struct sctp_side *client = &conn->client;
	struct ip_addr addrs[SCTP_ENDS_MAX] = { { .family = AF_UNSPEC } };
	struct flow *flow = &conn->flow;
	uint16_t port;
	size_t n;

	if (!gate_asks(flow->serving))
		return true;
	n = sctp_socket_peers(client->fd, client->assoc_id, addrs, &port);
	return gate_flow(worker, flow, addrs, n);
}

int sctp_conn_new(struct worker *worker, struct share *share, int fd,
		  int32_t assoc_id, struct sctp_conn **ret_conn)
{
	int hops = arrival_hops(share, fd, assoc_id), r;
	struct sctp_conn *conn;
	struct flow *flow;

	if (hops < 0)
		return hops;
	flow = flow_new(worker, share, &sctp_flow_ops);
	if (!flow)
		return -ENOMEM;
	flow->upstream.hops = (uint8_t)hops;
	conn = conn_of(flow);
	conn_forget_backend(conn); /* there is none yet */
	r = conn_open_client(worker, conn, fd, assoc_id);
	if (r < 0) {
		share_log_refused(share, r);
		flow_reset(worker, flow);
		conn = NULL;
	} else {
		flow_remember_client(flow);
		if (!conn_admit(worker, conn))
			conn = NULL;
	}
	*ret_conn = conn;
	return 0;
}

/* Return: is the listener still there, and does what it serves now need as many
 * descriptors as the client has? */
static bool conn_may_restart(const struct sctp_conn *conn)
{
	const struct flow *flow = &conn->flow;

	return !flow->share->withdrawn && flow->n_fds == admit_fds(flow->share);
}

/* Makes the client's side that of a new association. */
static int conn_renew_client(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_side *client = &conn->client;

	side_forget(conn, client);
	client->eof = client->shut = client->gone = false;
	client->writable = true;
	if (client->kind == SCTP_SIDE_SHARED)
		sctp_shared_restarted(worker, conn);
	return sctp_socket_limits(client->fd, client->assoc_id,
				  &client->limits);
}

void sctp_conn_restart(struct worker *worker, struct sctp_conn *conn)
{
	const struct sctp_side *client = &conn->client;
	struct flow *flow = &conn->flow;
	bool ends = flow->state == FLOW_ENDING && client->kind == SCTP_SIDE_OWN;
	int hops = arrival_hops(flow->share, client->fd, client->assoc_id);

	conn->restarted = false;
	/* The socket of an association that was ending stays shut, though the
	 * association is not. */
	if (ends || hops < 0 || !conn_may_restart(conn) ||
	    conn_renew_client(worker, conn) < 0) {
		flow_reset_for(worker, flow, BERTH_ENDING_CLIENT_RESET);
		return;
	}
	/* By what served it: in what the rule is by now, another backend may
	 * stand in the place of its own. */
	if (access_log_wants(flow->serving, BERTH_ENDING_CLIENT_RESET))
		access_log_note(worker, ROSTER_FLOWS, &flow->entry, flow->share,
				BERTH_ENDING_CLIENT_RESET);
	failover_close(worker, flow, /* reset= */ true);
	(void)serving_unref(flow->serving);
	flow->serving = serving_ref(flow->share->serving);
	flow->upstream.hops = (uint8_t)hops;
	conn->flow.sent = 0;
	conn->stalled_us = 0;
	conn->expired = false;
	counters_ended(share_counters(flow->share), BERTH_ENDING_CLIENT_RESET);
	flow_renew(worker, flow);
	if (conn_admit(worker, conn))
		failover_begin(worker, flow);
}

static int sctp_accepted(struct worker *worker, struct share *share, int fd,
			 const struct sockaddr_storage *from)
{
	struct sctp_conn *conn;
	int r = sctp_conn_new(worker, share, fd, 0, &conn);

	if (r < 0 || !conn)
		return r;
	(void)ip_addr_from_sockaddr(from, &conn->from, NULL); /* not known */
	failover_begin(worker, &conn->flow);
	return 0;
}

const struct relay_protocol sctp_protocol = {
	.client_fds = 1,
	.gives_up = "aborting the association",
	.readable = accept_readable,
	.drain = accept_rest,
	.accepted = sctp_accepted,
	.changed = sctp_share_follow,
	.abort = flow_share_abort,
};
