/* SPDX-License-Identifier: Apache-2.0 */
/* udp_ask.h - sessions that wait for a socket of berthd's */
#ifndef RELAY_UDP_UDP_ASK_H
#define RELAY_UDP_UDP_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/udp/udp_held.h"
#include "relay/udp/udp_session.h"

struct udp_ask;
struct udp_front;
struct udp_session;
struct worker;

/**
 * struct udp_asks - of one listener; zero-initialize
 * @sent:	the main thread has their questions, oldest first; some are of
 *		sessions that ended
 * @waiting:	for their turn, in order
 * @n:		of both
 * @held_bytes:	of the datagrams that all of them hold
 * @rest_until_us: berthd had none a moment ago
 */
struct udp_asks {
	struct udp_ask *sent, *waiting; /* heads of utlist.h DLs */
	size_t n;
	size_t n_sent;
	size_t held_bytes;
	uint64_t rest_until_us;
};

/** udp_ask_may() - may one more session of @front begin to wait? */
bool udp_ask_may(struct worker *worker, struct udp_front *front);

/**
 * udp_ask() - asks for a socket to backend number session.backend
 * @tried:	bits of the backends that failed already
 *
 * Sets session.ask, or asks once more with the one that is there.
 * Return: -EINPROGRESS; -ENOMEM; with `transparent` as of udp_key_stand_in().
 */
int udp_ask(struct worker *worker, struct udp_session *session, uint64_t tried);

/** udp_ask_hold() - keeps what it can of slots @first to @end - 1 of
 * udp_worker.in for @session, which waits. Return: how many datagrams. */
uint64_t udp_ask_hold(struct worker *worker, struct udp_session *session,
		      size_t first, size_t end);

/** udp_ask_leave() - @session ends, and waits no more. Return: how many
 * datagrams were held for it; 0 when it did not wait. */
uint64_t udp_ask_leave(struct worker *worker, struct udp_session *session);

/**
 * struct udp_waited - what a client said whose session is to begin anew
 * @again:	its question was stale before
 */
struct udp_waited {
	struct udp_waited *next;
	struct udp_key key;
	struct udp_held held;
	bool again;
};

/**
 * udp_asks_take() - ends the sessions of @front that wait
 * @only_stale:	those whose question the rule's change made stale
 *
 * Return: what was held for them, each to be freed by the caller; NULL:
 * nothing.
 */
struct udp_waited *udp_asks_take(struct worker *worker, struct udp_front *front,
				 bool only_stale);

/** udp_ask_again() - @session, which may be NULL, has begun anew: if it waits,
 * the next stale question ends it */
void udp_ask_again(struct udp_session *session);

/** udp_asks_end() - @front ends, and has no session any more */
void udp_asks_end(struct worker *worker, struct udp_front *front);

#endif
