// SPDX-License-Identifier: Apache-2.0
/* udp_session.c - who is talking to whom: the table of UDP sessions
 *
 * Theory of operation: a chained hash table per listener that grows with what
 * it holds, and lists in order of use, oldest first. A table has two of them:
 * of sessions that are proven, because the client spoke again after it was
 * answered, and of those that are not. So has a group, for all tables of one
 * namespace. The oldest of a list is the next to expire; when there are too
 * many, those that are not proven go first, as long as they hold more than a
 * quarter of the places, which is kept for newcomers: without it, a table full
 * of proven sessions would let nobody in. The pool sorts the groups by size
 * roughly, by powers of two: that finds one of the largest at once, and seldom
 * moves one. Source addresses are the client's choice, so the hash is
 * SipHash-1-3 with a secret: without it, a few thousand chosen addresses in one
 * bucket would cost everybody's datagrams their time.
 */
#include "relay/udp/udp_session.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/siphash.h"
#include "common/util.h"

#define BUCKETS_MIN 8

/* The part of a full table that is for sessions which are not proven. */
#define NEWCOMERS_PART 4

/**
 * struct ranks - sessions in order of use
 * @fresh:	those that are not proven
 * @fresh, @proven: heads of utlist.h DLs
 */
struct ranks {
	struct udp_session *fresh, *proven;
	size_t n;
	size_t n_proven;
};

/**
 * struct udp_group - the tables of one namespace
 * @netns:	stands for it
 * @prev, @next: in pool.by_size
 */
struct udp_group {
	struct udp_pool *pool;
	const void *netns;
	size_t n_tables;
	struct ranks ranks;
	struct udp_group *prev, *next;
	UT_hash_handle hh;
};

struct udp_table {
	struct udp_group *group;
	void *owner;
	struct udp_session **buckets;
	size_t n_buckets; /* a power of two */
	struct ranks ranks;
};

void udp_pool_init(struct udp_pool *pool, size_t limit)
{
	*pool = (struct udp_pool){ .limit = limit };
	siphash_secret(pool->secret);
}

static uint64_t key_hash(const struct udp_pool *pool, const struct udp_key *key)
{
	uint64_t words[6] = { 0 };

	memcpy(words, key, sizeof(*key));
	return siphash(pool->secret, words, ARRAY_SIZE(words));
}

static struct udp_session **bucket(const struct udp_table *table,
				   const struct udp_key *key)
{
	return &table->buckets[key_hash(table->group->pool, key) &
			       (table->n_buckets - 1)];
}

/* Groups */

static size_t size_of(const struct udp_group *group)
{
	size_t n = group->ranks.n;

	return n > 0 ? (size_t)(64 - __builtin_clzll(n)) : 0;
}

/* @old: what size_of() said before the number of its sessions changed */
static void group_resize(struct udp_group *group, size_t old)
{
	struct udp_pool *pool = group->pool;
	size_t size = size_of(group);

	if (size == old)
		return;
	DL_DELETE(pool->by_size[old], group);
	DL_APPEND(pool->by_size[size], group);
}

static struct udp_group *group_get(struct udp_pool *pool, const void *netns)
{
	struct udp_group *group;

	HASH_FIND_PTR(pool->groups, &netns, group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return NULL;
		group->pool = pool;
		group->netns = netns;
		HASH_ADD_PTR(pool->groups, netns, group);
		if (!group->hh.tbl) {
			free(group);
			return NULL;
		}
		DL_APPEND(pool->by_size[0], group);
	}
	group->n_tables++;
	return group;
}

static void group_put(struct udp_group *group)
{
	struct udp_pool *pool = group->pool;

	if (--group->n_tables > 0)
		return;
	DL_DELETE(pool->by_size[0], group); /* its tables were empty */
	HASH_DEL(pool->groups, group);
	free(group);
}

/* Tables */

struct udp_table *udp_table_new(struct udp_pool *pool, const void *netns,
				void *owner)
{
	struct udp_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->owner = owner;
	table->n_buckets = BUCKETS_MIN;
	table->buckets = calloc(table->n_buckets, sizeof(*table->buckets));
	if (table->buckets)
		table->group = group_get(pool, netns);
	if (!table->group) {
		free(table->buckets);
		free(table);
		return NULL;
	}
	return table;
}

struct udp_table *udp_table_free(struct udp_table *table)
{
	if (!table)
		return NULL;
	group_put(table->group);
	free(table->buckets);
	free(table);
	return NULL;
}

void *udp_table_owner(const struct udp_table *table)
{
	return table->owner;
}

size_t udp_table_count(const struct udp_table *table)
{
	return table->ranks.n;
}

struct udp_session *udp_table_find(const struct udp_table *table,
				   const struct udp_key *key)
{
	struct udp_session *session = *bucket(table, key);

	while (session && memcmp(&session->key, key, sizeof(*key)) != 0)
		session = session->next_in_bucket;
	return session;
}

struct udp_session *udp_table_oldest(const struct udp_table *table)
{
	struct udp_session *fresh = table->ranks.fresh;
	struct udp_session *proven = table->ranks.proven;

	if (!fresh || (proven && proven->active_us < fresh->active_us))
		return proven;
	return fresh;
}

/* Who gives way */

/* Of these one has to go. Return: NULL: there is none. */
static struct udp_session *ranks_give(const struct ranks *ranks)
{
	size_t n_fresh = ranks->n - ranks->n_proven;

	if (!ranks->proven || n_fresh > ranks->n / NEWCOMERS_PART)
		return ranks->fresh;
	return ranks->proven;
}

struct udp_session *udp_table_concede(const struct udp_table *table)
{
	const struct udp_group *group = table->group;

