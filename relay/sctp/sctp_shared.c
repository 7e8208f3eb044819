// SPDX-License-Identifier: Apache-2.0
/* sctp_shared.c - one-to-many sockets: many associations, one descriptor
 *
 * Theory of operation: sctp_peeloff(3) would give each association a socket of
 * its own, but the kernel refuses it to a process outside the socket's network
 * namespace, and the relay is in none of them. So the relay tells messages
 * apart by the id of their association. One worker has the whole socket. The
 * kernel says by notifications, in order with the messages, when an association
 * comes and ends.
 *
 * One client can hold what it shares with the others, to their harm:
 *
 * - Receiving. What a client sent waits in its queue while the backend does not
 *   take it. A full queue stops reading the socket, for all. A client whose
 *   queue stays full for the stall timeout is aborted.
 * - Sending. The send buffer is the socket's. When there are other clients, one
 *   may have a part of it. When it has that, the kernel has to say that all of
 *   it is acknowledged (SCTP_SENDER_DRY_EVENT) before the client gets more. A
 *   client that has its part and acknowledges nothing for the stall timeout is
 *   aborted.
 *
 *   The event is read some time after it was made, so it tells nothing of what
 *   was sent in between. But it was made after the socket was last found empty,
 *   which ends an epoch. Therefore bytes that were sent in the present epoch
 *   remain counted. This must not stop a client for good, so each event grants
 *   one message, after which another event comes.
 *
 * berthd has the socket too, so associations outlive a relay that crashed. Its
 * successor finds the mark that was set on them, and aborts them, because their
 * other half is lost. Associations without a mark came after the crash, and are
 * served.
 */
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/buffer.h"
#include "relay/backend/failover.h"
#include "relay/core/listener.h"
#include "relay/sctp/sctp.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* Messages per event, then other sockets have their turn. */
#define RECEIVE_BATCH 64

/* Bytes of one client that may wait for its backend. */
#define QUEUE_MAX_BYTES (2 * SCTP_MESSAGE_MAX)

/* The part of the send buffer that one of several clients may fill. */
#define SEND_PART 3

/* What the kernel adds to each message, about. */
#define MESSAGE_OVERHEAD 1024

/**
 * struct sctp_shared - one one-to-many socket
 * @by_id:	its associations, by their id
 * @blocked:	those that wait for room in the send buffer, longest first
 * @n_full:	how many of them have a full queue
 * @events:	which events the socket is registered for
 * @epoch:	how often the socket was found empty
 * @writable:	the send buffer has room, as far as is known
 */
struct sctp_shared {
	struct share *share;
	struct sctp_conn *by_id;
	struct sctp_conn *blocked;
	unsigned int n_full;
	uint32_t events;
	uint32_t epoch;
	bool writable;
};

static void shared_rearm(struct worker *worker, struct sctp_shared *shared)
{
	struct share *share = shared->share;
	uint32_t events = 0;

	if (shared->n_full == 0)
		events |= EPOLLIN;
	if (shared->blocked && !shared->writable)
		events |= EPOLLOUT;
	if (events == shared->events || !share->registered)
		return;
	if (worker_watch_more(worker, share->listener->fd, events,
			      &share->poll) == 0)
		shared->events = events;
}

/* Sending */

static void conn_block(struct sctp_shared *shared, struct sctp_conn *conn)
{
	if (conn->blocked)
		return;
	conn->blocked = true;
	DL_APPEND2(shared->blocked, conn, blocked_prev, blocked_next);
}

static void conn_unblock(struct sctp_shared *shared, struct sctp_conn *conn)
{
	if (!conn->blocked)
		return;
	conn->blocked = false;
	DL_DELETE2(shared->blocked, conn, blocked_prev, blocked_next);
}

static bool conn_has_its_part(const struct sctp_conn *conn)
{
	return conn->in_kernel >= conn->client.limits.max_bytes / SEND_PART;
}

