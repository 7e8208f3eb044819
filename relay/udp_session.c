// SPDX-License-Identifier: Apache-2.0
/* udp_session.c - who is talking to whom: the table of UDP sessions
 *
 * Theory of operation: a chained hash table per listener that grows with what
 * it holds, and lists in order of use, oldest first. The pool has one of all
 * sessions. A table has two: of sessions that are proven, because the client
 * spoke again after it was answered, and of those that are not. The oldest is
 * the next to expire; when there are too many, those that are not proven go
 * first, as long as they hold more than a quarter of the places, which is kept
 * for newcomers: without it, a table full of proven sessions would let nobody
 * in. Source addresses are the client's choice, so the hash is
 * SipHash-1-3 with a secret: without it, a few thousand chosen addresses in one
 * bucket would cost everybody's datagrams their time.
 */
#include "relay/udp_session.h"

#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "common/util.h"

#define BUCKETS_MIN 8

/* The part of a full table that is for sessions which are not proven. */
#define NEWCOMERS_PART 4

struct udp_table {
	struct udp_pool *pool;
	void *owner;
	struct udp_session **buckets;
	size_t n_buckets; /* a power of two */
	size_t n;
	size_t n_proven;
	struct udp_session *fresh, *proven; /* heads of utlist.h DLs */
};

void udp_pool_init(struct udp_pool *pool, size_t limit)
{
	*pool = (struct udp_pool){ .limit = limit };
	/* Without entropy, early at boot: what another boot does not repeat. */
	if (getrandom(pool->secret, sizeof(pool->secret), GRND_NONBLOCK) < 0)
		pool->secret[0] = monotonic_us() ^ (uintptr_t)pool;
}

/* SipHash-1-3 of Aumasson and Bernstein, for whole 64-bit words. */

static uint64_t rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t key_hash(const struct udp_pool *pool, const struct udp_key *key)
{
	uint64_t v[4] = {
		pool->secret[0] ^ UINT64_C(0x736f6d6570736575),
		pool->secret[1] ^ UINT64_C(0x646f72616e646f6d),
		pool->secret[0] ^ UINT64_C(0x6c7967656e657261),
		pool->secret[1] ^ UINT64_C(0x7465646279746573),
	};
	uint64_t words[6] = { 0 };

	memcpy(words, key, sizeof(*key));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct udp_session **bucket(const struct udp_table *table,
				   const struct udp_key *key)
{
	return &table->buckets[key_hash(table->pool, key) &
			       (table->n_buckets - 1)];
}

struct udp_table *udp_table_new(struct udp_pool *pool, void *owner)
{
	struct udp_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->pool = pool;
	table->owner = owner;
	table->n_buckets = BUCKETS_MIN;
	table->buckets = calloc(table->n_buckets, sizeof(*table->buckets));
	if (!table->buckets) {
		free(table);
		return NULL;
	}
	pool->n_tables++;
	return table;
}

struct udp_table *udp_table_free(struct udp_table *table)
{
	if (!table)
		return NULL;
	table->pool->n_tables--;
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
	return table->n;
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
	struct udp_session *fresh = table->fresh, *proven = table->proven;

	if (!fresh || (proven && proven->active_us < fresh->active_us))
		return proven;
	return fresh;
}

/* Which of its sessions a table that has to give one gives. */
static struct udp_session *table_give(const struct udp_table *table)
{
	size_t n_fresh = table->n - table->n_proven;

	if (!table->proven || n_fresh > table->n / NEWCOMERS_PART)
		return table->fresh;
	return table->proven;
}

struct udp_session *udp_table_victim(const struct udp_table *table,
				     size_t limit)
{
	const struct udp_pool *pool = table->pool;

	if (table->n >= limit)
		return table_give(table);
	if (pool->n < pool->limit)
		return NULL;
	if (table->n > 0 && table->n >= pool->limit / pool->n_tables)
		return table_give(table);
	return pool->oldest;
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

	if (table->n < table->n_buckets)
		return;
	buckets = calloc(table->n_buckets * 2, sizeof(*buckets));
	if (!buckets)
		return;
	free(table->buckets);
	table->buckets = buckets;
	table->n_buckets *= 2;
	DL_FOREACH (table->fresh, session)
		put_in_bucket(table, session);
	DL_FOREACH (table->proven, session)
		put_in_bucket(table, session);
}

struct udp_session *udp_table_add(struct udp_table *table,
				  const struct udp_key *key, uint64_t now_us)
{
	struct udp_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	table_grow(table);
	session->table = table;
	session->key = *key;
	session->fd = -1;
	session->active_us = now_us;
	session->began_us = now_us;
	session->burst = 1;
	put_in_bucket(table, session);
	DL_APPEND(table->fresh, session);
	DL_APPEND2(table->pool->oldest, session, pool_prev, pool_next);
	table->n++;
	table->pool->n++;
	return session;
}

static struct udp_session **list_of(const struct udp_session *session)
{
	return session->stage == UDP_STAGE_PROVEN ? &session->table->proven
						  : &session->table->fresh;
}

/* To the end of its lists; of another one if its stage is a new one. */
static void session_move(struct udp_session *session, enum udp_stage stage,
			 uint64_t now_us)
{
	struct udp_pool *pool = session->table->pool;
	struct udp_session **old = list_of(session), **list;

	session->active_us = now_us;
	session->stage = (uint8_t)stage;
	list = list_of(session);
	if (list != old || session->next) {
		DL_DELETE(*old, session);
		DL_APPEND(*list, session);
	}
	if (list != old)
		session->table->n_proven++;
	if (session->pool_next) {
		DL_DELETE2(pool->oldest, session, pool_prev, pool_next);
		DL_APPEND2(pool->oldest, session, pool_prev, pool_next);
	}
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
	session_move(session,
		     session->stage == UDP_STAGE_PROVEN ? UDP_STAGE_PROVEN
							: UDP_STAGE_ANSWERED,
		     now_us);
}

void udp_session_remove(struct udp_session *session)
{
	struct udp_table *table = session->table;
	struct udp_session **link = bucket(table, &session->key);

	while (*link != session)
		link = &(*link)->next_in_bucket;
	*link = session->next_in_bucket;
	DL_DELETE(*list_of(session), session);
	if (session->stage == UDP_STAGE_PROVEN)
		table->n_proven--;
	DL_DELETE2(table->pool->oldest, session, pool_prev, pool_next);
	table->n--;
	table->pool->n--;
}
