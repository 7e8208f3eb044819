// SPDX-License-Identifier: Apache-2.0
/* udp_connect.c - the socket of a session, and what it is connected to
 *
 * With `transparent` the backend sees the client's address and its port, too:
 * protocols of datagrams tell peers apart by both, and some have a port of
 * their own. No other port is taken instead. If another socket has it in that
 * namespace already, that client has no session, and this is counted. It is
 * not shared (SO_REUSEADDR) either: two sessions of one client with one backend
 * would then get each other's answers.
 *
 * Any other session takes one of the local ports, of which there are much fewer
 * than descriptors. A namespace that has its share of them gives one of its own
 * sessions for the next. When the kernel has none, because others use them,
 * too, the namespace with most gives way, in all workers.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/backend/backend_connect.h"
#include "relay/core/backend_health.h"
#include "relay/backend/backend_log.h"
#include "relay/core/mint.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/udp/udp_internal.h"
#include "relay/udp/udp_socket.h"
#include "relay/core/outbox.h"
#include "relay/core/worker.h"

/* Sessions that a namespace gives for one that it wants, when it has more than
 * its share: more than one, so that the share is reached some time. */
#define CONCEDE_MAX 4

/* Sessions that the greediest namespace gives at once when ports are out. */
#define SHED_MAX 8

/* To no name: the kernel gives one that is not taken, by which the backend
 * knows the session and answers it. */
static int bind_unix(int fd)
{
	static const struct sockaddr unnamed = { .sa_family = AF_UNIX };

	return bind(fd, &unnamed, sizeof(unnamed.sa_family)) < 0 ? -errno : 0;
}

/* A socket that is connected to @target: that of @mint, or else one of its own.
 * Return: it, or -errno. */
static int backend_open(struct udp_session *session,
			const struct serving_backend *target, struct mint *mint)
{
	int family = target->address->sa_family;
	const struct udp_front *front = udp_table_owner(session->table);
	const struct backend_client client = {
		.listener = front->share->listener,
		.mint = mint,
		.own = &session->own,
		.hops = session->hops,
	};
	_cleanup_close_ int fd = mint ? TAKE_FD(mint->fd) : -1;
	int r = 0;

	if (fd < 0)
		fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			    0);
	if (fd < 0)
		return -errno;
	if (family == AF_UNIX)
		r = bind_unix(fd);
	else
		udp_socket_prepare(fd, family);
	if (r < 0)
		return r;
	r = backend_connect(fd, target, &client);
	if (r == 0)
		return TAKE_FD(fd);
	session->own = own_socket_free(session->own);
	/* Datagrams wait for nobody: berthd's is of another kind. */
	return r == -EINPROGRESS ? -EPROTOTYPE : r;
}

/* Ends what it is told to, but @session, which is about to begin.
 * Return: was there something? */
static bool evict_other(struct worker *worker,
			const struct udp_session *session,
			struct udp_session *victim)
{
	if (!victim || victim == session)
		return false;
	udp_forward_evict(worker, victim);
	return true;
}

void udp_give_port(struct udp_session *session)
{
	const struct udp_front *front = udp_table_owner(session->table);

	admission_give_port(front->share->listener->netns, session->ports);
	session->ports = 0;
}

/* Has the namespace with most local ports of @space end some sessions; in other
 * workers the main thread sees to that. Return: was one ended here? */
static bool shed_greediest(struct worker *worker, struct udp_session *session,
			   uint32_t space)
{
	bool freed = false;

	outbox_ports_short(worker->outbox, space);
	for (int i = 0; i < SHED_MAX; i++) {
		struct udp_session *victim =
			udp_pool_greediest(&udp_worker_of(worker)->pool);
		const struct udp_front *front;

		if (!victim)
			break;
		/* Else the greediest is another worker's. */
		front = udp_table_owner(victim->table);
		if (!admission_is_greedy(front->share->listener->netns,
					 space) ||
		    !evict_other(worker, session, victim))
			break;
		freed = true;
	}
	return freed;
}

/*
 * Takes one more local port. Return: 0; -EDQUOT: its namespace has as many as
 * it may; -EAGAIN: others have what a space holds that shrank, and were told to
 * give way.
 */
static int take_port(struct worker *worker, struct udp_session *session,
		     uint32_t space)
{
	const struct udp_front *front = udp_table_owner(session->table);
	struct admission *netns = front->share->listener->netns;
	bool taken = admission_take_port(netns, space, worker->now_us);

	for (int i = 0; !taken && i < CONCEDE_MAX; i++) {
		if (!evict_other(worker, session,
				 udp_table_concede(session->table)))
			break;
		taken = admission_take_port(netns, space, worker->now_us);
	}
	if (!taken && admission_is_greedy(netns, space))
		return -EDQUOT;
	if (!taken && shed_greediest(worker, session, space))
		taken = admission_take_port(netns, space, worker->now_us);
	if (!taken)
		return -EAGAIN;
	session->ports = space;
	return 0;
}

