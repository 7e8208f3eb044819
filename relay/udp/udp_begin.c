// SPDX-License-Identifier: Apache-2.0
/* udp_begin.c - how UDP sessions begin: room for one more, and its socket
 *
 * Theory of operation: each session has a socket of its own, which is connected
 * to the backend. So the kernel sorts the backend's answers by client, lets
 * nobody else speak into a session, and reports an ICMP error where it belongs.
 * New sessions are spread over the backends as the rule's `balance` says.
 *
 * With `transparent` the backend sees the client's address and the client's
 * port, too: protocols of datagrams tell peers apart by both, and some have a
 * port of their own. No other port is taken instead. If another socket has that
 * port in that namespace already, the client has no session, and this is
 * counted. The port is not shared (SO_REUSEADDR) either: two sessions of one
 * client with one backend would then get each other's answers.
 */
#include "relay/udp/udp_begin.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/backend/backend_connect.h"
#include "relay/backend/failover.h"
#include "relay/core/admission.h"
#include "relay/core/gate.h"
#include "relay/core/lifetime.h"
#include "relay/core/minted.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_end.h"
#include "relay/udp/udp_front.h"
#include "relay/udp/udp_ports.h"
#include "relay/udp/udp_socket.h"
#include "relay/udp/udp_to_client.h"

/* The socket */

/* Binds a UNIX socket to no name: the kernel gives it one that is not taken, by
 * which the backend tells sessions apart and answers them. */
static int bind_unix(int fd)
{
	static const struct sockaddr unnamed = { .sa_family = AF_UNIX };

	return bind(fd, &unnamed, sizeof(unnamed.sa_family)) < 0 ? -errno : 0;
}

/* Makes the session's socket, or takes that of berthd's answer, and connects it
 * to @target. Return: 0 or -errno. */
