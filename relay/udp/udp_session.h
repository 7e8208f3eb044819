/* SPDX-License-Identifier: Apache-2.0 */
/* udp_session.h - the table of UDP sessions
 *
 * No system calls. A session is one client's conversation, see struct udp_key.
 * Each listener has a table of sessions. All tables of one worker draw from one
 * pool, so that all sessions together are limited, too, not only those of each
 * listener. The tables of one namespace are a group in the pool: if sessions
 * are short, the group that has most of them gives way.
 *
 * All of it is for one worker's thread.
 */
#ifndef RELAY_UDP_UDP_SESSION_H
#define RELAY_UDP_UDP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/pollable.h"
#include "relay/core/roster.h"
#include "relay/core/timer.h"
#include "relay/core/upstream.h"
#include "relay/udp/udp_address.h"

struct udp_ask;
struct udp_group;
struct udp_table;

/* How far a conversation has come. */
enum udp_stage {
	UDP_STAGE_ASKED, /* the client sent; its address may be forged */
	UDP_STAGE_ANSWERED, /* and then the backend sent an answer */
	UDP_STAGE_PROVEN, /* and then the client sent again: it exists */
};

/**
 * struct udp_session - one client's conversation
 * @poll:	for events of @fd
 * @entry:	in the worker's roster of sessions
 * @active_us:	when the last datagram came, of either direction; all times are
 *		monotonic
 * @began_us:	when the session began, or was connected after it waited
 * @answered_us: when the last answer of the backend came; before the first one,
 *		when the session began
 * @checked_us:	when the kernel was last asked whether the host still has the
 *		local address of @fd
 * @fd:		the socket that is connected to the backend; -1: the session
 *		waits for one
 * @upstream:	the way to the backend; its waiter is unused
 * @ask:	while the session waits for a socket, else NULL
 * @burst:	how many answers to receive at once
 * @full_turn:	the worker's turn in which @burst answers were received last
 * @stage:	enum udp_stage
 * @apart_to_backend: the kernel refuses merged datagrams on the way to the
 *		backend, so they are sent one by one
 * @apart_to_client: the same on the way to the client
 * @merges:	the socket receives merged datagrams (UDP_GRO)
 * @limited:	it has @lifetime
 * @lifetime:	one timer, or none: how old the session may get. All others end
 *		by udp_front.expire, because they end in the order of @prev
 */
struct udp_session {
	struct grave grave;
	struct pollable poll;
	struct udp_table *table;
	struct udp_session *next_in_bucket;
	struct udp_session *prev, *next; /* in the table, oldest first */
	struct udp_session *group_prev,
		*group_next; /* in the group, likewise */
	struct roster_entry entry;
	uint64_t active_us;
	uint64_t began_us;
	uint64_t answered_us;
	uint64_t checked_us;
	struct upstream upstream;
	struct udp_ask *ask;
	struct udp_key key;
	int fd;
	uint32_t full_turn;
	uint8_t burst;
	uint8_t stage;
	bool apart_to_backend : 1;
	bool apart_to_client : 1;
	bool merges : 1;
	bool limited : 1;
	struct timer lifetime[];
};

/* Lists of groups: one for those without a session, and one for each power of
 * two of sessions. */
#define UDP_SIZES 33

/**
 * struct udp_pool - the sessions of all tables of one worker
 * @secret:	of the hash, so that no client can choose addresses that collide
 * @limit:	how many sessions there may be
 * @n:		how many there are
 * @groups:	a uthash.h table, by namespace
 * @by_size:	the same groups; index i has those of at least 2^(i-1) and fewer
 *		than 2^i sessions. Heads of utlist.h DLs
 */
struct udp_pool {
	uint64_t secret[2];
	size_t limit;
	size_t n;
	struct udp_group *groups;
	struct udp_group *by_size[UDP_SIZES];
};

/** udp_pool_init() - makes @pool an empty one, for at most @limit sessions */
void udp_pool_init(struct udp_pool *pool, size_t limit);

/**
 * udp_pool_greediest() - finds the session that gives way if something is short
 * that all namespaces share
 *
 * Return: the oldest, as of udp_table_victim(), of a namespace that has at
 * least half as many sessions as any other; NULL: there is no session.
 */
struct udp_session *udp_pool_greediest(const struct udp_pool *pool);

/**
 * udp_pool_of() - finds the session of namespace @netns that gives way
 * @ret_n:	how many sessions the namespace has
 *
 * Return: the oldest, as of udp_table_victim(); NULL: the namespace has none in
 * this pool, and *@ret_n is 0.
 */
struct udp_session *udp_pool_of(const struct udp_pool *pool, const void *netns,
				size_t *ret_n);

/**
 * udp_table_new() - makes an empty table in the group of namespace @netns
 * @netns:	any pointer that stands for the namespace
 * @owner:	for udp_table_owner()
 *
 * Return: the table, which the caller frees before @pool; NULL: no memory.
 */
struct udp_table *udp_table_new(struct udp_pool *pool, const void *netns,
				void *owner);

/** udp_table_owner() - Return: what was given to udp_table_new(). */
void *udp_table_owner(const struct udp_table *table);

/** udp_table_free() - frees @table, which must be empty. Returns NULL; NULL is
 * fine. */
struct udp_table *udp_table_free(struct udp_table *table);

/** udp_table_count() - Return: how many sessions the table has. */
size_t udp_table_count(const struct udp_table *table);

/** udp_table_find() - Return: the session of @key; NULL: there is none. */
struct udp_session *udp_table_find(const struct udp_table *table,
				   const struct udp_key *key);

/** udp_table_oldest() - Return: the least recently used session, proven or not;
 * NULL: the table is empty. */
struct udp_session *udp_table_oldest(const struct udp_table *table);

/**
 * udp_table_victim() - finds the session that has to end before another one may
 * begin in @table
 * @limit:	how many sessions the table may have
 *
 * If the table is full, it is one of the table's own. If the pool is full, it
 * is one of the namespace's own, see udp_table_concede(), provided that the
 * namespace has its fair part of the pool; otherwise one of a namespace that
 * has most. So a flood of one namespace ends that namespace's own sessions.
 *
 * Of several sessions it is the oldest that is not proven; only if few are not
 * proven, the oldest that is. A client with a forged source address is never
 * proven. So such clients push each other out, and not those that exist.
 *
 * Return: the session; NULL: there is room.
 */
struct udp_session *udp_table_victim(const struct udp_table *table,
				     size_t limit);

/**
 * udp_table_concede() - finds the session that gives way if the namespace of
 * @table has its share of something
 *
 * Return: one of the table's own if the table has its fair part of the
 * namespace's sessions, else any of the namespace; NULL: the namespace has none
 * in this pool.
 */
struct udp_session *udp_table_concede(const struct udp_table *table);

/**
 * udp_table_add() - makes a session, which is the most recently used one
 * @key:	must not be in the table
 * @limited:	with a timer for its lifetime
 * @now_us:	monotonic
 *
 * The caller sets poll, fd and the timer. Return: the session, which the caller
 * frees after udp_session_remove(); NULL: no memory.
 */
struct udp_session *udp_table_add(struct udp_table *table,
				  const struct udp_key *key, bool limited,
				  uint64_t now_us);

/** udp_session_asked() - the client sent something: @session is the most
 * recently used one now */
void udp_session_asked(struct udp_session *session, uint64_t now_us);

/** udp_session_answered() - the backend answered: @session is the most recently
 * used one now */
void udp_session_answered(struct udp_session *session, uint64_t now_us);

/** udp_session_remove() - takes @session out of its table and group */
void udp_session_remove(struct udp_session *session);

#endif
