// SPDX-License-Identifier: Apache-2.0
/* cache.c - the answers of the last second, for all viewers */
#include "web/cache.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "common/util.h"
#include "web/document.h"
#include "web/question.h"

/* How long an answer serves whoever asks the same. */
#define FRESH_US USEC_PER_SEC

/* Questions at a time: a page asks three, and one for each click. What is
 * beyond is asked again by the viewer. */
#define ENTRIES_MAX 32

/**
 * struct cache_entry - a question
 * @document:	NULL: it is wanted
 * @since_us:	when it was answered
 */
struct cache_entry {
	TAILQ_ENTRY(cache_entry) link;
	struct question question;
	struct document *document;
	uint64_t since_us;
};

TAILQ_HEAD(cache_list, cache_entry);

/**
 * struct cache - all entries
 * @wanted:	the one that waits longest first
 * @answered:	the oldest first
 */
struct cache {
	struct cache_list wanted;
	struct cache_list answered;
	size_t count;
};

int cache_new(struct cache **ret_cache)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	TAILQ_INIT(&cache->wanted);
	TAILQ_INIT(&cache->answered);
	*ret_cache = cache;
	return 0;
}

static void entry_free(struct cache *cache, struct cache_list *list,
		       struct cache_entry *entry)
{
	TAILQ_REMOVE(list, entry, link);
	cache->count--;
	document_unref(entry->document);
	question_done(&entry->question);
	free(entry);
}

struct cache *cache_free(struct cache *cache)
{
	struct cache_entry *entry;

	if (!cache)
		return NULL;
	while ((entry = TAILQ_FIRST(&cache->wanted)))
		entry_free(cache, &cache->wanted, entry);
	while ((entry = TAILQ_FIRST(&cache->answered)))
		entry_free(cache, &cache->answered, entry);
	free(cache);
	return NULL;
}

static struct cache_entry *find_in(const struct cache_list *list,
				   const struct question *question)
{
	struct cache_entry *entry;

	TAILQ_FOREACH(entry, list, link)
	{
		if (question_equal(&entry->question, question))
			return entry;
	}
	return NULL;
}

static int cache_add(struct cache *cache, const struct question *question,
		     struct cache_entry **ret_entry)
{
	struct cache_entry *entry, *oldest = TAILQ_FIRST(&cache->answered);
	int r;

	if (cache->count >= ENTRIES_MAX) {
		if (!oldest)
			return -EAGAIN;
		entry_free(cache, &cache->answered, oldest);
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	r = question_copy(question, &entry->question);
	if (r < 0) {
		free(entry);
		return r;
	}
	TAILQ_INSERT_TAIL(&cache->wanted, entry, link);
	cache->count++;
	*ret_entry = entry;
	return 0;
}

int cache_find(struct cache *cache, const struct question *question,
	       uint64_t now_us, struct cache_entry **ret_entry)
{
	struct cache_entry *entry;

	(void)cache_expire(cache, now_us); /* the caller has a timer for it */
	entry = find_in(&cache->answered, question);
	if (!entry)
		entry = find_in(&cache->wanted, question);
	if (!entry)
		return cache_add(cache, question, ret_entry);
	*ret_entry = entry;
	return 0;
}

struct document *cache_document(const struct cache_entry *entry)
{
	return entry->document;
}

struct cache_entry *cache_next(const struct cache *cache)
{
	return TAILQ_FIRST(&cache->wanted);
}

const struct question *cache_question(const struct cache_entry *entry)
{
	return &entry->question;
}

void cache_answer(struct cache *cache, struct cache_entry *entry,
		  struct document *document, uint64_t now_us)
{
	if (!document) {
		entry_free(cache, &cache->wanted, entry);
		return;
	}
	TAILQ_REMOVE(&cache->wanted, entry, link);
	TAILQ_INSERT_TAIL(&cache->answered, entry, link);
	entry->document = document_ref(document);
	entry->since_us = now_us;
}

uint64_t cache_expire(struct cache *cache, uint64_t now_us)
{
	struct cache_entry *entry;

	while ((entry = TAILQ_FIRST(&cache->answered)) &&
	       entry->since_us + FRESH_US <= now_us)
		entry_free(cache, &cache->answered, entry);
	return entry ? entry->since_us + FRESH_US : 0;
}
