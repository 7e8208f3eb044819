/* SPDX-License-Identifier: Apache-2.0 */
/* udp_answers.h - recognizes datagrams that are answers of the relay's own
 * listeners
 *
 * Callable by any thread.
 */
#ifndef RELAY_UDP_UDP_ANSWERS_H
#define RELAY_UDP_UDP_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

struct listener;
struct udp_key;

/** udp_answers_note() - notes that @listener is about to answer the client of
 * @key; @now_us is monotonic */
void udp_answers_note(const struct listener *listener,
		      const struct udp_key *key, uint64_t now_us);

/** udp_answers_has() - is a datagram that @listener received, with @key, an
 * answer that was noted a moment ago? @now_us is monotonic. */
bool udp_answers_has(const struct listener *listener, const struct udp_key *key,
		     uint64_t now_us);

#endif
