/* SPDX-License-Identifier: Apache-2.0 */
/* udp_held.h - datagrams that wait for their session's socket
 *
 * Knows no sockets. Whoever holds decides how much there may be in all.
 */
#ifndef RELAY_UDP_UDP_HELD_H
#define RELAY_UDP_UDP_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct udp_batch;
struct udp_held_slot;

/* Of one client: a question in some parts, or asked again, and its handshake's
 * next message. Fewer than UDP_BATCH, so that all go at once. */
#define UDP_HELD_SLOTS 8

/* Of one client: any one slot, and then what small ones there are. */
#define UDP_HELD_BYTES (16u * 1024)

/**
 * struct udp_held - of one client, in order; zero-initialize
 * @bytes:	of all its slots
 */
struct udp_held {
	struct udp_held_slot *first, *last;
	size_t n;
	size_t bytes;
};

/**
 * udp_held_add() - keeps a copy of slot @i
 * @room:	bytes that may be added
 *
 * Return: false: there is no room, or no memory; or the slot was cut.
 */
bool udp_held_add(struct udp_held *held, const struct udp_batch *batch,
		  size_t i, size_t room);

/** udp_held_load() - moves them to slots 0 and following of @batch, which has
 * none in use */
void udp_held_load(struct udp_held *held, struct udp_batch *batch);

/** udp_held_drop() - forgets them. Return: how many datagrams they were. */
uint64_t udp_held_drop(struct udp_held *held);

#endif
