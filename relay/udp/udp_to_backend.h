/* SPDX-License-Identifier: Apache-2.0 */
/* udp_to_backend.h - from clients to backends: datagrams of a client go to its
 * session
 */
#ifndef RELAY_UDP_UDP_TO_BACKEND_H
#define RELAY_UDP_UDP_TO_BACKEND_H

#include <stddef.h>

struct udp_front;
struct udp_held;
struct udp_session;
struct worker;

/**
 * udp_to_backend() - passes datagrams of one client to its backend
 * @first, @end: slots @first to @end - 1 of udp_worker.in; their client is
 *		that of udp_worker.keys[@first]
 *
 * Begins a session if the client has none. What cannot be sent is dropped, and
 * counted.
 */
void udp_to_backend(struct worker *worker, struct udp_front *front,
		    size_t first, size_t end);

/**
 * udp_to_backend_held() - passes on what was held for @session, which has a
 * socket now
 * @held:	is empty afterwards
 *
 * A function for struct udp_ask_ops. udp_worker.in must not be in use.
 * @session may have ended afterwards.
 */
void udp_to_backend_held(struct worker *worker, struct udp_session *session,
			 struct udp_held *held);

#endif
