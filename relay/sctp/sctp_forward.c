// SPDX-License-Identifier: Apache-2.0
/* sctp_forward.c - connecting an SCTP client to a backend
 *
 * The backend is asked for as many streams as the client has, each way. It may
 * grant fewer: that is found out when a message needs one that is missing.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/backend/backend_connect.h"
#include "relay/backend/backend_log.h"
#include "relay/core/listener.h"
#include "relay/core/mint.h"
#include "relay/core/own_sockets.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

static const struct serving_backend *conn_backend(const struct sctp_conn *conn)
{
	return &conn->serving->backends[conn->failover.index];
}

/* Gives up this backend. Return: true when there is another one to try. */
static bool forward_next(struct worker *worker, struct sctp_conn *conn,
			 int error)
{
	sctp_conn_close_backend(conn, /* abort= */ true);
	conn->active_us = worker->now_us;
	return failover_next(worker, conn->share, conn->serving,
			     &conn->failover, error);
}

static void forward_open(struct worker *worker, struct sctp_conn *conn)
{
	struct sctp_side *backend = &conn->backend;

	/* It may have said all, and be gone: that can still be read. */
	if (backend->kind != SCTP_SIDE_STREAM &&
	    sctp_socket_limits(backend->fd, 0, &backend->limits) < 0)
		backend->shut = true;
	backend_reached(worker, conn->share->listener, conn->serving,
			conn->failover.index);
	conn->active_us = worker->now_us;
	backend->writable = true;
	backend->readable = true;
	sctp_conn_set_state(worker, conn, SCTP_STATE_OPEN);
	sctp_conn_run_now(worker, conn);
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events);

static void forward_minted(struct worker *worker, struct mint *mint);

/* The namespace of the backend goes. */
static void forward_mint_gone(struct worker *worker, struct mint *mint)
{
	sctp_conn_reset(worker, mint->owner);
}

static const struct mint_ops mint_ops = {
	.answered = forward_minted,
	.gone = forward_mint_gone,
};

void sctp_forward_forget(struct worker *worker, struct sctp_conn *conn)
{
	conn->mint = mint_free(worker, conn->mint);
}

bool sctp_forward_pins(const struct sctp_conn *conn)
{
	return conn->mint && conn->mint->netns_id;
}

static int bind_socket(const struct serving *serving,
		       const struct serving_backend *target, int fd)
{
	_cleanup_close_ int udp_fd = -1;

	if (serving->n_from)
		return sctp_addrs_add_chosen(fd, serving->from, serving->n_from,
					     target->addrs);
	udp_fd = socket(target->address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC,
			0);
	if (udp_fd < 0)
		return -errno;
	return sctp_addrs_add_routed(fd, udp_fd, target->addrs);
}

static int prepare_association(const struct sctp_conn *conn, int fd)
{
	const struct serving_backend *target = conn_backend(conn);
	size_t n = target->addrs->n;
	int r = sctp_socket_mirror(fd, &conn->client.limits);

	if (r == 0)
		r = sctp_socket_hasten(fd, n,
				       conn->serving->connect_timeout_us);
	/* A minted socket was bound by berthd, in its namespace. */
	if (r == 0 && !target->minted)
		r = bind_socket(conn->serving, target, fd);
	return r;
}

