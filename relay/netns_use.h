/* SPDX-License-Identifier: Apache-2.0 */
/* netns_use.h - what the traffic of one namespace takes, over its listeners */
#ifndef RELAY_NETNS_USE_H
#define RELAY_NETNS_USE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/sctp_message.h"

/* Of one kind of work and one worker's turn: enough to be cheap, few enough
 * that other namespaces do not wait long. */
#define NETNS_TURN_ACCEPTS 16u
#define NETNS_TURN_BYTES (1024u * 1024)

struct netns_uses;

/** struct netns_turn - what a worker did for the namespace in turn @turn */
struct netns_turn {
	uint32_t turn;
	uint32_t n_accepts;
	uint32_t n_bytes;
};

/** struct netns_worker - one worker's own part of struct netns_use */
struct netns_worker {
	struct netns_turn turn;
	struct sctp_budget messages;
};

/**
 * struct netns_use - @n_fds and @n_pipes are of all workers
 * @workers:	each one's own part
 */
struct netns_use {
	atomic_uint n_fds;
	atomic_uint n_pipes;
	struct netns_worker *workers;
};

/**
 * netns_uses_new() - the table; of the main thread, as are its entries' lives
 * @n_workers:	see struct netns_use
 *
 * Return: NULL when memory is out.
 */
struct netns_uses *netns_uses_new(size_t n_workers);

/** netns_uses_free() - when no entry is left. Returns NULL; NULL is fine. */
struct netns_uses *netns_uses_free(struct netns_uses *uses);

/**
 * netns_use_get() - a reference to the entry of namespace @netns_id
 *
 * Return: NULL when memory is out.
 */
struct netns_use *netns_use_get(struct netns_uses *uses, uint64_t netns_id);

/** netns_use_put() - gives a reference back. Returns NULL; NULL is fine. */
struct netns_use *netns_use_put(struct netns_use *use);

/* The rest is for any thread that holds a reference by a listener. */

/** netns_use_take() - may @n more descriptors be opened for its traffic? */
bool netns_use_take(struct netns_use *use, unsigned int n);
void netns_use_give(struct netns_use *use, unsigned int n);

/** netns_use_take_pipe() - may one more of its directions have a pipe? */
bool netns_use_take_pipe(struct netns_use *use);
void netns_use_give_pipe(struct netns_use *use);

/**
 * netns_use_messages() - what SCTP messages of it may take in worker @worker
 * @of_worker:	the budget of all messages there, of which it is a part
 */
struct sctp_budget *netns_use_messages(struct netns_use *use, size_t worker,
				       struct sctp_budget *of_worker);

/** netns_use_turn() - what worker number @worker did in its turn @turn */
struct netns_turn *netns_use_turn(struct netns_use *use, size_t worker,
				  uint32_t turn);

#endif
