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
 * @workers:	are told when a namespace goes
 * @lanes:	questions that berthd was not asked yet, by namespace; the first
 *		lane has the next turn
 * @by_netns:	the same lanes in a table
 * @sent:	questions that berthd was asked, in order. Answers come in
 *		order, too, so that the question of an answer is among the first
 * @closed:	namespaces of which no worker has anything, and berthd was not
 *		told yet
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

/** minter_answered() - BERTH_SOCKET came: gives the socket to the worker that
 * asked. Takes the descriptor of @message. */
void minter_answered(struct minter *minter, struct berth_message *message);

/** minter_netns_gone() - BERTH_NETNS_GONE came: tells all workers */
void minter_netns_gone(struct minter *minter, uint64_t netns_id);

/** minter_done() - frees all questions, when the workers were joined and their
 * mail was dropped */
void minter_done(struct minter *minter);

#endif
