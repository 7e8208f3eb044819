/* SPDX-License-Identifier: Apache-2.0 */
/* withdrawals.h - listeners that a consumer still holds, and berthd closed
 *
 * A withdrawal is draining while the connections of its listener may finish,
 * and ended once the consumer is to reset them.
 */
#ifndef DAEMON_CONSUMERS_WITHDRAWALS_H
#define DAEMON_CONSUMERS_WITHDRAWALS_H

#include <stdbool.h>
#include <stdint.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/heap.h"
#include "common/listener_spec.h"
#include "lib/berth.h"

struct listener;
struct withdrawn_netns;

/**
 * struct withdrawal - a listener that the consumer still holds
 * @endpoint:	no other listener can be opened there before the release
 * @service:	a reference; the last counts are added to those of its rule
 * @reason:	why it is not taken back; NULL: it was not handed back, or
 *		there was no memory
 * @since_us:	when the listener was withdrawn
 * @abort_since_us: 0: it drains; else when it was ended
 * @ending:	why it was ended
 * @end:	in @ends of struct withdrawals while it drains
 * @queued:	in the queue: the consumer is not told yet
 * @stage_prev, @stage_next: among those that drain in its namespace, or among
 *		all that are ended
 */
struct withdrawal {
	uint64_t id;
	uint64_t netns_id;
	struct endpoint endpoint;
	struct service *service;
	char *reason;
	uint64_t since_us;
	uint64_t abort_since_us;
	enum berth_ending ending;
	struct heap_node end;
	bool queued;
	struct withdrawn_netns *netns;
	struct withdrawal *prev, *next; /* in the queue */
	struct withdrawal *stage_prev, *stage_next;
	struct withdrawal *netns_prev, *netns_next; /* of one namespace */
	UT_hash_handle hh;
};

/**
 * struct withdrawals - those of one consumer; zero-initialize
 * @queue:	those that the consumer is not told of yet, oldest first
 * @ends:	those that drain, by the time when they are to be ended
 * @ended:	the longest first
 * @n_refused:	those with a reason
 */
struct withdrawals {
	struct withdrawal *by_id;
	struct withdrawn_netns *by_netns;
	struct withdrawal *queue;
	struct heap ends;
	struct withdrawal *ended;
	size_t n_refused;
};

/**
 * struct withdrawals_limits - what bounds those that drain
 * @drain_us:	how long, where the listener's rule does not say
 * @max_per_netns: how many of one namespace: with one more the oldest is ended
 */
struct withdrawals_limits {
	uint64_t drain_us;
	size_t max_per_netns;
};

/**
 * withdrawals_add() - adds one for @listener, which is closed and which the
 * consumer has; puts it into the queue
 * Return: 0 or -ENOMEM.
 */
int withdrawals_add(struct withdrawals *withdrawals,
		    const struct listener *listener,
		    const struct withdrawals_limits *limits, uint64_t now_us);

/** withdrawals_find() - of the listener @id, or NULL */
struct withdrawal *withdrawals_find(const struct withdrawals *withdrawals,
				    uint64_t id);

/** withdrawals_explain() - the consumer has handed back the listener @id, which
 * is not taken for this reason. Without memory it stays unexplained. */
void withdrawals_explain(struct withdrawals *withdrawals, uint64_t id,
			 const char *reason);

/** withdrawals_refused() - how many of those there are */
size_t withdrawals_refused(const struct withdrawals *withdrawals);

/** withdrawals_sent() - the consumer was told of the first in the queue */
void withdrawals_sent(struct withdrawals *withdrawals);

/** withdrawals_remove() - the consumer released the listener: forgets and frees
 * @withdrawal */
void withdrawals_remove(struct withdrawals *withdrawals,
			struct withdrawal *withdrawal);

/** withdrawals_clear() - forgets all of them: the consumer is gone, and its
 * copies with it */
void withdrawals_clear(struct withdrawals *withdrawals);

/** withdrawals_end() - if @withdrawal drains, it is ended because of @ending,
 * and put into the queue again. Return: did it drain? */
bool withdrawals_end(struct withdrawals *withdrawals,
		     struct withdrawal *withdrawal, enum berth_ending ending,
		     uint64_t now_us);

/** withdrawals_end_due() - ends those whose time is over. Return: were there
 * any? */
bool withdrawals_end_due(struct withdrawals *withdrawals, uint64_t now_us);

/** withdrawals_due_us() - when withdrawals_end_due() has to be called next; 0:
 * none drains */
uint64_t withdrawals_due_us(const struct withdrawals *withdrawals);

/** withdrawals_netns_gone() - the namespace goes, so connections in there must
 * not finish: ends all of its withdrawals. Return: did any drain? */
bool withdrawals_netns_gone(struct withdrawals *withdrawals, uint64_t netns_id,
			    uint64_t now_us);

/** withdrawals_of() - the first one of a namespace, or NULL; @netns_next leads
 * to its others */
const struct withdrawal *withdrawals_of(const struct withdrawals *withdrawals,
					uint64_t netns_id);

/** withdrawals_count() - how many there are, in all namespaces */
size_t withdrawals_count(const struct withdrawals *withdrawals);

/** withdrawals_ended() - how many have @abort_since_us */
size_t withdrawals_ended(const struct withdrawals *withdrawals);

/** withdrawals_oldest_us() - the earliest @abort_since_us; 0: there is none */
uint64_t withdrawals_oldest_us(const struct withdrawals *withdrawals);

#endif