/* The kernel has no local port. Return: is one free now? */
static bool free_ports(struct worker *worker, struct udp_session *session)
{
	admission_ports_short(session->ports, worker->now_us);
	return shed_greediest(worker, session, session->ports);
}

/* Return: as backend_open(). */
static int backend_open_with_port(struct worker *worker,
				  struct udp_session *session,
				  const struct serving_backend *target,
				  struct mint *mint)
{
	int r = take_port(worker, session, target->ports);

	if (r < 0)
		return r;
	r = backend_open(session, target, mint);
	/* One that berthd made is lost; the next question may find a port. */
	if (r == -EAGAIN && session->ports && free_ports(worker, session) &&
	    !mint)
		r = backend_open(session, target, NULL);
	if (r < 0)
		udp_give_port(session);
	return r;
}

/* Connects to backend number session.backend. Return: as udp_connect(). */
static int session_try(struct worker *worker, struct udp_session *session,
		       struct mint *mint, uint64_t tried)
{
	const struct serving_backend *target =
		&udp_serving(session)->backends[session->backend];
	int family = target->address->sa_family, r;

	if (target->minted && !mint)
		return udp_ask(worker, session, tried);
	r = backend_open_with_port(worker, session, target, mint);
	if (r < 0)
		return r;
	session->fd = r;
	session->poll.handler = udp_forward_handler;
	r = worker_watch(worker, session->fd, EPOLLIN, &session->poll);
	if (r < 0) {
		session->own = own_socket_free(session->own);
		(void)close(TAKE_FD(session->fd)); /* unused so far */
		udp_give_port(session);
		return r;
	}
	/* UNIX sockets know nothing of merging. */
	session->apart_to_backend = session->merges = family == AF_UNIX;
	session->mint = mint;
	if (mint)
		mint->owner = session;
	return 0;
}

bool udp_connect_is_clients(const struct serving *serving, int error)
{
	return serving->transparent &&
	       (error == EADDRINUSE || /* somebody has its port */
		error == EACCES || /* which needs a privilege */
		error == EADDRNOTAVAIL); /* nobody may have its address */
}

bool udp_connect_blames(const struct serving *serving, int error)
{
	return !udp_connect_is_clients(serving, error) &&
	       udp_error_verdict(UDP_ORIGIN_CONNECT, error) >=
		       UDP_VERDICT_SOCKET;
}

/* Notes that backend number session.backend was not reached, and says so if it
 * is to blame. */
static void session_missed(struct worker *worker, struct udp_session *session,
			   int error, uint64_t *tried)
{
	const struct udp_front *front = udp_table_owner(session->table);
	struct serving *serving = udp_serving(session);

	*tried |= UINT64_C(1) << session->backend;
	if (!udp_connect_blames(serving, error))
		return;
	backend_failed(serving, session->backend, worker->now_us);
	backend_log_failed(worker, front->share->listener, serving,
			   session->backend, strerror(error),
			   backend_all_tried(serving, *tried)
				   ? "dropping datagrams"
				   : "trying the next");
}

/* After backend number session.backend.
 * Return: is another one worth a try? */
static bool session_may_retry(struct worker *worker,
			      struct udp_session *session, int error,
			      uint64_t *tried)
{
	const struct udp_front *front = udp_table_owner(session->table);
	const struct serving *serving = udp_serving(session);

	if (error == EDQUOT) {
		counters_add(udp_counters(front), COUNTER_LIMITED, 1);
		return false;
	}
	counters_failed(udp_counters(front), error);
	if (udp_connect_is_clients(serving, error) ||
	    udp_error_verdict(UDP_ORIGIN_CONNECT, error) <
		    UDP_VERDICT_ELSEWHERE)
		return false;
	session_missed(worker, session, error, tried);
	return true;
}

/* @r: what the last one failed with */
static int session_connect(struct worker *worker, struct udp_session *session,
			   uint64_t *tried, int r)
{
	const struct udp_front *front = udp_table_owner(session->table);
	int index;

	while ((index = backend_pick(udp_serving(session),
				     &front->share->next_backend, *tried,
				     worker->now_us)) >= 0) {
		session->backend = (uint8_t)index;
		r = session_try(worker, session, NULL, *tried);
		if (r == 0 || r == -EINPROGRESS ||
		    !session_may_retry(worker, session, -r, tried))
			break;
	}
	return r;
}

int udp_connect(struct worker *worker, struct udp_session *session)
{
	uint64_t tried = 0;

	return session_connect(worker, session, &tried, -ECONNREFUSED);
}

int udp_connect_minted(struct worker *worker, struct udp_session *session,
		       struct mint *mint, uint64_t *tried)
{
	int r = mint->fd < 0 ? -mint->error
			     : session_try(worker, session, mint, *tried);

	if (r < 0 && session_may_retry(worker, session, -r, tried))
		r = session_connect(worker, session, tried, r);
	return r;
}
