// SPDX-License-Identifier: Apache-2.0
/* stats_said.c - what each connection of a consumer said last of each listener
 */
#include "daemon/consumers/stats_said.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "daemon/consumers/stats_counts.h"
#include "daemon/consumers/stats_packed.h"
#include "daemon/consumers/stats_parts.h"

/**
 * struct word - what one connection said of a listener
 * @part:	which it counts for
 * @bytes:	the counts, packed
 */
struct word {
	uint64_t connection;
	struct stats_part *part;
	struct word *next;
	unsigned int len;
	unsigned char bytes[];
};

/** struct said - of listener @id: at least one word */
struct said {
	uint64_t id;
	struct word *words;
	UT_hash_handle hh;
};

static struct said *find(const struct stats_said *said, uint64_t id)
{
	struct said *found;

	HASH_FIND(hh, said->by_id, &id, sizeof(id), found);
	return found;
}

/* As find(), and remembers it: consumers say their listeners in the same order
 * each time, so that the next one is mostly the next in the table, too. */
static struct said *find_next(struct stats_said *said, uint64_t id)
{
	struct said *next = said->last ? said->last->hh.next : NULL;

	said->last = next && next->id == id ? next : find(said, id);
	return said->last;
}

static struct said *get(struct stats_said *said, uint64_t id)
{
	struct said *found = find_next(said, id);

	if (found)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->id = id;
	HASH_ADD(hh, said->by_id, id, sizeof(found->id), found);
	if (found->hh.tbl)
		return found;
	free(found);
	return NULL;
}

/* Frees it when there is no word left. */
static void put(struct stats_said *said, struct said *found)
{
	if (found->words)
		return;
	if (said->last == found)
		said->last = NULL;
	HASH_DELETE(hh, said->by_id, found);
	free(found);
}

/* Takes the word of a connection out of the list. Return: it, or NULL. */
static struct word *take_word(struct said *found, uint64_t connection)
{
	struct word *word;

	LL_FOREACH (found->words, word) {
		if (word->connection == connection) {
			LL_DELETE(found->words, word);
			return word;
		}
	}
	return NULL;
}

static struct berth_counts counts_of(const struct word *word)
{
	struct berth_counts counts;

	stats_unpack(word->bytes, word->len, &counts);
	return counts;
}

static struct word *word_new(size_t len)
{
	struct word *word = malloc(sizeof(*word) + len);

	if (word)
		word->len = (unsigned int)len;
	return word;
}

/* Has @part count that there is @now, and not @before any more, which counts
 * for the part of @word; NULL: for none. */
static void count(struct stats_part *part, const struct word *word,
		  const struct berth_counts *before,
		  const struct berth_counts *now)
{
	struct berth_counts counted;

	if (!word || word->part == part) {
		stats_part_count(part, before, now);
		return;
	}
	stats_part_settle(word->part, before);
	stats_part_take_over(part, before);
	counted = *before;
	counted.active = 0;
	stats_part_count(part, &counted, now);
}

int stats_said_count(struct stats_said *said, uint64_t id, uint64_t connection,
		     struct stats_part *part, const struct berth_counts *counts)
{
	struct berth_counts before = { .accepted = 0 }, now = *counts;
	unsigned char bytes[STATS_PACKED_MAX];
	struct said *found = get(said, id);
	struct word *word, *new;
	size_t len;

	if (!found)
		return -ENOMEM;
	word = take_word(found, connection);
	if (word)
		stats_unpack(word->bytes, word->len, &before);
	stats_counts_raise(&now, &before);
	len = stats_pack(&now, bytes);
	/* Mostly the numbers have as many digits as before. */
	new = word && word->len == len ? word : word_new(len);
	if (new) {
		count(part, word, &before, &now);
		new->connection = connection;
		new->part = part;
		memcpy(new->bytes, bytes, len);
		if (new != word)
			free(word);
		word = new;
	}
	if (word)
		LL_PREPEND(found->words, word);
	put(said, found);
	return new ? 0 : -ENOMEM;
}

void stats_said_final(struct stats_said *said, uint64_t id, uint64_t connection,
		      struct stats_part *part,
		      const struct berth_counts *counts)
{
	struct said *found = find(said, id);
	struct word *word = found ? take_word(found, connection) : NULL;
	struct berth_counts before = { .accepted = 0 }, now = *counts;

	if (word)
		before = counts_of(word);
	now.active = 0; /* whatever it says */
	stats_counts_raise(&now, &before);
	count(part, word, &before, &now);
	stats_part_settle(part, &now);
	free(word);
	if (found)
		put(said, found);
}

void stats_said_lost(struct stats_said *said, uint64_t connection)
{
	struct said *found, *next;

	HASH_ITER (hh, said->by_id, found, next) {
		struct word *word = take_word(found, connection);
		struct berth_counts last;

		if (!word)
			continue;
		last = counts_of(word);
		stats_part_settle(word->part, &last);
		free(word);
		put(said, found);
	}
}

void stats_said_redirect(struct stats_said *said, struct stats_part *part)
{
	struct said *found, *next;
	struct word *word;

	HASH_ITER (hh, said->by_id, found, next) {
		LL_FOREACH (found->words, word) {
			if (word->part->retired)
				word->part = part;
		}
	}
}

bool stats_said_find(const struct stats_said *said, uint64_t id,
		     struct berth_counts *ret_counts)
{
	const struct said *found = find(said, id);
	const struct word *word;

	*ret_counts = (struct berth_counts){ .accepted = 0 };
	if (!found)
		return false;
	LL_FOREACH (found->words, word) {
		struct berth_counts counts = counts_of(word);

		stats_counts_add(ret_counts, &counts);
	}
	return true;
}

void stats_said_doubt(struct stats_said *said,
		      bool (*is_silent)(uint64_t connection, void *user_data),
		      void *user_data)
{
	struct said *found, *next;

	HASH_ITER (hh, said->by_id, found, next) {
		struct word *word;

		LL_FOREACH (found->words, word) {
			if (is_silent(word->connection, user_data))
				word->part->unsure += counts_of(word).active;
		}
	}
}

void stats_said_clear(struct stats_said *said)
{
	struct said *found, *next;

	HASH_ITER (hh, said->by_id, found, next) {
		while (found->words) {
			struct word *word = found->words;

			LL_DELETE(found->words, word);
			free(word);
		}
		put(said, found);
	}
}
