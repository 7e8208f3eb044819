/* SPDX-License-Identifier: Apache-2.0 */
/* udp_to_client.h - from backends to clients: answers */
#ifndef RELAY_UDP_UDP_TO_CLIENT_H
#define RELAY_UDP_UDP_TO_CLIENT_H

#include <stdint.h>

struct pollable;
struct worker;

/** udp_to_client_handler() - handler of struct udp_session: receives answers,
 * which udp_to_client_flush() sends */
void udp_to_client_handler(struct worker *worker, struct pollable *pollable,
			   uint32_t events);

/** udp_to_client_flush() - sends the answers that were received since the last
 * call, by all sessions of @worker */
void udp_to_client_flush(struct worker *worker);

#endif
