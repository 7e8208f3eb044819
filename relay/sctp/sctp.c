// SPDX-License-Identifier: Apache-2.0
/* sctp.c - SCTP associations: their life and their end
 *
 * Theory of operation: a relayed association has a client side and, with
 * `forward`, a backend side, which is an association too or a stream. What is
 * read are whole messages with stream, payload protocol id and order; they are
 * sent on as they are, or the association is aborted: nothing is cut, and
 * nothing goes missing in the middle.
 *
 *	CONNECTING <-> WAITING -> OPEN -> ENDING -> closed
 *
 * `respond`, `echo` and `discard` begin with OPEN. From every state
 * sctp_conn_reset() leads out at once; both peers then see an ABORT.
 *
 * The end. SCTP has no half-closed state: whoever gets a SHUTDOWN can send
 * nothing more. So when one side ends, what it sent before is passed on, the
 * other side is shut as well, and what that one still says is dropped, unless
 * it is a stream's last words to a client that still listens. A client's
 * socket that is closed politely lives on in the kernel until its peer has
 * acknowledged all, and holds its network namespace meanwhile: so it is closed
 * only when its association is gone, or aborted after the drain timeout. So is
 * the socket to a backend in another namespace, which goes with that: berthd
 * makes it, see mint.c.
 *
 * Every other end is an abort: every socket is born for that, see
 * common/stream.h, so that the kernel does the same if this process dies.
 *
 * A client that lost its memory, and connects from the same port again before
 * its association is given up, takes that over: the kernel keeps the socket,
 * and says that the peer restarted, between the data of both lives. Such a
 * client is a new one. When a backend restarts, both sides are aborted: its
 * client has to begin anew, and only the client can.
 *
 * One-to-one sockets are an association's own. One-to-many sockets are shared:
 * see sctp_shared.c.
 */
#include "relay/sctp/sctp.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "common/stream.h"
#include "common/util.h"
#include "relay/core/accept.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/backend/backend_queue.h"
#include "relay/core/listener.h"
#include "relay/core/own_sockets.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* How long the other side may acknowledge nothing once one has ended. */
#define DRAIN_TIMEOUT_US (30 * USEC_PER_SEC)

/* How long one association may keep the others of its socket waiting while it
 * takes nothing. */
#define STALL_TIMEOUT_US (30 * USEC_PER_SEC)

void sctp_conn_count(struct sctp_conn *conn, enum counter which, uint64_t n)
{
	counters_add(share_counters(conn->share), which, n);
}

struct budget *sctp_conn_budget(const struct sctp_conn *conn)
{
	struct worker *worker = conn->share->worker;

	return admission_messages(conn->share->listener->netns, worker->index,
				  &worker->messages);
}

/* Deadlines */

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static uint64_t conn_deadline(const struct sctp_conn *conn)
{
	const struct serving *serving = conn->serving;
	uint64_t connect_us = conn->active_us + serving->connect_timeout_us;
	uint64_t idle_us = conn->active_us + serving->idle_timeout_us;

	switch ((enum sctp_state)conn->state) {
	case SCTP_STATE_CONNECTING:
	case SCTP_STATE_WAITING:
		return connect_us;
	case SCTP_STATE_OPEN:
		if (!conn->stalled_us)
			return idle_us;
		return earlier(idle_us, conn->stalled_us + STALL_TIMEOUT_US);
	case SCTP_STATE_ENDING:
		return conn->since_us + DRAIN_TIMEOUT_US;
	}
	return conn->since_us;
}

static void conn_set_timer(struct worker *worker, struct sctp_conn *conn)
{
	timer_set_earlier(&worker->timers, &conn->timer, conn_deadline(conn));
}

/* Nothing else would tell why. */
static void log_if_stalled(struct worker *worker, const struct sctp_conn *conn)
{
	if (conn->state == SCTP_STATE_OPEN && conn->stalled_us &&
	    worker_may_log(worker, conn->share->listener, NULL))
		log_warning("%s: aborting an association: it holds the buffers "
			    "that all of the listener's share",
			    conn->share->listener->label);
}

/* Is there something for @side that its peer has not acknowledged? */
static bool side_holds(const struct sctp_conn *conn,
		       const struct sctp_side *side)
{
	return side->kind == SCTP_SIDE_SHARED ? conn->in_kernel > 0
					      : sctp_socket_holds(side->fd);
}

/* Has the peer taken something since this was looked at last? Yes, too, if it
 * was not looked at since something was given that is not all taken. */
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

/* The kernel tells nobody of what a peer takes while there is room for more
 * anyway. So it is asked when time is up, and not before. Return: is there time
 * again? */
