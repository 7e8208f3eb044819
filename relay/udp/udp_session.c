// SPDX-License-Identifier: Apache-2.0
/* udp_session.c - the table of UDP sessions
 *
 * Theory of operation: a table is a chained hash table, which grows with its
 * sessions, and two lists in order of use, oldest first: one of sessions that
 * are proven, because the client sent again after it was answered, and one of
 * those that are not. A group has two such lists of all tables of its
 * namespace. The oldest session of a list is the next to expire.
 *
 * If there are too many sessions, those that are not proven end first, as long
 * as they have more than a quarter of the places. That quarter is kept for
 * newcomers: otherwise a table full of proven sessions would let nobody in.
 *
 * The pool sorts the groups roughly by size, by powers of two. That finds one
 * of the largest at once, and seldom moves a group.
 *
 * Clients choose their source addresses, so the hash is SipHash-1-3 with a
 * secret. Otherwise a client could choose a few thousand addresses of one
 * bucket, and slow the datagrams of all others down.
 */
#include "relay/udp/udp_session.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/siphash.h"
#include "common/util.h"

#define BUCKETS_MIN 8

/* One of so many places of a full table is kept for sessions that are not
 * proven. */
#define NEWCOMERS_PART 4

/**
 * struct ranks - sessions in order of use
 * @fresh:	those that are not proven
 * @fresh, @proven: heads of utlist.h DLs, oldest first
 * @n:		sessions in both lists
 * @n_proven:	sessions in @proven
 */
struct ranks {
	struct udp_session *fresh, *proven;
	size_t n;
	size_t n_proven;
};

/**
 * struct udp_group - the tables of one namespace
 * @netns:	stands for the namespace
 * @n_tables:	the group is freed with the last one
 * @prev, @next: in udp_pool.by_size
 * @hh:		in udp_pool.groups
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

/* Return: the group's index in udp_pool.by_size. */
static size_t size_of(const struct udp_group *group)
{
	size_t n = group->ranks.n;

	return n > 0 ? (size_t)(64 - __builtin_clzll(n)) : 0;
}

/* Moves the group to the list of its size. @old: size_of() it before the number
 * of its sessions changed. */
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

/* Which session gives way */

/* Return: the session in @ranks that ends first; NULL: there is none. */
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

/* Doubles the buckets if there are more sessions than buckets. Without memory
 * the chains get longer, which only costs time. */
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

/* Puts @session at the end of the lists of its stage. */
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
				  const struct udp_key *key, bool limited,
				  uint64_t now_us)
{
	size_t n_timers = limited ? 1 : 0;
	struct udp_session *session = calloc(
		1, sizeof(*session) + n_timers * sizeof(session->lifetime[0]));
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
	session->limited = limited;
	put_in_bucket(table, session);
	session_list(session);
	table->ranks.n++;
	group->ranks.n++;
	group_resize(group, size);
	group->pool->n++;
	return session;
}

/* Puts @session at the end of its lists, or of the other ones if it is proven
 * from now on. */
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
