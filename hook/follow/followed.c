// SPDX-License-Identifier: Apache-2.0
/* followed.c - the containers of one engine: what to ask it, what to tell
 * berthd
 *
 * Theory of operation: an event and a list say only which containers to ask
 * about; the answer says what berthd is to know of one (wanted), and that is
 * compared with what it was told. So nothing depends on the order in which
 * events come, nor on their being complete.
 *
 * An entry stands in at most one of two queues of questions, and in one of what
 * is to be told. It is freed when it stands in none, nothing is under way, and
 * berthd knows nothing of it.
 */
#include "hook/follow/followed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"
#include "hook/follow/engine.h"

/* Which queue of questions an entry stands in. */
enum ask {
	ASK_NOT,
	ASK_SOON, /* an event told of it */
	ASK_LATER, /* a list told of it */
};

/**
 * struct followed_entry - one container
 * @ask:	it is to be asked about
 * @under_way:	it is being asked about
 * @listed:	the list that is read at this moment has it
 * @maybe_told:	berthd may have been told of it, in this life or before
 * @telling:	it stands in the queue of what is to be told
 * @refused:	berthd did not want what is @told
 * @wanted:	what berthd is to know; NULL: nothing
 * @told:	what berthd was told; NULL: nothing, or that is forgotten
 */
struct followed_entry {
	char id[ENGINE_ID_MAX + 1];
	enum ask ask;
	bool under_way;
	bool listed;
	bool maybe_told;
	bool telling;
	bool refused;
	json_t *wanted;
	json_t *told;
	UT_hash_handle hh;
	struct followed_entry *ask_prev, *ask_next;
	struct followed_entry *tell_prev, *tell_next;
};

struct followed {
	struct followed_entry *entries;
	struct followed_entry *soon;
	struct followed_entry *later;
	struct followed_entry *tell;
	size_t n_wanted;
};

int followed_new(struct followed **ret_followed)
{
	struct followed *followed = calloc(1, sizeof(*followed));

	if (!followed)
		return -ENOMEM;
	*ret_followed = followed;
	return 0;
}

static struct followed_entry *entry_find(struct followed *followed,
					 const char *id)
{
	struct followed_entry *entry;

	HASH_FIND_STR(followed->entries, id, entry);
	return entry;
}

static struct followed_entry **ask_queue(struct followed *followed,
					 enum ask ask)
{
	return ask == ASK_SOON ? &followed->soon : &followed->later;
}

static void entry_set_ask(struct followed *followed,
			  struct followed_entry *entry, enum ask ask)
{
	struct followed_entry **queue;

	if (entry->ask == ask)
		return;
	if (entry->ask != ASK_NOT) {
		queue = ask_queue(followed, entry->ask);
		DL_DELETE2(*queue, entry, ask_prev, ask_next);
	}
	entry->ask = ask;
	if (ask != ASK_NOT) {
		queue = ask_queue(followed, ask);
		DL_APPEND2(*queue, entry, ask_prev, ask_next);
	}
}

static void entry_set_telling(struct followed *followed,
			      struct followed_entry *entry, bool telling)
{
	if (entry->telling == telling)
		return;
	entry->telling = telling;
	if (telling)
		DL_APPEND2(followed->tell, entry, tell_prev, tell_next);
	else
		DL_DELETE2(followed->tell, entry, tell_prev, tell_next);
}

static void entry_set_wanted(struct followed *followed,
			     struct followed_entry *entry, json_t *wanted)
{
	followed->n_wanted -= entry->wanted ? 1 : 0;
	followed->n_wanted += wanted ? 1 : 0;
	json_decref(entry->wanted);
	entry->wanted = wanted;
}

static void entry_free(struct followed *followed, struct followed_entry *entry)
{
	entry_set_ask(followed, entry, ASK_NOT);
	entry_set_telling(followed, entry, false);
	entry_set_wanted(followed, entry, NULL);
	HASH_DEL(followed->entries, entry);
	json_decref(entry->told);
	free(entry);
}

struct followed *followed_free(struct followed *followed)
{
	struct followed_entry *entry, *next;

	if (!followed)
		return NULL;
	HASH_ITER (hh, followed->entries, entry, next)
		entry_free(followed, entry);
	free(followed);
	return NULL;
}

static int entry_get(struct followed *followed, const char *id,
		     struct followed_entry **ret_entry)
{
	struct followed_entry *entry = entry_find(followed, id);

