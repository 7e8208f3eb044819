/* SPDX-License-Identifier: Apache-2.0 */
/* withdrawals.h - listeners that a consumer still holds, and berthd closed */
#ifndef DAEMON_CONSUMERS_WITHDRAWALS_H
#define DAEMON_CONSUMERS_WITHDRAWALS_H

#include <stdbool.h>
#include <stdint.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/listener_spec.h"

struct listener;
struct withdrawn_netns;

/**
 * struct withdrawal - a listener that the consumer still holds
 * @endpoint:	no other listener can be opened there before the release
 * @service:	a reference; the last counts are added to those of its rule
 * @since_us:	when the listener was withdrawn
 * @abort_since_us: 0: its connections may finish; else when its namespace went
 * @queued:	in the queue: the consumer is not told yet
 */
struct withdrawal {
	uint64_t id;
	uint64_t netns_id;
	struct endpoint endpoint;
	struct service *service;
	uint64_t since_us;
	uint64_t abort_since_us;
	bool queued;
	struct withdrawn_netns *netns;
	struct withdrawal *prev, *next; /* in the queue */
	struct withdrawal *netns_prev, *netns_next; /* of one namespace */
	UT_hash_handle hh;
};

/**
 * struct withdrawals - those of one consumer; zero-initialize
 * @queue:	those that the consumer is not told of yet, oldest first
 */
struct withdrawals {
	struct withdrawal *by_id;
	struct withdrawn_netns *by_netns;
	struct withdrawal *queue;
};

/**
 * withdrawals_add() - adds one for @listener, which is closed and which the
 * consumer has; puts it into the queue
 * Return: 0 or -ENOMEM.
 */
int withdrawals_add(struct withdrawals *withdrawals,
		    const struct listener *listener, uint64_t now_us);

/** withdrawals_find() - of the listener @id, or NULL */
struct withdrawal *withdrawals_find(const struct withdrawals *withdrawals,
				    uint64_t id);

/** withdrawals_sent() - the consumer was told of the first in the queue */
void withdrawals_sent(struct withdrawals *withdrawals);

/** withdrawals_remove() - the consumer released the listener: forgets and frees
 * @withdrawal */
void withdrawals_remove(struct withdrawals *withdrawals,
			struct withdrawal *withdrawal);

/** withdrawals_clear() - forgets all of them: the consumer is gone, and its
 * copies with it */
void withdrawals_clear(struct withdrawals *withdrawals);

/** withdrawals_netns_gone() - the namespace goes, so connections in there must
 * not finish: puts each of its withdrawals that let them into the queue again.
 * Return: were there any? */
bool withdrawals_netns_gone(struct withdrawals *withdrawals, uint64_t netns_id,
			    uint64_t now_us);

/** withdrawals_of() - the first one of a namespace, or NULL; @netns_next leads
 * to its others */
const struct withdrawal *withdrawals_of(const struct withdrawals *withdrawals,
					uint64_t netns_id);

/** withdrawals_count() - how many there are, in all namespaces */
size_t withdrawals_count(const struct withdrawals *withdrawals);

/** withdrawals_oldest_us() - the earliest @abort_since_us; 0: there is none */
uint64_t withdrawals_oldest_us(const struct withdrawals *withdrawals);

#endif
