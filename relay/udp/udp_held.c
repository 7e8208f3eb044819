// SPDX-License-Identifier: Apache-2.0
/* udp_held.c - datagrams that wait until their session has a socket */
#include "relay/udp/udp_held.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "relay/udp/udp_batch.h"

/* A slot as it was received: one datagram, or several that the kernel merged;
 * see struct udp_slot. */
struct udp_held_slot {
	struct udp_held_slot *prev, *next;
	uint64_t datagrams;
	uint32_t segment;
	size_t len;
	uint8_t bytes[];
};

bool udp_held_add(struct udp_held *held, const struct udp_batch *batch,
		  size_t i, size_t room)
{
	size_t len = batch->iov[i].iov_len;
	struct udp_held_slot *slot;

	if (batch->slots[i].cut || len > room || held->n >= UDP_HELD_SLOTS ||
	    (held->n > 0 && held->bytes + len > UDP_HELD_BYTES))
		return false;
	slot = malloc(sizeof(*slot) + len);
	if (!slot)
		return false;
	slot->datagrams = udp_batch_datagrams(batch, i, i + 1);
	slot->segment = batch->slots[i].segment;
	slot->len = len;
	memcpy(slot->bytes, batch->iov[i].iov_base, len);
	DL_APPEND(held->slots, slot);
	held->n++;
	held->bytes += len;
	return true;
}

/* Takes the first slot out. Return: NULL: there is none. */
static struct udp_held_slot *held_take(struct udp_held *held)
{
	struct udp_held_slot *slot = held->slots;

	if (!slot)
		return NULL;
	DL_DELETE(held->slots, slot);
	held->n--;
	held->bytes -= slot->len;
	return slot;
}

void udp_held_load(struct udp_held *held, struct udp_batch *batch)
{
	struct udp_held_slot *slot;

	assert(batch->n == 0);
	while ((slot = held_take(held))) {
		memcpy(batch->iov[batch->n].iov_base, slot->bytes, slot->len);
		batch->iov[batch->n].iov_len = slot->len;
		batch->slots[batch->n] =
			(struct udp_slot){ .segment = slot->segment };
		batch->n++;
		free(slot);
	}
}

uint64_t udp_held_drop(struct udp_held *held)
{
	struct udp_held_slot *slot;
	uint64_t n = 0;

	while ((slot = held_take(held))) {
		n += slot->datagrams;
		free(slot);
	}
	return n;
}