static bool conn_progressed(struct worker *worker, struct sctp_conn *conn)
{
	bool client = side_progressed(conn, &conn->client);
	bool backend = side_progressed(conn, &conn->backend);

	if ((client || backend) && conn->state == SCTP_STATE_OPEN)
		conn->active_us = worker->now_us;
	else if (client || backend)
		conn->since_us = worker->now_us;
	/* A full queue waits for the backend, but for echo's. */
	if (conn->full && conn->backend.fd >= 0)
		client = backend;
	if (conn->stalled_us && client)
		conn->stalled_us = worker->now_us;
	return conn_deadline(conn) > worker->now_us;
}

static void conn_timer_handler(struct timer *timer, void *user_data)
{
	struct sctp_conn *conn = container_of(timer, struct sctp_conn, timer);
	struct worker *worker = user_data;
	uint64_t deadline_us = conn_deadline(conn);

	/* Activity postpones the deadline without moving the timer. */
	if (deadline_us > worker->now_us) {
		timer_set(&worker->timers, timer, deadline_us);
	} else if (conn->state == SCTP_STATE_CONNECTING ||
		   conn->state == SCTP_STATE_WAITING) {
		sctp_forward_timeout(worker, conn);
	} else if (conn_progressed(worker, conn)) {
		timer_set(&worker->timers, timer, conn_deadline(conn));
	} else {
		log_if_stalled(worker, conn);
		sctp_conn_reset(worker, conn);
	}
}

void sctp_conn_set_state(struct worker *worker, struct sctp_conn *conn,
			 enum sctp_state state)
{
	if (state != SCTP_STATE_WAITING)
		backend_queue_leave(worker, &conn->waiter);
	conn->state = (uint8_t)state;
	conn->since_us = worker->now_us;
	conn_set_timer(worker, conn);
}