	if (!entry && HASH_COUNT(followed->entries) >= ENGINE_CONTAINERS_MAX)
		return -E2BIG;
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry || strlen(id) > ENGINE_ID_MAX) {
			free(entry);
			return -ENOMEM;
		}
		(void)stpcpy(entry->id, id);
		HASH_ADD_STR(followed->entries, id, entry);
		if (!entry->hh.tbl) {
			free(entry);
			return -ENOMEM;
		}
	}
	*ret_entry = entry;
	return 0;
}

/* Is there a difference between what berthd is to know, and knows? */
static bool entry_differs(const struct followed_entry *entry)
{
	if (!entry->wanted)
		return entry->maybe_told;
	return !entry->told || !json_equal(entry->wanted, entry->told);
}

/* Puts it into the queue of what is to be told, or frees it if nothing is. */
static void entry_settle(struct followed *followed,
			 struct followed_entry *entry)
{
	entry_set_telling(followed, entry, entry_differs(entry));
	if (!entry->wanted && !entry->telling && !entry->under_way &&
	    entry->ask == ASK_NOT)
		entry_free(followed, entry);
}

int followed_changed(struct followed *followed, const char *id)
{
	struct followed_entry *entry;
	int r = entry_get(followed, id, &entry);

	if (r == 0)
		entry_set_ask(followed, entry, ASK_SOON);
	return r;
}

int followed_listed(struct followed *followed, const struct engine_ids *ids)
{
	struct followed_entry *entry, *next;
	int r = 0;

	for (size_t i = 0; i < ids->n; i++) {
		int got = entry_get(followed, ids->list[i], &entry);

		if (got < 0) {
			r = got;
			continue;
		}
		entry->listed = true;
		if (entry->ask == ASK_NOT)
			entry_set_ask(followed, entry, ASK_LATER);
	}
	HASH_ITER (hh, followed->entries, entry, next) {
		if (!entry->listed && !entry->under_way &&
		    entry->ask != ASK_SOON) {
			entry_set_ask(followed, entry, ASK_NOT);
			entry_set_wanted(followed, entry, NULL);
			entry_settle(followed, entry);
		} else {
			entry->listed = false;
		}
	}
	return r;
}

const char *followed_ask(struct followed *followed)
{
	struct followed_entry *queues[] = { followed->soon, followed->later },
			      *entry;

	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		DL_FOREACH2(queues[i], entry, ask_next)
		{
			/* One whose answer may be too old waits for it. */
			if (entry->under_way)
				continue;
			entry_set_ask(followed, entry, ASK_NOT);
			entry->under_way = true;
			return entry->id;
		}
	}
	return NULL;
}

int followed_answered(struct followed *followed, const char *id, json_t *wanted)
{
	struct followed_entry *entry = entry_find(followed, id);

	if (!entry || !entry->under_way) {
		json_decref(wanted);
		return -ENOENT;
	}
	entry->under_way = false;
	/* What berthd refused is worth another attempt. */
	if (entry->refused) {
		json_decref(entry->told);
		entry->told = NULL;
		entry->refused = false;
	}
	entry_set_wanted(followed, entry, wanted);
	entry_settle(followed, entry);
	return 0;
}

void followed_unanswered(struct followed *followed, const char *id)
{
	struct followed_entry *entry = entry_find(followed, id);

	if (!entry || !entry->under_way)
		return;
	entry->under_way = false;
	entry_settle(followed, entry);
}

void followed_ask_again(struct followed *followed)
{
	struct followed_entry *entry, *next;

	HASH_ITER (hh, followed->entries, entry, next) {
		if (!entry->under_way)
			continue;
		entry->under_way = false;
		if (entry->ask == ASK_NOT)
			entry_set_ask(followed, entry, ASK_LATER);
	}
}

bool followed_tell(const struct followed *followed,
		   struct followed_telling *ret_telling)
{
	if (!followed->tell)
		return false;
	*ret_telling = (struct followed_telling){
		.id = followed->tell->id,
		.parameters = followed->tell->wanted,
	};
	return true;
}

void followed_told(struct followed *followed, bool refused)
{
	struct followed_entry *entry = followed->tell;

	if (!entry)
		return;
	json_decref(entry->told);
	entry->told = json_incref(entry->wanted);
	entry->refused = refused && entry->wanted;
	entry->maybe_told = entry->wanted != NULL;
	entry_settle(followed, entry);
}

void followed_forgotten(struct followed *followed)
{
	struct followed_entry *entry, *next;

	HASH_ITER (hh, followed->entries, entry, next) {
		json_decref(entry->told);
		entry->told = NULL;
		entry->refused = false;
		entry_settle(followed, entry);
	}
}

size_t followed_count(const struct followed *followed)
{
	return followed->n_wanted;
}
