/* SPDX-License-Identifier: Apache-2.0 */
/* udp_answers.h - which datagrams are answers of the relay's own listeners
 *
 * Callable by any thread.
 */
#ifndef RELAY_UDP_UDP_ANSWERS_H
#define RELAY_UDP_UDP_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

struct listener;
struct udp_key;

/** udp_answers_note() - @listener is about to answer the client of @key */
void udp_answers_note(const struct listener *listener,
		      const struct udp_key *key, uint64_t now_us);

/** udp_answers_has() - is what came to @listener with @key such an answer, a
 * moment ago? */
bool udp_answers_has(const struct listener *listener, const struct udp_key *key,
		     uint64_t now_us);

#endif
