/* SPDX-License-Identifier: Apache-2.0 */
/* udp_front.h - the side of the clients: what a worker has for UDP, and what
 * each of its shares in a UDP listener has
 */
#ifndef RELAY_UDP_UDP_FRONT_H
#define RELAY_UDP_UDP_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/backend/proxy_header.h"
#include "relay/core/admission.h"
#include "relay/core/counters.h"
#include "relay/core/listener.h"
#include "relay/core/timer.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_address.h"
#include "relay/udp/udp_ask.h"
#include "relay/udp/udp_batch.h"
#include "relay/udp/udp_session.h"

/**
 * struct udp_front - what a share in a UDP listener has: share.protocol_data
 * @udp:	what the worker has
 * @table:	the sessions
 * @asks:	those sessions that wait for a socket of berthd's
 * @expire:	set while there is a session
 * @own:	the listening socket's address
 * @overflow:	how many datagrams the kernel ever dropped because the socket
 *		was full
 */
struct udp_front {
	struct share *share;
	struct udp_worker *udp;
	struct udp_table *table;
	struct udp_asks asks;
	struct timer expire;
	union udp_address own;
	uint32_t overflow;
};

/**
 * struct udp_worker - what all UDP listeners of a worker share:
 * worker.protocol_data
 * @pool:	all sessions of the worker
 * @in:		datagrams of clients: received, passed on, and forgotten at once
 * @keys:	of the slots of @in
 * @out:	answers, until they are sent at the end of the batch of events
 * @receivers:	the session whose client gets each message of @out. A session
 *		that ended meanwhile is still in memory: udp_to_client_flush()
 *		comes before the dead are freed
 * @header:	of the PROXY protocol, while it is sent
 * @waiting:	sessions that wait for a socket of berthd's
 */
struct udp_worker {
	struct udp_pool pool;
	struct udp_batch in;
	struct udp_key keys[UDP_BATCH];
	struct udp_batch out;
	struct udp_session *receivers[UDP_BATCH];
	uint8_t header[PROXY_HEADER_MAX];
	struct admission_waiting waiting;
};

/** udp_worker_of() - what @worker has for UDP; NULL before its first listener
 */
static inline struct udp_worker *udp_worker_of(const struct worker *worker)
{
	return worker->protocol_data[PROTOCOL_UDP];
}

/** udp_front_of() - the front whose client @session is for */
static inline struct udp_front *udp_front_of(const struct udp_session *session)
{
	return udp_table_owner(session->table);
}

/** udp_front_counters() - where @front counts */
static inline struct counters *udp_front_counters(const struct udp_front *front)
{
	return share_counters(front->share);
}

/** udp_front_serving() - what is done with the datagrams of @session */
static inline struct serving *
udp_front_serving(const struct udp_session *session)
{
	return udp_front_of(session)->share->serving;
}

/**
 * udp_front_answers() - notes that @front is about to answer the client of @key
 *
 * So that another listener of berth's does not answer the answer, see
 * udp_answers.h.
 */
void udp_front_answers(const struct worker *worker,
		       const struct udp_front *front,
		       const struct udp_key *key);

/** udp_front_dropped() - @n datagrams are lost, to or from clients of @front,
 * because of @why */
void udp_front_dropped(const struct udp_front *front, enum berth_drop why,
		       uint64_t n);

/** udp_front_count_drops() - counts what @outcome says was dropped. Return: how
 * many datagrams. */
uint64_t udp_front_count_drops(const struct udp_front *front,
			       const struct udp_outcome *outcome);

/** udp_front_count_sent() - counts what was sent to clients through @front, and
 * logs why something could not be sent */
void udp_front_count_sent(struct worker *worker, struct udp_front *front,
			  const struct udp_outcome *outcome);

/**
 * udp_front_is_own() - was a datagram of @key sent from the listener's own
 * port, on an address of its own namespace?
 *
 * Nobody else can have that port there. So the source is forged, and an answer
 * would come to the listener as the next such datagram.
 */
bool udp_front_is_own(const struct udp_front *front, const struct udp_key *key);

#endif
