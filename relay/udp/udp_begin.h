/* SPDX-License-Identifier: Apache-2.0 */
/* udp_begin.h - how UDP sessions begin: room for one more, and its socket */
#ifndef RELAY_UDP_UDP_BEGIN_H
#define RELAY_UDP_UDP_BEGIN_H

#include <stdint.h>

#include "relay/core/counters.h"

struct minted;
struct udp_front;
struct udp_key;
struct udp_session;
struct worker;

/**
 * udp_begin() - begins a session for the client of @key, which has none
 *
 * It is connected to a backend, or waits for a socket of berthd's if
 * session.ask is set. Other sessions may end for it.
 * @why:	set where there is none: as what its datagrams count
 *
 * Return: NULL: there is no room, no backend, or the client must not be served;
 * it is counted and logged.
 */
struct udp_session *udp_begin(struct worker *worker, struct udp_front *front,
			      const struct udp_key *key, enum berth_drop *why);

/**
 * udp_begin_minted() - goes on with a session whose request berthd answered
 * @minted:	the answer; the session's from now on
 *
 * A function for struct udp_ask_ops: connects @session with the socket of
 * @minted or to another backend. Return: 0; -EINPROGRESS: berthd was asked for
 * another socket; -errno of the last backend.
 */
int udp_begin_minted(struct worker *worker, struct udp_session *session,
		     struct minted *minted);

#endif
