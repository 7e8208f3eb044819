// SPDX-License-Identifier: Apache-2.0
/* tcp_forward.c - connecting a client to a backend */
#include "relay/tcp/tcp_internal.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/backend/backend_connect.h"
#include "relay/backend/backend_log.h"
#include "relay/core/listener.h"
#include "relay/core/mint.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

static const struct serving_backend *conn_backend(const struct conn *conn)
{
	return &conn->serving->backends[conn->failover.index];
}

/* Writes what a backend of @serving is told first to @buffer: the PROXY
 * protocol's header, or nothing.
 * Return: its length, or -errno: the client is gone. */
static ssize_t proxy_header(const struct conn *conn,
			    const struct serving *serving, uint8_t *buffer,
			    size_t size)
{
	struct sockaddr_storage src, dst;
	socklen_t src_len = sizeof(src), dst_len = sizeof(dst);
	const struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = (struct sockaddr *)&src,
		.dst = (struct sockaddr *)&dst,
		.netns = serving->netns_name,
		.crc32c = serving->proxy == SERVICE_PROXY_V2_CRC32C,
	};

	if (!serving->proxy)
		return 0;
	if (getpeername(conn->client.fd, (struct sockaddr *)&src, &src_len) <
		    0 ||
	    getsockname(conn->client.fd, (struct sockaddr *)&dst, &dst_len) < 0)
		return -errno;
	return (ssize_t)(serving->proxy == SERVICE_PROXY_V1
				 ? proxy_header_v1(&info, buffer, size)
				 : proxy_header_v2(&info, buffer, size));
}

/* Keeps the header to be written before all that the client says, to whichever
 * backend is the first to take it. */
static int forward_introduce(struct worker *worker, struct conn *conn)
{
	uint8_t header[PROXY_HEADER_MAX];
	ssize_t len = proxy_header(conn, conn->serving, header, sizeof(header));

	if (len < 0)
		return (int)len;
	return tcp_keep(worker, conn, &conn->client, header, (size_t)len);
}

static void forward_open(struct worker *worker, struct conn *conn)
{
	backend_reached(worker, conn->share->listener, conn->serving,
			conn->failover.index);
	conn->active_us = worker->now_us;
	conn->backend.writable = true;
	tcp_set_state(worker, conn, CONN_OPEN);
	tcp_run(worker, conn);
}

/* Gives up this backend. Return: true when there is another one to try. */
static bool forward_next(struct worker *worker, struct conn *conn, int error)
{
	tcp_close_backend(worker, conn, /* reset= */ true);
	conn->active_us = worker->now_us;
	return failover_next(worker, conn->share, conn->serving,
			     &conn->failover, error);
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events);

static void forward_minted(struct worker *worker, struct mint *mint);

/* The namespace of the backend goes. */
static void forward_mint_gone(struct worker *worker, struct mint *mint)
{
	tcp_reset(worker, mint->owner);
}

static const struct mint_ops mint_ops = {
	.answered = forward_minted,
	.gone = forward_mint_gone,
};

void tcp_forward_forget(struct worker *worker, struct conn *conn)
{
	conn->mint = mint_free(worker, conn->mint);
}

bool tcp_forward_pins(const struct conn *conn)
{
	return conn->mint && conn->mint->netns_id;
}