static bool conn_may_send(const struct sctp_shared *shared,
			  const struct sctp_conn *conn)
{
	return conn->granted || HASH_COUNT(shared->by_id) == 1 ||
	       !conn_has_its_part(conn);
}

static void conn_enter_epoch(const struct sctp_shared *shared,
			     struct sctp_conn *conn)
{
	if (conn->epoch == shared->epoch)
		return;
	conn->epoch = shared->epoch;
	conn->recent = 0;
}

/* The send buffer is full: notes which clients are the reason. */
static void shared_is_full(struct worker *worker, struct sctp_shared *shared)
{
	struct sctp_conn *conn, *next;

	shared->writable = false;
	if (HASH_COUNT(shared->by_id) == 1)
		return;
	HASH_ITER (hh, shared->by_id, conn, next) {
		if (conn_has_its_part(conn))
			sctp_conn_stalls(worker, conn, /* stalls= */ true);
	}
}

int sctp_shared_send(struct worker *worker, struct sctp_conn *conn,
		     const struct sctp_label *label, const uint8_t *data,
		     size_t len)
{
	struct sctp_shared *shared = conn->flow.share->protocol_data;
	struct sctp_target target = {
		.fd = conn->client.fd,
		.assoc_id = conn->client.assoc_id,
	};
	int r;

	if (!conn_may_send(shared, conn)) {
		sctp_conn_stalls(worker, conn, /* stalls= */ true);
		return -EAGAIN;
	}
	if (!shared->writable) {
		conn_block(shared, conn);
		return -EAGAIN;
	}
	conn_enter_epoch(shared, conn);
	conn->in_kernel += len + MESSAGE_OVERHEAD;
	target.ack_at_once = conn_has_its_part(conn);
	r = sctp_socket_send(&target, label, data, len);
	if (r == 0) {
		conn->recent += len + MESSAGE_OVERHEAD;
		conn->granted = false;
		return 0;
	}
	conn->in_kernel -= len + MESSAGE_OVERHEAD;
	if (r == -EAGAIN) {
		shared_is_full(worker, shared);
		conn_block(shared, conn);
	}
	return r;
}

/* Runs each client that waits for room, once, until there is none again. */
static void run_blocked(struct worker *worker, struct sctp_shared *shared)
{
	struct sctp_conn *conn;
	size_t n;

	DL_COUNT2(shared->blocked, conn, n, blocked_next);
	while (n-- > 0 && shared->blocked && shared->writable) {
		conn = shared->blocked;
		conn_unblock(shared, conn);
		conn->client.writable = true;
		flow_run(worker, &conn->flow);
	}
}

/* The table */

int sctp_shared_add(struct sctp_conn *conn)
{
	struct sctp_shared *shared = conn->flow.share->protocol_data;

	HASH_ADD(hh, shared->by_id, client.assoc_id,
		 sizeof(conn->client.assoc_id), conn);
	if (!conn->hh.tbl)
		return -ENOMEM;
	/* A client that was alone may have filled the send buffer, and is the
	 * reason why this one has no room. */
	if (!shared->writable)
		shared_is_full(conn->flow.share->worker, shared);
	return 0;
}

void sctp_shared_remove(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_shared *shared = conn->flow.share->protocol_data;

	if (conn->hh.tbl) /* else there was no memory to add it */
		HASH_DEL(shared->by_id, conn);
	conn_unblock(shared, conn);
	if (conn->full)
		shared->n_full--;
	conn->full = false;
	shared_rearm(worker, shared);
}

void sctp_shared_restarted(struct worker *worker, struct sctp_conn *conn)
{
	conn_unblock(conn->flow.share->protocol_data, conn);
	conn->in_kernel = conn->recent = 0;
	conn->granted = false;
	sctp_shared_update(worker, conn);
}

void sctp_shared_update(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_shared *shared = conn->flow.share->protocol_data;
	bool full;

	if (conn->client.kind != SCTP_SIDE_SHARED)
		return;
	full = conn->client.queue.bytes >= QUEUE_MAX_BYTES;
	if (full != conn->full) {
		conn->full = full;
		shared->n_full += full ? 1 : -1u;
	}
	if (full)
		sctp_conn_stalls(worker, conn, /* stalls= */ true);
	shared_rearm(worker, shared);
}