void sctp_conn_stalls(struct worker *worker, struct sctp_conn *conn,
		      bool stalls)
{
	if (!stalls) {
		conn->stalled_us = 0;
	} else if (!conn->stalled_us) {
		conn->stalled_us = worker->now_us;
		conn_set_timer(worker, conn);
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

void sctp_conn_close_backend(struct sctp_conn *conn, bool abort)
{
	struct sctp_side *backend = &conn->backend;

	conn->own = own_socket_free(conn->own);
	backend->partial =
		sctp_message_free(sctp_conn_budget(conn), backend->partial);
	(void)sctp_queue_clear(sctp_conn_budget(conn), &backend->queue);
	/* berthd may not have closed its copy of a socket that it made. */
	if (conn->mint && backend->poll.handler)
		worker_unwatch(conn->share->worker, backend->fd);
	side_close(backend, abort);
	admission_give_port(conn->share->listener->netns, conn->ports);
	conn->ports = 0;
	*backend = (struct sctp_side){
		.fd = -1,
		.limits.max_bytes = SCTP_MESSAGE_MAX, /* until it is known */
	};
	sctp_forward_forget(conn->share->worker, conn);
}

static void conn_close_client(struct worker *worker, struct sctp_conn *conn,
			      bool abort)
{
	struct sctp_side *client = &conn->client;

	client->partial =
		sctp_message_free(sctp_conn_budget(conn), client->partial);
	(void)sctp_queue_clear(sctp_conn_budget(conn), &client->queue);
	if (client->kind == SCTP_SIDE_SHARED) {
		if (abort && !client->gone)
			sctp_socket_abort(client->fd, client->assoc_id);
		sctp_shared_remove(worker, conn);
		client->fd = -1;
	} else {
		side_close(client, abort);
	}
}

/* Closes all and forgets it. */
static void conn_end(struct worker *worker, struct sctp_conn *conn, bool abort)
{
	struct share *share = conn->share;

	backend_queue_leave(worker, &conn->waiter);
	sctp_conn_close_backend(conn, abort);
	conn_close_client(worker, conn, abort);
	conn->client.poll.handler = NULL;
	timers_unreserve(&worker->timers, &conn->timer);
	conn->serving = serving_unref(conn->serving);
	sctp_conn_count(conn, COUNTER_ENDED, 1);
	admit_give(share, conn->n_fds);
	load_add_conns(&worker->load, -1);
	DL_DELETE(share->sctp_conns, conn);
	DL_DELETE2(worker->sctp_conns, conn, all_prev, all_next);
	/* In worker.sctp_ready it is found dead, and buried then. */
	if (!conn->queued)
		worker_bury(worker, &conn->grave);
	if (!share->withdrawn)
		share_unpark(worker, share);
	else if (!share->sctp_conns)
		share_ended(worker, share);
}

void sctp_conn_reset(struct worker *worker, struct sctp_conn *conn)
{
	conn_end(worker, conn, /* abort= */ true);
}

bool sctp_conn_is_dead(const struct sctp_conn *conn)
{
	return !conn->serving;
}

/* Has the kernel nothing left to do for this side? */
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

	if (client->eof || (backend->fd >= 0 && backend->eof)) {
		if (conn->state == SCTP_STATE_OPEN)
			sctp_conn_set_state(worker, conn, SCTP_STATE_ENDING);
	}
	if (!sctp_side_done(client) ||
	    (backend->fd >= 0 && !sctp_side_done(backend)))
		return false;
	sctp_side_shut(client);
	if (!side_is_gone(client))
		return false;
	if (sctp_forward_pins(conn)) {
		sctp_side_shut(backend);
		if (!side_is_gone(backend))
			return false;
	}
	conn_end(worker, conn, /* abort= */ false);
	return true;
}

/* Life */

static enum sctp_result conn_forward(struct worker *worker,
				     struct sctp_conn *conn)
{
	enum sctp_result up, down;

	up = sctp_pump(worker, conn, &conn->client, &conn->backend);
	if (up == SCTP_RESULT_FAILED || up == SCTP_RESULT_RESTARTED)
		return up;
	down = sctp_pump(worker, conn, &conn->backend, &conn->client);
	return down == SCTP_RESULT_WAITS ? up : down;
}

/* Return: 0: all is said; -EAGAIN; -errno. A long text is several messages. */
static int respond_say(struct worker *worker, struct sctp_conn *conn)
{
	static const struct sctp_label label = { .sid = 0 };
	const struct serving *serving = conn->serving;
	size_t len;
	ssize_t n;

	while (conn->sent < serving->text_len) {
		len = serving->text_len - conn->sent;
		if (len > conn->client.limits.max_bytes)
			len = conn->client.limits.max_bytes;
		n = sctp_pump_give(worker, conn, &conn->client, &label,
				   (const uint8_t *)serving->text + conn->sent,
				   len);
		if (n <= 0)
			return n == 0 ? -EAGAIN : (int)n;
		conn->sent += (uint32_t)n;
	}
	return 0;
}

static enum sctp_result conn_respond(struct worker *worker,
				     struct sctp_conn *conn)
{
	int r = respond_say(worker, conn);

	if (r < 0 && r != -EAGAIN)
		return SCTP_RESULT_FAILED;
	if (r == 0 && conn->state == SCTP_STATE_OPEN) {
		sctp_side_shut(&conn->client);
		sctp_conn_set_state(worker, conn, SCTP_STATE_ENDING);
	}
	return sctp_pump(worker, conn, &conn->client, NULL);
}

static enum sctp_result conn_step(struct worker *worker, struct sctp_conn *conn)
{
	if (conn->state == SCTP_STATE_CONNECTING ||
	    conn->state == SCTP_STATE_WAITING)
		return SCTP_RESULT_WAITS;
	switch (conn->serving->action) {
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
	return SCTP_RESULT_FAILED;
}

static void conn_queue_again(struct worker *worker, struct sctp_conn *conn)
{
	if (conn->queued)
		return;
	conn->queued = true;
	conn->next_ready = worker->sctp_ready;
	worker->sctp_ready = conn;
}

void sctp_conn_run_now(struct worker *worker, struct sctp_conn *conn)
{
	enum sctp_result result = conn_step(worker, conn);

	if (result == SCTP_RESULT_FAILED) {
		sctp_conn_reset(worker, conn);
		return;
	}
	if (result == SCTP_RESULT_RESTARTED) {
		sctp_conn_restart(worker, conn);
		return;
	}
	if (conn->state == SCTP_STATE_OPEN || conn->state == SCTP_STATE_ENDING)
		if (conn_end_if_through(worker, conn))
			return;
	sctp_shared_update(worker, conn);
	if (result == SCTP_RESULT_AGAIN)
		conn_queue_again(worker, conn);
}

static void sctp_run_ready(struct worker *worker)
{
	struct sctp_conn *conn = TAKE_PTR(worker->sctp_ready), *next;

	for (; conn; conn = next) {
		next = conn->next_ready;
		conn->queued = false;
		if (sctp_conn_is_dead(conn))
			worker_bury(worker, &conn->grave);
		else
			sctp_conn_run_now(worker, conn);
	}
}

void sctp_side_note(struct sctp_side *side, uint32_t events)
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

	sctp_side_note(&conn->client, events);
	sctp_conn_run_now(worker, conn);
	/* What could still be read was passed on; now the abort is, even if
	 * the other side is too slow to let us read as far as to it. */
	if (!sctp_conn_is_dead(conn) && (events & EPOLLERR))
		sctp_conn_reset(worker, conn);
}

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
	/* It may have said all, and be gone: that can still be read. How many
	 * streams it had is not known then; a backend gets the usual number. */
	if (sctp_socket_limits(fd, assoc_id, &client->limits) < 0) {
		client->shut = true;
		client->gone = client->eof = shared;
	}
	if (shared)
		return sctp_shared_add(conn);
	client->poll.handler = client_handler;
	return worker_watch(worker, fd, SCTP_EPOLL_EVENTS, &client->poll);
}

