// SPDX-License-Identifier: Apache-2.0
/* lister.c - the main thread's part of listing and closing connections
 *
 * Theory of operation: berthd asks for one part of the list after the other.
 * For each part the census goes from worker to worker until it is full, or
 * all have been asked. What is told berthd as the number of a client is its
 * number in its roster and the number of that roster in one; the list goes on
 * behind such a number, too.
 *
 * Workers wait for nobody: the census has the room for what they note.
 */
#include "relay/core/lister.h"

#include <errno.h>
#include <stdio.h>

#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* "[" + address + "]:65535" */
#define END_TEXT_MAX (IP_TEXT_MAX + sizeof("[]:65535"))

static size_t n_rosters(const struct lister *lister)
{
	return lister->n_workers * ROSTER_KINDS;
}

static uint64_t number_tell(const struct lister *lister, uint64_t number)
{
	return number * n_rosters(lister) + lister->roster;
}

/* Gives the census to the worker that has the roster. */
static void census_give(struct lister *lister)
{
	struct worker *worker = &lister->workers[lister->roster / ROSTER_KINDS];

	lister->census.kind = (enum roster_kind)(lister->roster % ROSTER_KINDS);
	inbox_census(&worker->inbox, &lister->census);
}

static void begin(struct lister *lister, struct lister_question *question,
		  bool closes)
{
	struct census *census = &lister->census;
	uint64_t now_us = monotonic_us();

	question->open = false;
	lister->now = *question;
	lister->busy = true;
	lister->roster = (size_t)(question->number % n_rosters(lister));
	census->closes = closes;
	census->number = question->number / n_rosters(lister);
	census->listener = question->listener;
	census->until_us = question->min_age_us < now_us
				   ? now_us - question->min_age_us
				   : 0;
	census->done = false;
	census->n = 0;
	lister->n_told = 0;
	census_give(lister);
}

static void go_on(struct lister *lister)
{
	if (lister->busy)
		return;
	if (lister->close.open)
		begin(lister, &lister->close, /* closes= */ true);
	else if (lister->list.open)
		begin(lister, &lister->list, /* closes= */ false);
}

void lister_asked(struct lister *lister, const struct berth_message *message)
{
	bool closes = message->type == BERTH_CLOSE;
	struct lister_question *question = closes ? &lister->close
						  : &lister->list;
	const uint64_t max_ms = UINT64_MAX / USEC_PER_MSEC;

	*question = (struct lister_question){
		.open = true,
		.request = message->request,
		.number = closes ? message->connection : message->after,
		.listener = message->id,
		.min_age_us = (message->min_age_ms < max_ms
				       ? message->min_age_ms
				       : max_ms) *
			      USEC_PER_MSEC,
	};
	go_on(lister);
}

/* The answer */

/* Return: the text; NULL: the address is not known. */
static const char *end_fmt(const struct ip_addr *addr, uint16_t port,
			   char buffer[static END_TEXT_MAX])
{
	char text[IP_TEXT_MAX];

	if (addr->family == AF_UNSPEC)
		return NULL;
	(void)snprintf(buffer, END_TEXT_MAX,
		       addr->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		       ip_addr_fmt(addr, text), port); /* fits */
	return buffer;
}

/* Return: as of berth_connections_add(). */
static int add(struct lister *lister, const struct roster_record *record)
{
	const struct serving *serving = record->serving;
	char client[END_TEXT_MAX], local[END_TEXT_MAX];
	const struct berth_connection connection = {
		.id = record->number,
		.listener = record->listener,
		.client = end_fmt(&record->client, record->client_port, client),
		.local = end_fmt(&record->local, record->local_port, local),
		.backend = record->backend < serving->n_backends
				   ? serving->backends[record->backend].text
				   : NULL,
		.state = record->state,
		.age_ms = record->age_us / USEC_PER_MSEC,
		.idle_ms = record->idle_us / USEC_PER_MSEC,
		.bytes_in = record->bytes_in,
		.bytes_out = record->bytes_out,
	};

	return berth_connections_add(lister->berth, lister->now.request,
				     &connection);
}

/* Puts the answer together, without sending it. */
static void compose_list(struct lister *lister)
{
	const struct census *census = &lister->census;
	size_t i;

	for (i = 0; i < census->n; i++) {
		/* Without memory one is missing, which somebody may look for
		 * again. */
		if (add(lister, &census->records[i]) == -ENOSPC)
			break;
	}
	lister->next = i > 0 && (i < census->n || !census->done)
			       ? census->records[i - 1].number
			       : 0;
}

static void drop_records(struct lister *lister)
{
	struct census *census = &lister->census;

	while (census->n > 0) {
		struct roster_record *record = &census->records[--census->n];

		record->serving = serving_unref(record->serving);
	}
}

void lister_send(struct lister *lister)
{
	const struct lister_question *now = &lister->now;
	int r = 0;

	if (!lister->unsent)
		return;
	r = lister->census.closes
		    ? berth_connection_closed(lister->berth, now->request,
					      now->number, lister->census.done)
		    : berth_connections_end(lister->berth, now->request,
					    lister->next);
	if (r == -EAGAIN)
		return;
	/* Any other failure is the connection's end, and berthd's. */
	lister->unsent = false;
	lister->busy = false;
	go_on(lister);
}

/* The census, which lists, is back. Return: is it complete? */
static bool list_returned(struct lister *lister)
{
	struct census *census = &lister->census;

	for (; lister->n_told < census->n; lister->n_told++)
		census->records[lister->n_told].number = number_tell(
			lister, census->records[lister->n_told].number);
	if (census->n == CENSUS_RECORDS)
		return true;
	if (census->done && lister->roster + 1 == n_rosters(lister))
		return true;
	if (census->done) {
		lister->roster++;
		census->number = 0;
	}
	return false;
}

void lister_collect(struct lister *lister)
{
	if (!outbox_take_census(lister->outbox))
		return;
	if (!lister->census.closes && !list_returned(lister)) {
		census_give(lister);
		return;
	}
	if (!lister->census.closes)
		compose_list(lister);
	drop_records(lister);
	lister->unsent = true;
	lister_send(lister);
}

void lister_done(struct lister *lister)
{
	drop_records(lister);
}
