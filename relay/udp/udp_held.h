/* SPDX-License-Identifier: Apache-2.0 */
/* udp_held.h - datagrams that wait until their session has a socket
 *
 * No system calls. The caller limits how much is held in all.
 */
#ifndef RELAY_UDP_UDP_HELD_H
#define RELAY_UDP_UDP_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct udp_batch;
struct udp_held_slot;

/* Of one client: a request in some parts, or repeated, and the next message of
 * a handshake. Fewer than UDP_BATCH, so that all are sent at once. */
#define UDP_HELD_SLOTS 8

/* Of one client: the first slot, whatever its size, and others as long as all
 * of them are within this. */
#define UDP_HELD_BYTES (16u * 1024)

/**
 * struct udp_held - what one client sent, in order; zero-initialize
 * @slots:	head of a utlist.h DL
 * @n:		slots in it
 * @bytes:	of all slots
 */
struct udp_held {
	struct udp_held_slot *slots;
	size_t n;
	size_t bytes;
};

/**
 * udp_held_add() - keeps a copy of slot @i of @batch
 * @room:	bytes that may be added
 *
 * Return: false: there is no room or no memory, or the slot was cut.
 */
bool udp_held_add(struct udp_held *held, const struct udp_batch *batch,
		  size_t i, size_t room);

/** udp_held_load() - moves all slots to @batch, which has none in use */
void udp_held_load(struct udp_held *held, struct udp_batch *batch);

/** udp_held_drop() - frees all slots. Return: how many datagrams they held. */
uint64_t udp_held_drop(struct udp_held *held);

#endif
