/* SPDX-License-Identifier: Apache-2.0 */
/* minter.h - the main thread's part of getting sockets from berthd */
#ifndef RELAY_CORE_MINTER_H
#define RELAY_CORE_MINTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/mint.h"

struct berth;
struct berth_message;
struct minter_lane;
struct outbox;

/**
 * struct minter - zero-initialize but for the first four
 * @workers:	those to be told when a namespace goes
 * @lanes:	questions that berthd was not asked yet, by namespace; whose
 *turn it is first
 * @by_netns:	the same, a uthash.h table
 * @sent:	those that it was, in order; their answers come in order, too,
 *		so that the one that is looked for is among the first
 * @closed:	answers that could not be sent yet
 */
struct minter {
	struct berth *berth;
	struct outbox *outbox;
	struct worker *workers;
	size_t n_workers;
	struct minter_lane *lanes, *by_netns;
	struct mint *sent;
	size_t n_sent;
	uint64_t last_request;
	struct netns_gone *closed;
};

/**
 * minter_send() - takes what the workers put into the outbox, and says to
 * berthd what is to be said
 *
 * Return: false when the connection is full: call again when it has room.
 */
bool minter_send(struct minter *minter);

/** minter_answered() - BERTH_SOCKET came. Takes the message's descriptor. */
void minter_answered(struct minter *minter, struct berth_message *message);

/** minter_netns_gone() - BERTH_NETNS_GONE came */
void minter_netns_gone(struct minter *minter, uint64_t netns_id);

/** minter_done() - when the workers are joined, and their mail is dropped */
void minter_done(struct minter *minter);

#endif