/* Associations that come */

static struct sctp_conn *shared_find(const struct sctp_shared *shared,
				     int32_t assoc_id)
{
	struct sctp_conn *conn;

	HASH_FIND(hh, shared->by_id, &assoc_id, sizeof(assoc_id), conn);
	return conn;
}

/* Begins to serve an association. @from: its peer, or NULL: not known.
 * Return: its flow, if that is alive; else NULL. */
static struct sctp_conn *shared_adopt(struct worker *worker,
				      struct sctp_shared *shared,
				      int32_t assoc_id,
				      const struct ip_addr *from)
{
	struct share *share = shared->share;
	struct sctp_conn *conn;
	enum berth_limit met;
	int r;

	/* There is no backlog that the association could wait in. */
	if (!admit_take(share, &met)) {
		counters_limited(share_counters(share), met);
		sctp_socket_abort(share->listener->fd, assoc_id);
		return NULL;
	}
	(void)sctp_socket_mark(share->listener->fd, assoc_id);
	r = sctp_conn_new(worker, share, share->listener->fd, assoc_id, &conn);
	if (r < 0) {
		share_log_refused(share, r);
		sctp_socket_abort(share->listener->fd, assoc_id);
		admit_give(share, admit_fds(share));
	}
	if (r < 0 || !conn)
		return NULL;
	if (from)
		conn->from = *from;
	else /* fails if the association is gone */
		(void)sctp_socket_peer(share->listener->fd, assoc_id,
				       &conn->from);
	failover_begin(worker, &conn->flow);
	return shared_find(shared, assoc_id);
}

/* Receiving */

static void conn_data(struct worker *worker, struct sctp_conn *conn,
		      const struct sctp_received *received)
{
	struct sctp_side *dst = NULL;
	int r;

	if (conn->flow.serving->action == SERVICE_FORWARD)
		dst = &conn->backend;
	else if (conn->flow.serving->action == SERVICE_ECHO)
		dst = &conn->client;
	r = sctp_pump_take(worker, conn, &conn->client, dst, received,
			   worker->scratch);
	if (r < 0) {
		sctp_pump_explain(worker, conn, r);
		flow_reset(worker, &conn->flow);
		return;
	}
	if (conn->client.queue.first)
		flow_run(worker, &conn->flow);
}

static void conn_ended(struct worker *worker, struct sctp_conn *conn, bool gone)
{
	flow_note_end(&conn->flow, BERTH_ENDING_CLIENT_END);
	conn->client.eof = true;
	conn->client.gone = gone;
	sctp_side_drop_partial(conn, &conn->client);
	flow_run(worker, &conn->flow);
}

static void conn_dry(struct worker *worker, struct sctp_shared *shared,
		     struct sctp_conn *conn)
{
	conn_enter_epoch(shared, conn);
	conn->in_kernel = conn->recent;
	conn->granted = true;
	if (!conn->full)
		sctp_conn_stalls(worker, conn, /* stalls= */ false);
	if (conn->client.writable || conn->blocked)
		return;
	conn->client.writable = true;
	flow_run(worker, &conn->flow);
}

/* Return: does the association of @received, which is not in the table, have
 * to be served? Messages of an association that we aborted may still come. Of
 * one that came before the notifications were asked for, a message comes first.
 */
static bool is_new(const struct sctp_shared *shared,
		   const struct sctp_received *received)
{
	struct sctp_limits limits;

	return received->kind == SCTP_KIND_UP ||
	       received->kind == SCTP_KIND_RESTARTED ||
	       (received->kind == SCTP_KIND_DATA &&
		sctp_socket_limits(shared->share->listener->fd,
				   received->assoc_id, &limits) == 0);
}