	if (table->ranks.n > 0 &&
	    table->ranks.n >= group->ranks.n / group->n_tables)
		return ranks_give(&table->ranks);
	return ranks_give(&group->ranks);
}

struct udp_session *udp_pool_greediest(const struct udp_pool *pool)
{
	for (size_t size = UDP_SIZES - 1; size > 0; size--) {
		if (pool->by_size[size])
			return ranks_give(&pool->by_size[size]->ranks);
	}
	return NULL;
}

struct udp_session *udp_pool_of(const struct udp_pool *pool, const void *netns,
				size_t *ret_n)
{
	struct udp_group *group;

	HASH_FIND_PTR(pool->groups, &netns, group);
	*ret_n = group ? group->ranks.n : 0;
	return group ? ranks_give(&group->ranks) : NULL;
}

struct udp_session *udp_table_victim(const struct udp_table *table,
				     size_t limit)
{
	const struct udp_group *group = table->group;
	const struct udp_pool *pool = group->pool;

	if (table->ranks.n >= limit)
		return ranks_give(&table->ranks);
	if (pool->n < pool->limit)
		return NULL;
	if (group->ranks.n > 0 &&
	    group->ranks.n * HASH_COUNT(pool->groups) >= pool->limit)
		return udp_table_concede(table);
	return udp_pool_greediest(pool);
}

static void put_in_bucket(struct udp_table *table, struct udp_session *session)
{
	struct udp_session **head = bucket(table, &session->key);

	session->next_in_bucket = *head;
	*head = session;
}

/* Twice the buckets when there are more sessions than that. When memory is
 * out the chains get longer, which only costs time. */
static void table_grow(struct udp_table *table)
{
	struct udp_session **buckets, *session;

	if (table->ranks.n < table->n_buckets)
		return;
	buckets = calloc(table->n_buckets * 2, sizeof(*buckets));
	if (!buckets)
		return;
	free(table->buckets);
	table->buckets = buckets;
	table->n_buckets *= 2;
	DL_FOREACH (table->ranks.fresh, session)
		put_in_bucket(table, session);
	DL_FOREACH (table->ranks.proven, session)
		put_in_bucket(table, session);
}

static struct udp_session **list_of(struct ranks *ranks,
				    const struct udp_session *session)
{
	return session->stage == UDP_STAGE_PROVEN ? &ranks->proven
						  : &ranks->fresh;
}

/* To the end of the lists that its stage says. */
static void session_list(struct udp_session *session)
{
	struct ranks *table = &session->table->ranks;
	struct ranks *group = &session->table->group->ranks;

	DL_APPEND(*list_of(table, session), session);
	DL_APPEND2(*list_of(group, session), session, group_prev, group_next);
}

static void session_unlist(struct udp_session *session)
{
	struct ranks *table = &session->table->ranks;
	struct ranks *group = &session->table->group->ranks;

	DL_DELETE(*list_of(table, session), session);
	DL_DELETE2(*list_of(group, session), session, group_prev, group_next);
}

struct udp_session *udp_table_add(struct udp_table *table,
				  const struct udp_key *key, uint64_t now_us)
{
	struct udp_session *session = calloc(1, sizeof(*session));
	struct udp_group *group = table->group;
	size_t size = size_of(group);

	if (!session)
		return NULL;
	table_grow(table);
	session->table = table;
	session->key = *key;
	session->fd = -1;
	session->active_us = now_us;
	session->began_us = now_us;
	session->answered_us = now_us;
	session->burst = 1;
	put_in_bucket(table, session);
	session_list(session);
	table->ranks.n++;
	group->ranks.n++;
	group_resize(group, size);
	group->pool->n++;
	return session;
}

/* To the end of its lists; of others if its stage is a new one. */
static void session_move(struct udp_session *session, enum udp_stage stage,
			 uint64_t now_us)
{
	struct ranks *table = &session->table->ranks;
	struct ranks *group = &session->table->group->ranks;
	struct udp_session **in_table = list_of(table, session);
	struct udp_session **in_group = list_of(group, session);
	bool newly_proven = stage == UDP_STAGE_PROVEN &&
			    session->stage != UDP_STAGE_PROVEN;

	session->active_us = now_us;
	session->stage = (uint8_t)stage;
	if (newly_proven || session->next) {
		DL_DELETE(*in_table, session);
		DL_APPEND(*list_of(table, session), session);
	}
	if (newly_proven || session->group_next) {
		DL_DELETE2(*in_group, session, group_prev, group_next);
		DL_APPEND2(*list_of(group, session), session, group_prev,
			   group_next);
	}
	table->n_proven += newly_proven;
	group->n_proven += newly_proven;
}

void udp_session_asked(struct udp_session *session, uint64_t now_us)
{
	session_move(session,
		     session->stage == UDP_STAGE_ASKED ? UDP_STAGE_ASKED
						       : UDP_STAGE_PROVEN,
		     now_us);
}

void udp_session_answered(struct udp_session *session, uint64_t now_us)
{
	session->answered_us = now_us;
	session_move(session,
		     session->stage == UDP_STAGE_PROVEN ? UDP_STAGE_PROVEN
							: UDP_STAGE_ANSWERED,
		     now_us);
}

void udp_session_remove(struct udp_session *session)
{
	struct udp_table *table = session->table;
	struct udp_group *group = table->group;
	struct udp_session **link = bucket(table, &session->key);
	bool proven = session->stage == UDP_STAGE_PROVEN;
	size_t size = size_of(group);

	while (*link != session)
		link = &(*link)->next_in_bucket;
	*link = session->next_in_bucket;
	session_unlist(session);
	table->ranks.n_proven -= proven;
	group->ranks.n_proven -= proven;
	table->ranks.n--;
	group->ranks.n--;
	group_resize(group, size);
	group->pool->n--;
}