static int client_address(const struct conn *conn, struct ip_addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getpeername(conn->client.fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ip_addr_from_sockaddr(&sa, ret_addr, NULL);
}

/* Return: 0 connected; -EINPROGRESS, without a socket when berthd was asked for
 * it; -EAGAIN: a full backlog; -EADDRNOTAVAIL: no local port; -ENOTCONN: the
 * client is gone; -errno. */
static int forward_connect(struct worker *worker, struct conn *conn)
{
	const struct serving_backend *target = conn_backend(conn);
	struct failover_asker asker = {
		.mint = &conn->mint,
		.ops = &mint_ops,
		.owner = conn,
	};
	const struct backend_client client = {
		.listener = conn->share->listener,
		.mint = conn->mint,
		.own = &conn->own,
		.hops = conn->hops,
	};
	struct side *backend = &conn->backend;
	int r;

	r = failover_admit(worker, conn->share, conn->serving, &conn->failover,
			   /* waits= */ conn->waiter, &conn->ports);
	if (r == 0 && conn->serving->transparent && !conn->mint)
		r = client_address(conn, &asker.client);
	if (r < 0)
		return r;
	backend->fd = failover_socket(worker, conn->share, conn->serving,
				      &conn->failover, &asker);
	if (backend->fd < 0)
		return TAKE_FD(backend->fd);
	/* It is registered only after this: an unconnected socket would report
	 * EPOLLHUP. */
	backend->poll.handler = backend_handler;
	backend->no_delay = target->address->sa_family == AF_UNIX;
	backend->hard = !backend->no_delay;
	return failover_connect(conn->serving, &conn->failover, conn->ports,
				backend->fd, &client);
}

/* A backend on this host is connected before connect(2) returns, although it
 * says EINPROGRESS; and by now the client may have said something. To write it
 * tells, and saves the wake-up that would. */
static void forward_early(struct worker *worker, struct conn *conn,
			  bool connected)
{
	enum tcp_result result = tcp_pump_early(worker, conn);

	if (result == TCP_FAILED) {
		tcp_reset(worker, conn);
	} else if (connected || result == TCP_AGAIN) {
		forward_open(worker, conn);
	} else {
		tcp_set_state(worker, conn, CONN_CONNECTING);
		tcp_run(worker, conn);
	}
}

static void forward_try(struct worker *worker, struct conn *conn);

static void forward_retry(struct worker *worker, void *owner)
{
	forward_try(worker, owner);
}

/* Waits for its backend if that may help. Return: does it? */
static bool forward_wait(struct worker *worker, struct conn *conn, int error)
{
	/* berthd's socket is used up, and to ask for others is no way to wait.
	 */
	if (conn->mint ||
	    !failover_wait(worker, conn->share, conn->serving, &conn->failover,
			   error, forward_retry, conn, &conn->waiter))
		return false;
	tcp_close_backend(worker, conn, /* reset= */ true);
	tcp_set_state(worker, conn, CONN_WAITING);
	tcp_run(worker, conn);
	return true;
}

static void forward_try(struct worker *worker, struct conn *conn)
{
	int r;

	do {
		r = forward_connect(worker, conn);
		if (r == -EINPROGRESS && conn->backend.fd < 0) {
			tcp_set_state(worker, conn, CONN_CONNECTING);
			tcp_run(worker, conn);
			return;
		}
		if (r == 0 || r == -EINPROGRESS) {
			forward_early(worker, conn, /* connected= */ r == 0);
			return;
		}
		if (forward_wait(worker, conn, r))
			return;
		/* The client is gone. That says nothing of the backend, and
		 * nobody is there to be served by another. */
		if (r == -ENOTCONN)
			break;
	} while (forward_next(worker, conn, -r));
	tcp_reset(worker, conn);
}

/* What was read of the client and what a backend was to be told before it is
 * kept as one, as no backend took any of it. Here it is told what @conn's
 * serving says, instead of what @old said.
 * Return: 0; -errno: the client is gone, or there is no memory or room. */
static int forward_introduce_anew(struct worker *worker, struct conn *conn,
				  const struct serving *old)
{
	uint8_t before[PROXY_HEADER_MAX];
	struct buffer *rest = conn->client.rest;
	ssize_t old_len = proxy_header(conn, old, before, sizeof(before));
	ssize_t len = proxy_header(conn, conn->serving, worker->scratch,
				   BUFFER_MAX_BYTES);
	size_t n = rest ? rest->end - rest->begin : 0;

	if (old_len < 0 || len < 0)
		return (int)(old_len < 0 ? old_len : len);
	if (n < (size_t)old_len)
		return -EPROTO;
	n -= (size_t)old_len;
	if ((size_t)len + n > BUFFER_MAX_BYTES)
		return -ENOBUFS;
	if (n > 0)
		memcpy(worker->scratch + len,
		       rest->data + rest->begin + old_len, n);
	tcp_drop(worker, conn, &conn->client);
	n += (size_t)len;
	return n > 0 ? tcp_keep(worker, conn, &conn->client, worker->scratch, n)
		     : 0;
}

static void forward_anew(struct worker *worker, struct conn *conn)
{
	if (conn->serving->action == SERVICE_FORWARD) {
		forward_try(worker, conn);
		return;
	}
	conn->n_fds--; /* the backend's */
	admit_give_fds(conn->share, 1);
	tcp_set_state(worker, conn, CONN_OPEN);
	tcp_run(worker, conn);
}

/* The rule changed while the question was on its way: the client is served as
 * the rule says now. Return: does it say something else? @conn may be dead. */
static bool forward_renew(struct worker *worker, struct conn *conn)
{
	struct serving *old = serving_ref(conn->serving);
	bool renewed = failover_renew(worker, conn->share, &conn->serving,
				      &conn->failover);

	if (renewed) {
		tcp_close_backend(worker, conn, /* reset= */ true);
		conn->active_us = worker->now_us;
		if (forward_introduce_anew(worker, conn, old) < 0)
			tcp_reset(worker, conn);
		else
			forward_anew(worker, conn);
	}
	(void)serving_unref(old);
	return renewed;
}

static void forward_minted(struct worker *worker, struct mint *mint)
{
	struct conn *conn = mint->owner;

	if (mint->error == ESTALE && forward_renew(worker, conn))
		return;
	if (mint->fd >= 0 || forward_next(worker, conn, mint->error))
		forward_try(worker, conn);
	else
		tcp_reset(worker, conn);
}

void tcp_forward_begin(struct worker *worker, struct conn *conn)
{
	if (conn->serving->proxy && forward_introduce(worker, conn) < 0) {
		tcp_reset(worker, conn);
		return;
	}
	conn->active_us = worker->now_us;
	(void)failover_pick(worker, conn->share, conn->serving,
			    &conn->failover); /* nothing was tried yet */
	forward_try(worker, conn);
}

void tcp_forward_timeout(struct worker *worker, struct conn *conn)
{
	backend_queue_leave(worker, &conn->waiter);
	if (forward_next(worker, conn, ETIMEDOUT))
		forward_try(worker, conn);
	else
		tcp_reset(worker, conn);
}

static void forward_answered(struct worker *worker, struct conn *conn,
			     uint32_t events)
{
	socklen_t len = sizeof(int);
	int error = conn->backend.error;

	if (error == 0 && (events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(conn->backend.fd, SOL_SOCKET, SO_ERROR, &error, &len) <
		    0)
		error = errno;
	if (error == 0) {
		forward_open(worker, conn);
	} else if (forward_next(worker, conn, error)) {
		forward_try(worker, conn);
	} else {
		tcp_reset(worker, conn);
	}
}

static void backend_handler(struct worker *worker, struct pollable *pollable,
			    uint32_t events)
{
	struct conn *conn = container_of(pollable, struct conn, backend.poll);

	if (conn->backend.fd < 0)
		return; /* closed earlier in this batch */
	if (conn->state == CONN_CONNECTING) {
		tcp_note(&conn->backend, events);
		forward_answered(worker, conn, events);
		return;
	}
	tcp_note(&conn->backend, events);
	tcp_run(worker, conn);
	if (!tcp_is_dead(conn) && conn->backend.fd >= 0 && (events & EPOLLERR))
		tcp_reset(worker, conn);
}

enum tcp_result tcp_forward_run(struct worker *worker, struct conn *conn)
{
	struct side *client = &conn->client, *backend = &conn->backend;
	enum tcp_result up, down;

	up = tcp_pump(worker, conn, client, backend);
	down = tcp_pump(worker, conn, backend, client);
	if (up == TCP_FAILED || down == TCP_FAILED)
		return TCP_FAILED;
	if (backend->eof && client->shut) {
		if (client->eof && backend->shut) {
			tcp_end(worker, conn);
			return TCP_WAITS;
		}
		if (backend->broken) {
			tcp_set_state(worker, conn, CONN_DRAINING);
			return TCP_AGAIN;
		}
	}
	return up == TCP_AGAIN || down == TCP_AGAIN ? TCP_AGAIN : TCP_WAITS;
}