static int prepare_socket(const struct sctp_conn *conn, int fd)
{
	static const int on = 1;
	const struct serving_backend *target = conn_backend(conn);
	int family = target->address->sa_family;
	int r = 0;

	if (target->protocol == PROTOCOL_SCTP)
		r = prepare_association(conn, fd);
	else if (family != AF_UNIX)
		/* Latency only: what a failure would cost. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return r;
}

/* Return: 0 connected; -EINPROGRESS, without a socket when berthd was asked for
 * it; -EAGAIN: a full backlog; -EADDRNOTAVAIL: no local port; -ENOTCONN: the
 * client is gone; -errno. */
static int forward_connect(struct worker *worker, struct sctp_conn *conn)
{
	const struct serving_backend *target = conn_backend(conn);
	const struct failover_asker asker = {
		.mint = &conn->mint,
		.ops = &mint_ops,
		.owner = conn,
		.client = conn->from,
	};
	const struct backend_client client = {
		.listener = conn->share->listener,
		.mint = conn->mint,
		.own = &conn->own,
		.hops = conn->hops,
	};
	struct sctp_side *backend = &conn->backend;
	int r, watched;

	r = failover_admit(worker, conn->share, conn->serving, &conn->failover,
			   /* waits= */ conn->waiter, &conn->ports);
	if (r < 0)
		return r;
	backend->kind = target->protocol == PROTOCOL_SCTP ? SCTP_SIDE_OWN
							  : SCTP_SIDE_STREAM;
	backend->fd = failover_socket(worker, conn->share, conn->serving,
				      &conn->failover, &asker);
	if (backend->fd < 0)
		return TAKE_FD(backend->fd);
	r = prepare_socket(conn, backend->fd);
	if (r == 0)
		r = failover_connect(conn->serving, &conn->failover,
				     conn->ports, backend->fd, &client);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	backend->poll.handler = backend_handler;
	/* Only now: an unconnected socket would report EPOLLHUP. */
	watched = worker_watch(worker, backend->fd, SCTP_EPOLL_EVENTS,
			       &backend->poll);
	return watched < 0 ? watched : r;
}

static void forward_try(struct worker *worker, struct sctp_conn *conn);

static void forward_retry(struct worker *worker, void *owner)
{
	forward_try(worker, owner);
}

/* Waits for its backend if that may help. Return: does it? */
static bool forward_wait(struct worker *worker, struct sctp_conn *conn,
			 int error)
{
	/* berthd's socket is used up, and to ask for others is no way to wait.
	 */
	if (conn->mint ||
	    !failover_wait(worker, conn->share, conn->serving, &conn->failover,
			   error, forward_retry, conn, &conn->waiter))
		return false;
	sctp_conn_close_backend(conn, /* abort= */ true);
	sctp_conn_set_state(worker, conn, SCTP_STATE_WAITING);
	return true;
}

static void forward_try(struct worker *worker, struct sctp_conn *conn)
{
	int r;

	do {
		r = forward_connect(worker, conn);
		if (r == 0) {
			forward_open(worker, conn);
			return;
		}
		if (r == -EINPROGRESS) {
			sctp_conn_set_state(worker, conn,
					    SCTP_STATE_CONNECTING);
			return;
		}
		if (forward_wait(worker, conn, r))
			return;
		/* The client is gone. That says nothing of the backend, and
		 * nobody is there to be served by another. */
		if (r == -ENOTCONN)
			break;
	} while (forward_next(worker, conn, -r));
	sctp_conn_reset(worker, conn);
}

/* The rule changed while the question was on its way: the client is served as
 * the rule says now. Return: does it say something else? @conn may be dead. */
static bool forward_renew(struct worker *worker, struct sctp_conn *conn)
{
	if (!failover_renew(worker, conn->share, &conn->serving,
			    &conn->failover))
		return false;
	sctp_conn_close_backend(conn, /* abort= */ true);
	conn->active_us = worker->now_us;
	if (conn->serving->action == SERVICE_FORWARD) {
		forward_try(worker, conn);
		return true;
	}
	conn->n_fds--; /* the backend's */
	admit_give_fds(conn->share, 1);
	sctp_conn_begin(worker, conn);
	return true;
}

static void forward_minted(struct worker *worker, struct mint *mint)
{
	struct sctp_conn *conn = mint->owner;

	if (mint->error == ESTALE && forward_renew(worker, conn))
		return;
	if (mint->fd >= 0 || forward_next(worker, conn, mint->error))
		forward_try(worker, conn);
	else
		sctp_conn_reset(worker, conn);
}

/* Of all the client's addresses, one of which the relay may have. Return: as
 * own_arrival_hops(). */
static int arrival_hops(const struct sctp_conn *conn)
{
	struct ip_addr from[SCTP_ENDS_MAX], to[SCTP_ENDS_MAX];
	struct own_arrival arrival = { .to = to };
	const struct sctp_side *client = &conn->client;
	size_t n;
	int hops = 0;

	if (!own_sockets_any(PROTOCOL_SCTP))
		return 0;
	n = sctp_socket_peers(client->fd, client->assoc_id, from,
			      &arrival.from_port);
	arrival.n_to = sctp_socket_locals(client->fd, client->assoc_id, to);
	for (size_t i = 0; i < n && hops == 0; i++) {
		arrival.from = from[i];
		hops = share_arrival_hops(conn->share, &arrival);
	}
	return hops;
}

void sctp_forward_begin(struct worker *worker, struct sctp_conn *conn)
{
	int hops = arrival_hops(conn);

	if (hops < 0) {
		sctp_conn_reset(worker, conn);
		return;
	}
	conn->hops = (uint8_t)hops;
	conn->active_us = worker->now_us;
	(void)failover_pick(worker, conn->share, conn->serving,
			    &conn->failover); /* nothing was tried yet */
	forward_try(worker, conn);
}

void sctp_forward_timeout(struct worker *worker, struct sctp_conn *conn)
{
	backend_queue_leave(worker, &conn->waiter);
	if (forward_next(worker, conn, ETIMEDOUT))
		forward_try(worker, conn);
	else
		sctp_conn_reset(worker, conn);
}

/* An association that is refused reports EPOLLERR alone. */
static void forward_answered(struct worker *worker, struct sctp_conn *conn,
			     uint32_t events)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(conn->backend.fd, SOL_SOCKET, SO_ERROR, &error, &len) <
		    0)
		error = errno;
	if (error == 0 && !(events & EPOLLOUT))
		return; /* no answer yet */
	if (error == 0)
		forward_open(worker, conn);
	else if (forward_next(worker, conn, error))
		forward_try(worker, conn);
	else
		sctp_conn_reset(worker, conn);
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct sctp_conn *conn =
		container_of(pollable, struct sctp_conn, backend.poll);

	if (conn->backend.fd < 0)
		return; /* closed earlier in this batch */
	sctp_side_note(&conn->backend, events);
	if (conn->state == SCTP_STATE_CONNECTING) {
		forward_answered(worker, conn, events);
		return;
	}
	sctp_conn_run_now(worker, conn);
	if (!sctp_conn_is_dead(conn) && conn->backend.fd >= 0 &&
	    (events & EPOLLERR))
		sctp_conn_reset(worker, conn);
}