static void shared_received(struct worker *worker, struct sctp_shared *shared,
			    const struct sctp_received *received)
{
	struct sctp_conn *conn = shared_find(shared, received->assoc_id);
	bool known = conn;

	if (!known && is_new(shared, received))
		conn = shared_adopt(worker, shared, received->assoc_id,
				    received->kind == SCTP_KIND_UP
					    ? &received->from
					    : NULL);
	if (!conn)
		return;
	/* For us, its life begins here. */
	if (!known && received->kind == SCTP_KIND_RESTARTED)
		return;
	switch (received->kind) {
	case SCTP_KIND_DATA:
		conn_data(worker, conn, received);
		return;
	case SCTP_KIND_EOF:
		conn_ended(worker, conn, /* gone= */ false);
		return;
	case SCTP_KIND_CLOSED:
		conn_ended(worker, conn, /* gone= */ true);
		return;
	case SCTP_KIND_LOST:
		flow_reset_for(worker, &conn->flow, BERTH_ENDING_CLIENT_RESET);
		return;
	case SCTP_KIND_RESTARTED:
		sctp_conn_restart(worker, conn);
		return;
	case SCTP_KIND_ABANDONED:
		sctp_side_drop_partial(conn, &conn->client);
		return;
	case SCTP_KIND_DRY:
		conn_dry(worker, shared, conn);
		return;
	case SCTP_KIND_NOTHING:
	case SCTP_KIND_UP:
	case SCTP_KIND_OTHER:
		return;
	}
}

static void shared_readable(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct share *share = container_of(pollable, struct share, poll);
	struct sctp_shared *shared = share->protocol_data;
	struct sctp_received received;
	int r;

	if (events & EPOLLOUT) {
		shared->writable = true;
		run_blocked(worker, shared);
	}
	for (int i = 0; i < RECEIVE_BATCH && shared->n_full == 0 &&
			!admit_turn_is_over(worker, share);
	     i++) {
		r = sctp_socket_receive(share->listener->fd, worker->scratch,
					BUFFER_MAX_BYTES, &received);
		if (r < 0 && worker_may_log(worker, share->listener, NULL))
			(void)log_print_about_errno(
				LOG_LEVEL_WARNING, &share->listener->about, r,
				"%s: cannot receive; retrying",
				share->listener->label);
		if (r < 0) {
			/* With that the share registers the socket again. */
			shared->events = EPOLLIN;
			share_park(worker, share);
			return;
		}
		if (received.kind == SCTP_KIND_NOTHING) {
			shared->epoch++;
			break;
		}
		shared_received(worker, shared, &received);
	}
	shared_rearm(worker, shared);
}

/* The whole socket */

/* Takes over the associations that the socket has already. */
static int shared_open(struct worker *worker, struct share *share)
{
	struct sctp_shared *shared = calloc(1, sizeof(*shared));
	_cleanup_free_ int32_t *ids = NULL;
	int fd = share->listener->fd;
	ssize_t n;
	int r;

	if (!shared)
		return -ENOMEM;
	shared->share = share;
	shared->events = EPOLLIN;
	shared->writable = true;
	share->protocol_data = shared;
	/* The notifications come first: an association that begins after the
	 * list was made is not missed then. */
	r = sctp_socket_prepare(fd, 0, /* one_to_many= */ true);
	n = r < 0 ? r : sctp_socket_list(fd, &ids);
	for (ssize_t i = 0; i < n; i++) {
		if (sctp_socket_mark(fd, ids[i]))
			sctp_socket_abort(fd, ids[i]);
		else if (!shared_find(shared, ids[i]))
			(void)shared_adopt(worker, shared, ids[i], NULL);
	}
	return n < 0 ? (int)n : 0;
}

static void shared_close(struct worker *worker, struct share *share)
{
	flow_share_abort(worker, share);
	free(share->protocol_data);
	share->protocol_data = NULL;
}

const struct relay_protocol sctp_seqpacket_protocol = {
	.one_worker = true,
	.gives_up = "aborting the association",
	.readable = shared_readable,
	.open = shared_open,
	.close = shared_close,
	.abort = flow_share_abort,
};
