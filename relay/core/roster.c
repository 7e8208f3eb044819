// SPDX-License-Identifier: Apache-2.0
/* roster.c - all clients of a worker, to be listed and closed one by one */
#include "relay/core/roster.h"

#include <utlist.h>

#include "relay/core/serving.h"

/* Clients that are looked at in one turn, if they are not wanted: some ten
 * microseconds. */
#define LOOKED_AT_MAX 1024

void roster_add(struct roster *roster, const struct roster_ops *ops,
		struct roster_entry *entry, uint64_t now_us)
{
	roster->ops = ops;
	entry->number = ++roster->last;
	entry->began_us = now_us;
	DL_APPEND(roster->entries, entry);
}

void roster_remove(struct roster *roster, struct roster_entry *entry)
{
	if (!entry->number)
		return;
	if (roster->at == entry)
		roster->at = entry->prev == entry ? NULL : entry->prev;
	DL_DELETE(roster->entries, entry);
	entry->number = 0;
}

/* Return: the first entry behind @number, or NULL. */
static struct roster_entry *seek(struct roster *roster, uint64_t number)
{
	struct roster_entry *entry = roster->at ? roster->at : roster->entries;

	while (entry && entry->number <= number)
		entry = entry->next;
	/* The first one's @prev is the last. */
	while (entry && entry != roster->entries &&
	       entry->prev->number > number)
		entry = entry->prev;
	return entry;
}

static void note(const struct roster *roster, const struct roster_entry *entry,
		 struct census *census, const struct roster_turn *turn)
{
	struct roster_record *record = &census->records[census->n];

	*record = (struct roster_record){
		.number = entry->number,
		.age_us = turn->now_us - entry->began_us,
		.bytes_in = entry->bytes_in,
		.bytes_out = entry->bytes_out,
	};
	roster->ops->describe(turn->worker, entry, record);
	if (!census->listener || record->listener == census->listener)
		census->n++;
	else
		record->serving = serving_unref(record->serving);
}

static void list(struct roster *roster, struct census *census,
		 const struct roster_turn *turn)
{
	struct roster_entry *entry = seek(roster, census->number);

	for (int i = 0;
	     i < LOOKED_AT_MAX && entry &&
	     entry->began_us <= census->until_us && census->n < CENSUS_RECORDS;
	     i++, entry = entry->next) {
		note(roster, entry, census, turn);
		census->number = entry->number;
		roster->at = entry;
	}
	census->done = !entry || entry->began_us > census->until_us;
}

static void close_one(struct roster *roster, struct census *census,
		      const struct roster_turn *turn)
{
	struct roster_entry *entry = seek(roster, census->number - 1);

	census->done = entry && entry->number == census->number;
	if (census->done)
		roster->ops->end(turn->worker, entry);
}

void roster_census(struct roster *roster, struct census *census,
		   const struct roster_turn *turn)
{
	if (census->closes)
		close_one(roster, census, turn);
	else
		list(roster, census, turn);
}
