/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - the answers of the last second, for all viewers */
#ifndef WEB_CACHE_H
#define WEB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_entry;
struct document;
struct question;

/** cache_new() - Return: 0 or -ENOMEM. */
int cache_new(struct cache **ret_cache);

/** cache_free() - frees it with its entries. NULL is fine. Returns NULL. */
struct cache *cache_free(struct cache *cache);

/**
 * cache_find() - the entry of a question; a new one is wanted: cache_next()
 * @question:	copied
 * @now_us:	monotonic
 * Return: 0; -EAGAIN: too many other questions wait; -ENOMEM.
 */
int cache_find(struct cache *cache, const struct question *question,
	       uint64_t now_us, struct cache_entry **ret_entry);

/** cache_document() - Return: an answer that is at most a second old, of which
 * the caller has no reference; NULL: it is wanted, and will be answered. */
struct document *cache_document(const struct cache_entry *entry);

/**
 * cache_next() - which question is to be asked next
 * Return: that which is wanted longest, until it is answered; NULL: none is.
 */
struct cache_entry *cache_next(const struct cache *cache);

/** cache_question() - the entry's own question */
const struct question *cache_question(const struct cache_entry *entry);

/**
 * cache_answer() - has an answer to a question
 * @entry:	one that is wanted
 * @document:	gets one more reference; NULL: there is none, and it is not
 *		wanted any more
 */
void cache_answer(struct cache *cache, struct cache_entry *entry,
		  struct document *document, uint64_t now_us);

/**
 * cache_expire() - forgets answers that are a second old
 * Return: when to call it again; 0: nothing is left to expire.
 */
uint64_t cache_expire(struct cache *cache, uint64_t now_us);

#endif
