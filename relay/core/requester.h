/* SPDX-License-Identifier: Apache-2.0 */
/* requester.h - the main thread's part of getting sockets from berthd */
#ifndef RELAY_CORE_REQUESTER_H
#define RELAY_CORE_REQUESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/minted.h"

struct berth;
struct berth_message;
struct outbox;
struct requester_lane;

/**
 * struct requester - zero-initialize but for the first four
 * @workers:	are told when a namespace goes
 * @lanes:	requests that were not sent to berthd yet, by namespace; the
 *first lane has the next turn
 * @by_netns:	the same lanes in a table
 * @sent:	requests that were sent to berthd, in order. Answers come in
 *		order, too, so that the request of an answer is among the first
 * @closed:	namespaces of which no worker has anything, and berthd was not
 *		told yet
 */
struct requester {
	struct berth *berth;
	struct outbox *outbox;
	struct worker *workers;
	size_t n_workers;
	struct requester_lane *lanes, *by_netns;
	struct minted *sent;
	size_t n_sent;
	uint64_t last_request;
	struct netns_gone *closed;
};

/**
 * requester_send() - takes what the workers put into the outbox, and says to
 * berthd what is to be said
 *
 * Return: false when the connection is full: call again when it has room.
 */
bool requester_send(struct requester *requester);

/**
 * requester_ask() - the main thread needs a socket itself
 *
 * It is asked for with the next requester_send(), and the answer comes by @ops
 * with NULL for a worker. Their owner closes it when its namespace goes, before
 * requester_netns_gone() is called.
 * Return: NULL when memory is out.
 */
struct minted *requester_ask(struct requester *requester,
			     const struct minted_purpose *purpose,
			     const struct minted_ops *ops, void *owner);

/** requester_answered() - BERTH_SOCKET came: gives the socket to the worker
 * that asked. Takes the descriptor of @message. */
void requester_answered(struct requester *requester,
			struct berth_message *message);

/** requester_netns_gone() - BERTH_NETNS_GONE came: tells all workers */
void requester_netns_gone(struct requester *requester, uint64_t netns_id);

/** requester_done() - frees all requests, when the workers were joined and
 * their mail was dropped */
void requester_done(struct requester *requester);

#endif
