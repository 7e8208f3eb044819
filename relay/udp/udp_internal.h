/* SPDX-License-Identifier: Apache-2.0 */
/* udp_internal.h - what the files of UDP share */
#ifndef RELAY_UDP_UDP_INTERNAL_H
#define RELAY_UDP_UDP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/counters.h"
#include "relay/core/listener.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/timer.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_ask.h"
#include "relay/udp/udp_batch.h"
#include "relay/udp/udp_held.h"
#include "relay/udp/udp_session.h"

struct mint;
struct worker;

/**
 * struct udp_front - a share's sessions
 * @asks:	of those that wait for a socket of berthd's
 * @expire:	set while there is a session
 * @own:	the listening socket's address
 * @overflow:	how many datagrams the kernel ever dropped because nobody read
 *		them in time
 */
struct udp_front {
	struct share *share;
	struct udp_table *table;
	struct udp_asks asks;
	struct timer expire;
	union udp_address own;
	uint32_t overflow;
};

/**
 * struct udp_worker - what all UDP listeners of a worker share
 * @in:		from clients: received, passed on, and forgotten at once
 * @keys:	of the slots of @in
 * @out:	answers, on their way until the end of the batch of events
 * @receivers:	the session whose client gets each message of @out. A session
 *		that ended meanwhile is still in memory: udp_flush() comes
 *		before the dead are freed
 * @header:	of the PROXY protocol, while it is sent
 * @n_asks, @held_bytes: see struct udp_asks; of all listeners
 */
struct udp_worker {
	struct udp_pool pool;
	struct udp_batch in;
	struct udp_key keys[UDP_BATCH];
	struct udp_batch out;
	struct udp_session *receivers[UDP_BATCH];
	uint8_t header[PROXY_HEADER_MAX];
	size_t n_asks;
	size_t held_bytes;
};

/** udp_worker_of() - what @worker has for UDP; NULL before its first listener
 */
static inline struct udp_worker *udp_worker_of(const struct worker *worker)
{
	return worker->protocol_data[PROTOCOL_UDP];
}

/** udp_counters() - where @front counts */
static inline struct counters *udp_counters(const struct udp_front *front)
{
	return share_counters(front->share);
}

/** udp_serving() - what is done with the datagrams of @session */
static inline struct serving *udp_serving(const struct udp_session *session)
{
	const struct udp_front *front = udp_table_owner(session->table);

	return front->share->serving;
}

/**
 * udp_begin_anew() - handles what clients said as if it had come now
 * @waited:	of udp_asks_take(); freed
 *
 * udp_worker.in must not be in use.
 */
void udp_begin_anew(struct worker *worker, struct udp_front *front,
		    struct udp_waited *waited);

/** udp_front_answers() - @front is about to answer the client of @key */
void udp_front_answers(const struct worker *worker,
		       const struct udp_front *front,
		       const struct udp_key *key);

/** udp_count_sent() - counts what went to clients through @front */
void udp_count_sent(struct worker *worker, struct udp_front *front,
		    const struct udp_outcome *outcome);

/**
 * udp_front_is_own() - does a datagram of @key come from the listener's own
 * port, on an address of its own namespace?
 *
 * Nobody else can have that port there: it is an answer to a question that was
 * forged, and its answer would be the next such question.
 */
bool udp_front_is_own(const struct udp_front *front, const struct udp_key *key);

/**
 * udp_forward() - passes slots @first to @end - 1 of udp_worker.in, which
 * are all of the client of keys[@first], to its backend
 */
void udp_forward(struct worker *worker, struct udp_front *front, size_t first,
		 size_t end);

/** udp_flush() - sends the answers that sessions received since the last call
 */
void udp_flush(struct worker *worker);

/** udp_forward_end() - ends all sessions of @front */
void udp_forward_end(struct worker *worker, struct udp_front *front);

/** udp_forward_evict() - ends @session, because room is needed */
void udp_forward_evict(struct worker *worker, struct udp_session *session);

/** udp_forward_close() - ends @session */
void udp_forward_close(struct worker *worker, struct udp_session *session);

/** udp_forward_refused() - ends @session, which could not be connected; @error
 * is negative */
void udp_forward_refused(struct worker *worker, struct udp_session *session,
			 int error);

/** udp_forward_held() - @session is connected: passes on what was held for it
 */
void udp_forward_held(struct worker *worker, struct udp_session *session,
		      struct udp_held *held);

/** udp_forward_handler() - a session's handler */
void udp_forward_handler(struct worker *worker, struct pollable *pollable,
			 uint32_t events);

/** udp_forward_expire() - timer handler of udp_front.expire */
void udp_forward_expire(struct timer *timer, void *user_data);

/**
 * udp_connect() - connects @session to the backend whose turn it is, or else to
 * the next that can be
 *
 * Return: 0; -EINPROGRESS: it waits, see session.ask; the -errno of the last
 * one.
 */
int udp_connect(struct worker *worker, struct udp_session *session);

/** udp_connect_is_clients() - is @error, of a socket that stands in for the
 * client, of its address, so that no backend would do better? */
bool udp_connect_is_clients(const struct serving *serving, int error);

/** udp_connect_blames() - is @error, of a socket that was not connected, the
 * backend's? Then udp_connect() says so in the log. */
bool udp_connect_blames(const struct serving *serving, int error);

/**
 * udp_connect_minted() - goes on with the answer to session.ask
 * @mint:	the session takes it if it becomes session.mint
 * @tried:	bits of the backends that failed
 *
 * Return: as udp_connect().
 */
int udp_connect_minted(struct worker *worker, struct udp_session *session,
		       struct mint *mint, uint64_t *tried);

/** udp_give_port() - @session's socket is closed, or was never there */
void udp_give_port(struct udp_session *session);

#endif
