/* SPDX-License-Identifier: Apache-2.0 */
/* lister.h - the main thread's part of listing and closing connections */
#ifndef RELAY_CORE_LISTER_H
#define RELAY_CORE_LISTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/roster.h"

struct berth;
struct berth_message;
struct outbox;

/**
 * struct lister_question - what berthd wants to know
 * @open:	it is not looked at yet
 * @number:	of a client, or where the list goes on
 */
struct lister_question {
	bool open;
	uint64_t request;
	uint64_t number;
	uint64_t listener;
	uint64_t min_age_us;
};

/**
 * struct lister - zero-initialize but for the first four
 * @list, @close: the last question of either kind; berthd asks one at a time
 * @now:	the one that is worked on, of the kind of @census.closes
 * @busy:	there is one
 * @n_told:	records that have the number by which berthd knows the client
 * @next:	where the list goes on
 * @unsent:	the answer is known, and the connection had no room for it
 * @roster:	the one that @census is for, of those of all workers
 */
struct lister {
	struct berth *berth;
	struct outbox *outbox;
	struct worker *workers;
	size_t n_workers;
	struct lister_question list;
	struct lister_question close;
	struct lister_question now;
	bool busy;
	bool unsent;
	size_t roster;
	size_t n_told;
	uint64_t next;
	struct census census;
};

/** lister_asked() - BERTH_CONNECTIONS or BERTH_CLOSE came */
void lister_asked(struct lister *lister, const struct berth_message *message);

/** lister_collect() - the outbox may have the census */
void lister_collect(struct lister *lister);

/** lister_send() - the connection may have room again */
void lister_send(struct lister *lister);

/** lister_done() - the workers were joined */
void lister_done(struct lister *lister);

#endif
