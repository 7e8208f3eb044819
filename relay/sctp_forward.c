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
#include "relay/backend_health.h"
#include "relay/listener.h"
#include "relay/sctp_internal.h"
#include "relay/serving.h"
#include "relay/worker.h"

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
	backend_works(conn->serving, conn->failover.index);
	conn->active_us = worker->now_us;
	backend->writable = true;
	backend->readable = true;
	sctp_conn_set_state(worker, conn, SCTP_STATE_OPEN);
	sctp_conn_run_now(worker, conn);
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events);

static int open_stream(int family)
{
	static const int on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Latency only: what a failure would cost. */
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Return: 0 connected; -EINPROGRESS; -EAGAIN: a full backlog; -errno. */
static int forward_connect(struct worker *worker, struct sctp_conn *conn)
{
	const struct serving_backend *target = conn_backend(conn);
	struct sctp_side *backend = &conn->backend;
	int family = target->address->sa_family;
	int r = 0, watched;

	backend->kind = target->sctp ? SCTP_SIDE_OWN : SCTP_SIDE_STREAM;
	backend->fd =
		target->sctp
			? sctp_socket_for_backend(family, &conn->client.limits)
			: open_stream(family);
	if (backend->fd < 0)
		return TAKE_FD(backend->fd);
	if (connect(backend->fd, target->address, target->address_len) < 0)
		r = -errno;
	if (r < 0 && r != -EINPROGRESS)
		return r;
	backend->poll.handler = backend_handler;
	/* Only now: an unconnected socket would report EPOLLHUP. */
	watched = worker_watch(worker, backend->fd, SCTP_EPOLL_EVENTS,
			       &backend->poll);
	return watched < 0 ? watched : r;
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
		/* A UNIX listener has no queue to wait in without blocking. */
		if (r == -EAGAIN &&
		    conn_backend(conn)->address->sa_family == AF_UNIX) {
			sctp_conn_close_backend(conn, /* abort= */ true);
			sctp_conn_set_state(worker, conn, SCTP_STATE_WAITING);
			return;
		}
	} while (forward_next(worker, conn, -r));
	sctp_conn_reset(worker, conn);
}

void sctp_forward_begin(struct worker *worker, struct sctp_conn *conn)
{
	conn->active_us = worker->now_us;
	(void)failover_pick(worker, conn->share, conn->serving,
			    &conn->failover); /* nothing was tried yet */
	forward_try(worker, conn);
}

void sctp_forward_timeout(struct worker *worker, struct sctp_conn *conn)
{
	bool expired = worker->now_us >=
		       conn->active_us + conn->serving->connect_timeout_us;

	if (!expired || forward_next(worker, conn, ETIMEDOUT))
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