int sctp_conn_new(struct worker *worker, struct share *share, int fd,
		  int32_t assoc_id, struct sctp_conn **ret_conn)
{
	struct sctp_conn *conn = calloc(1, sizeof(*conn));
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
	conn->active_us = worker->now_us;
	conn->backend.fd = -1;
	sctp_conn_close_backend(conn, /* abort= */ false);
	r = conn_open_client(worker, conn, fd, assoc_id);
	if (r < 0) {
		timers_unreserve(&worker->timers, &conn->timer);
		free(conn);
		return r;
	}
	conn->serving = serving_ref(share->serving);
	conn->n_fds = (uint8_t)admit_fds(share);
	load_add_conns(&worker->load, 1);
	DL_APPEND(share->sctp_conns, conn);
	DL_APPEND2(worker->sctp_conns, conn, all_prev, all_next);
	share_accepted(share);
	*ret_conn = conn;
	return 0;
}

void sctp_conn_begin(struct worker *worker, struct sctp_conn *conn)
{
	if (conn->serving->action == SERVICE_FORWARD) {
		sctp_forward_begin(worker, conn);
	} else {
		sctp_conn_set_state(worker, conn, SCTP_STATE_OPEN);
		sctp_conn_run_now(worker, conn);
	}
}

/* Is the listener still there, and would it let the client in for the room that
 * it has? */
static bool conn_may_restart(const struct sctp_conn *conn)
{
	return !conn->share->withdrawn && conn->n_fds == admit_fds(conn->share);
}

/* The client's side as that of a new association. */
static int conn_renew_client(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_side *client = &conn->client;

	client->partial =
		sctp_message_free(sctp_conn_budget(conn), client->partial);
	(void)sctp_queue_clear(sctp_conn_budget(conn), &client->queue);
	client->eof = client->shut = client->gone = false;
	client->writable = true;
	if (client->kind == SCTP_SIDE_SHARED)
		sctp_shared_restarted(worker, conn);
	return sctp_socket_limits(client->fd, client->assoc_id,
				  &client->limits);
}

void sctp_conn_restart(struct worker *worker, struct sctp_conn *conn)
{
	bool ends = conn->state == SCTP_STATE_ENDING &&
		    conn->client.kind == SCTP_SIDE_OWN;

	/* The socket of an association that was ending stays shut, though the
	 * association is not. */
	if (ends || !conn_may_restart(conn) ||
	    conn_renew_client(worker, conn) < 0) {
		sctp_conn_reset(worker, conn);
		return;
	}
	sctp_conn_close_backend(conn, /* abort= */ true);
	(void)serving_unref(conn->serving);
	conn->serving = serving_ref(conn->share->serving);
	conn->failover = (struct failover){ .tried = 0 };
	conn->sent = 0;
	conn->stalled_us = 0;
	conn->active_us = worker->now_us;
	sctp_conn_count(conn, COUNTER_ENDED, 1);
	share_accepted(conn->share);
	sctp_conn_begin(worker, conn);
}

void sctp_share_abort(struct worker *worker, struct share *share)
{
	struct sctp_conn *conn, *next;

	DL_FOREACH_SAFE (share->sctp_conns, conn, next)
		sctp_conn_reset(worker, conn);
}

static bool sctp_shed(struct worker *worker)
{
	struct sctp_conn *oldest = worker->sctp_conns;

	if (!oldest)
		return false;
	sctp_conn_reset(worker, oldest->all_prev); /* the newest */
	return true;
}

static void sctp_stop(struct worker *worker)
{
	while (sctp_shed(worker))
		;
	sctp_run_ready(worker); /* buries those that were in it */
}

const struct relay_protocol sctp_protocol = {
	.client_fds = 1,
	.readable = accept_readable,
	.accepted = sctp_accepted,
	.changed = sctp_share_follow,
	.abort = sctp_share_abort,
	.run_ready = sctp_run_ready,
	.shed = sctp_shed,
	.stop = sctp_stop,
};