static int open_socket(struct udp_session *session,
		       const struct serving_backend *target)
{
	const struct listener *listener =
		udp_front_of(session)->share->listener;
	struct minted *minted = session->upstream.minted;
	int family = target->address->sa_family, r = 0;
	_cleanup_close_ int fd =
		minted ? TAKE_FD(minted->fd)
		       : socket(family,
				SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (family == AF_UNIX)
		r = bind_unix(fd);
	else
		udp_socket_prepare(fd, family);
	if (r == 0)
		r = backend_connect(fd, target, listener, &session->upstream);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	session->fd = TAKE_FD(fd);
	/* A datagram socket connects at once: berthd's is of another kind. */
	return r == -EINPROGRESS ? -EPROTOTYPE : r;
}

/* Backends */

/* The namespace of the backend goes. */
static void minted_gone(struct worker *worker, struct minted *minted)
{
	udp_end(worker, minted->owner, BERTH_ENDING_NETNS_GONE);
}

static const struct minted_ops minted_ops = { .gone = minted_gone };

/* Connects to the backend that was picked. Return: 0; -EINPROGRESS: berthd was
 * asked for a socket; -errno. */
static int try_backend(struct worker *worker, struct udp_session *session)
{
	struct udp_front *front = udp_front_of(session);
	const struct serving_backend *target =
		&front->share->serving->backends[session->upstream.index];
	bool minted = session->upstream.minted;
	int r;

	if (target->minted && !minted)
		return udp_ask(worker, &front->asks, session);
	r = udp_ports_take(worker, session, target->ports);
	if (r < 0)
		return r;
	r = open_socket(session, target);
	/* A socket of berthd's is lost then. The client's next datagram may
	 * find a port. */
	if (r == -EAGAIN && target->ports && udp_ports_free(worker, session) &&
	    !minted)
		r = open_socket(session, target);
	if (r < 0)
		return r;
	/* UNIX sockets know nothing of merging. */
	session->apart_to_backend = session->merges =
		target->address->sa_family == AF_UNIX;
	session->poll.handler = udp_to_client_handler;
	return worker_watch(worker, session->fd, EPOLLIN, &session->poll);
}

/* Gives up the backend that was picked, which failed with @error, a positive
 * errno. Return: is there another one to try? */
static bool next_backend(struct worker *worker, struct udp_session *session,
			 int error)
{
	struct share *share = udp_front_of(session)->share;
	struct serving *serving = share->serving;

	udp_end_socket(worker, session);
	if (error == EDQUOT) {
		counters_limited(share_counters(share), BERTH_LIMIT_PORTS);
		return false;
	}
	if (udp_error_blames(serving, error))
		return failover_next(worker, share, serving, &session->upstream,
				     error);
	counters_failed(share_counters(share), error);
	return !udp_error_is_clients(serving, error) &&
	       udp_error_verdict(UDP_ORIGIN_CONNECT, error) ==
		       UDP_VERDICT_ELSEWHERE &&
	       failover_skip(worker, serving, &session->upstream);
}

/* Goes on after try_backend() returned @r: tries the other backends until one
 * is connected to or waited for. Return: as try_backend() of the last one. */
static int connect_session(struct worker *worker, struct udp_session *session,
			   int r)
{
	while (r < 0 && r != -EINPROGRESS && next_backend(worker, session, -r))
		r = try_backend(worker, session);
	return r;
}

int udp_begin_minted(struct worker *worker, struct udp_session *session,
		     struct minted *minted)
{
	int r = -minted->error;

	minted->ops = &minted_ops;
	minted->owner = session;
	session->upstream.minted = minted;
	if (minted->fd >= 0)
		r = try_backend(worker, session);
	r = connect_session(worker, session, r);
	if (r == 0)
		session->began_us = worker->now_us; /* with this backend */
	return r;
}

/* Room */

static bool take_session(const struct udp_front *front, enum berth_limit *met)
{
	return admission_take(front->share->listener->netns, ADMISSION_SESSIONS,
			      1, met);
}

/* Makes room for one more session. The namespace of @front gives way if it has
 * its share of them. Only a namespace that has none here takes from the one
 * that has most, as all traffic together may have too much. Return: is there
 * room? If not, *@met left none. */
static bool make_room(struct worker *worker, struct udp_front *front,
		      enum berth_limit *met)
{
	uint32_t limit = front->share->serving->max_connections;
	struct udp_session *victim;

	while ((victim = udp_table_victim(front->table, limit)))
		udp_end_evicted(worker, victim, BERTH_LIMIT_MAX_CONNECTIONS);
	if (take_session(front, met))
		return true;
	victim = udp_table_concede(front->table);
	if (!victim && admission_has_room(front->share->listener->netns,
					  ADMISSION_SESSIONS, 1))
		victim = udp_pool_greediest(&front->udp->pool);
	if (victim) {
		udp_end_evicted(worker, victim, *met);
		if (take_session(front, met))
			return true;
	}
	return false;
}

/* Return: as own_arrival_hops(). */
static int arrival_hops(const struct udp_front *front,
			const struct udp_key *key)
{
	struct own_arrival arrival;
	struct ip_addr to;

	if (!own_sockets_any(PROTOCOL_UDP))
		return 0;
	udp_key_ends(key, &arrival.from, &to);
	arrival.from_port = ntohs(key->port);
	arrival.to = &to;
	arrival.n_to = to.family == AF_UNSPEC ? 0 : 1;
	return share_arrival_hops(front->share, &arrival);
}

/* Return: the session, in the table, with room for its timer; NULL: no memory.
 */
static struct udp_session *add_session(struct worker *worker,
				       struct udp_front *front,
				       const struct udp_key *key)
{
	bool limited = front->share->serving->max_lifetime_us > 0;
	struct udp_session *session =
		udp_table_add(front->table, key, limited, worker->now_us);

	if (!session || !limited)
		return session;
	if (timers_reserve(&worker->timers) < 0) {
		udp_session_remove(session);
		free(session);
		return NULL;
	}
	session->lifetime->handler = udp_end_old;
	return session;
}

/* Also if nobody asks for it now: while the session waits for a socket, the
 * rule may become another one. */
static void note_client(struct udp_session *session)
{
	struct ip_addr client, local;

	udp_key_ends(&session->key, &client, &local);
	failover_client(&session->upstream, &client);
}

/* Return: 0: the session is in the table and connected, or waits; -errno: it is
 * gone. */
static int begin_in_room(struct worker *worker, struct udp_front *front,
			 const struct udp_key *key, uint8_t hops,
			 struct udp_session **ret_session)
{
	struct udp_session *session = add_session(worker, front, key);
	const struct serving *serving = front->share->serving;
	int r;

	if (!session)
		return -ENOMEM;
	session->upstream.hops = hops;
	note_client(session);
	(void)failover_pick(worker, serving,
			    &session->upstream); /* nothing was tried yet */
	r = connect_session(worker, session, try_backend(worker, session));
	if (r < 0 && r != -EINPROGRESS) {
		if (session->limited)
			timers_unreserve(&worker->timers, session->lifetime);
		udp_session_remove(session);
		free(session); /* no event can point to it yet */
		return r;
	}
	*ret_session = session;
	return 0;
}

static void session_describe(const struct worker *worker,
			     const struct roster_entry *entry,
			     struct roster_record *record)
{
	const struct udp_session *session =
		container_of(entry, const struct udp_session, entry);
	const struct listener *listener =
		udp_front_of(session)->share->listener;

	record->listener = listener->id;
	record->serving = serving_ref(udp_front_serving(session));
	record->backend = session->upstream.index;
	record->state = session->ask ? "waiting" : "open";
	record->idle_us = worker->now_us - session->active_us;
	udp_key_ends(&session->key, &record->client, &record->local);
	record->client_port = ntohs(session->key.port);
	record->local_port = listener->port;
}

static void session_end(struct worker *worker, struct roster_entry *entry)
{
	udp_end(worker, container_of(entry, struct udp_session, entry),
		BERTH_ENDING_CLOSED_BY_HAND);
}

static const struct roster_ops roster_ops = {
	.describe = session_describe,
	.end = session_end,
};

/* A client whose session has failed may be left out by now. Return: if not,
 * *@why says why. */
static bool may_begin(struct worker *worker, const struct udp_front *front,
		      const struct udp_key *key, enum berth_drop *why)
{
	const struct serving *serving = front->share->serving;
	struct ip_addr client, local;

	if (!gate_asks(serving))
		return true;
	udp_key_ends(key, &client, &local);
	*why = BERTH_DROP_NOT_ADMITTED;
	if (!gate_admits(serving, &client, 1))
		return false;
	*why = BERTH_DROP_RATE_LIMIT;
	return gate_has_rate(worker, front->share, &serving->limits, &client,
			     NULL);
}

/* Return: is there room for one more session? If not, that is counted. */
static bool has_room(struct worker *worker, struct udp_front *front)
{
	enum berth_limit met = BERTH_LIMIT_WAITING;

	if (udp_asks_may(worker, &front->asks) &&
	    make_room(worker, front, &met))
		return true;
	counters_limited(udp_front_counters(front), met);
	return false;
}

struct udp_session *udp_begin(struct worker *worker, struct udp_front *front,
			      const struct udp_key *key, enum berth_drop *why)
{
	struct share *share = front->share;
	struct udp_session *session;
	int r, hops = arrival_hops(front, key);

	*why = BERTH_DROP_CIRCLE;
	if (hops < 0 || !may_begin(worker, front, key, why))
		return NULL;
	*why = BERTH_DROP_LIMIT;
	if (!has_room(worker, front))
		return NULL;
	r = begin_in_room(worker, front, key, (uint8_t)hops, &session);
	if (r < 0) {
		*why = udp_error_drop(UDP_ORIGIN_CONNECT, -r);
		admission_give(share->listener->netns, ADMISSION_SESSIONS, 1);
		udp_end_log_refused(worker, front, r);
		return NULL;
	}
	counters_add(udp_front_counters(front), COUNTER_ACCEPTED, 1);
	roster_add(&worker->rosters[ROSTER_SESSIONS], &roster_ops,
		   &session->entry, worker->now_us);
	timer_set_earlier(&worker->timers, &front->expire,
			  worker->now_us + share->serving->idle_timeout_us);
	if (session->limited)
		timer_set(&worker->timers, session->lifetime,
			  worker->now_us +
				  lifetime_us(share->serving->max_lifetime_us,
					      session->entry.number));
	return session;
}
