/* SPDX-License-Identifier: Apache-2.0 */
/* udp_session.h - who is talking to whom: the table of UDP sessions
 *
 * Knows no sockets. All of one worker's tables draw from one pool, so that
 * there is a bound in all beside the bound of each listener. In the pool the
 * tables of one namespace are a group: what is short is taken from the group
 * that has most.
 */
#ifndef RELAY_UDP_UDP_SESSION_H
#define RELAY_UDP_UDP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/pollable.h"
#include "relay/udp/udp_address.h"

struct mint;
struct own_socket;
struct udp_ask;
struct udp_group;
struct udp_table;

/* How far a conversation has come. */
enum udp_stage {
	UDP_STAGE_ASKED, /* the client spoke, from whatever address */
	UDP_STAGE_ANSWERED, /* and so did the backend */
	UDP_STAGE_PROVEN, /* and the client once more: it exists */
};

/**
 * struct udp_session - one client's conversation
 * @poll:	of @fd, the socket connected to the backend
 * @active_us:	last datagram of either direction
 * @began_us:	when it was made
 * @answered_us: when the backend last spoke, at first as @began_us
 * @checked_us:	when its own address was last looked for
 * @fd:		-1: it waits for one
 * @mint:	of @fd, if berthd made it; else NULL
 * @own:	of @fd, if its backend may be a listener of the relay's; else
 *		NULL
 * @hops:	see own_arrival_hops()
 * @ask:	while it waits, else NULL
 * @backend:	index of the backend that @fd is connected to
 * @burst:	how many answers to receive at once
 * @ports:	the port space that @fd has a port of, or 0
 * @full_turn:	the worker's turn in which there were as many
 * @apart_to_backend: the kernel refuses merged datagrams on the way to the
 *		backend, so they are sent one by one
 * @apart_to_client: the same on the way to the client
 * @merges:	the socket receives merged datagrams (UDP_GRO)
 */
struct udp_session {
	struct grave grave;
	struct pollable poll;
	struct udp_table *table;
	struct udp_session *next_in_bucket;
	struct udp_session *prev, *next; /* in the table, oldest first */
	struct udp_session *group_prev,
		*group_next; /* in the group, likewise */
	uint64_t active_us;
	uint64_t began_us;
	uint64_t answered_us;
	uint64_t checked_us;
	struct mint *mint;
	struct own_socket *own;
	struct udp_ask *ask;
	struct udp_key key;
	int fd;
	uint32_t ports;
	uint32_t full_turn;
	uint8_t backend;
	uint8_t burst;
	uint8_t hops;
	uint8_t stage; /* enum udp_stage */
	bool apart_to_backend;
	bool apart_to_client;
	bool merges;
};

/* Sizes of groups by powers of two, and none. */
#define UDP_SIZES 33

/**
 * struct udp_pool - the sessions of all tables of one worker
 * @secret:	so that no client can choose addresses that collide
 * @groups:	a uthash.h table, by namespace
 * @by_size:	those groups; index i: of at least 2^(i-1) sessions, fewer than
 *		2^i. Heads of utlist.h DLs
 */
struct udp_pool {
	uint64_t secret[2];
	size_t limit;
	size_t n;
	struct udp_group *groups;
	struct udp_group *by_size[UDP_SIZES];
};

/** udp_pool_init() - @limit: sessions of all tables */
void udp_pool_init(struct udp_pool *pool, size_t limit);

/**
 * udp_pool_greediest() - which session gives way when all lack something
 *
 * Of the namespace that has most sessions, or less than twice as few as that:
 * the oldest, see udp_table_victim(). Return: NULL when there is no session.
 */
struct udp_session *udp_pool_greediest(const struct udp_pool *pool);

/**
 * udp_pool_of() - which session of namespace @netns gives way, chosen likewise
 * @ret_n:	how many it has
 *
 * Return: NULL when it has none here, and then *@ret_n is 0.
 */
struct udp_session *udp_pool_of(const struct udp_pool *pool, const void *netns,
				size_t *ret_n);

/**
 * udp_table_new() - a table of the group of namespace @netns
 * @netns:	any pointer that stands for the namespace
 *
 * Return: NULL when memory is out.
 */
struct udp_table *udp_table_new(struct udp_pool *pool, const void *netns,
				void *owner);

/** udp_table_owner() - what was given to udp_table_new() */
void *udp_table_owner(const struct udp_table *table);

/** udp_table_free() - must be empty. Returns NULL; NULL is fine. */
struct udp_table *udp_table_free(struct udp_table *table);

/** udp_table_count() - Return: how many sessions the table has. */
size_t udp_table_count(const struct udp_table *table);

/** udp_table_find() - or NULL */
struct udp_session *udp_table_find(const struct udp_table *table,
				   const struct udp_key *key);

/** udp_table_oldest() - least recently used, proven or not; or NULL */
struct udp_session *udp_table_oldest(const struct udp_table *table);

/**
 * udp_table_victim() - who has to go before another session may come
 * @limit:	sessions of this table
 *
 * One of the table's own when the table is full. When the pool is, one of the
 * namespace's own, see udp_table_concede(), if it has its fair part of the
 * pool; else one of the namespace that has most. Whoever floods listeners thus
 * takes its own sessions away.
 *
 * Of several, the oldest that is not proven; only where those are few, the
 * oldest that is. Forged source addresses never prove anything, and so push
 * each other out and not the clients that are really there.
 *
 * Return: NULL when there is room.
 */
struct udp_session *udp_table_victim(const struct udp_table *table,
				     size_t limit);

/**
 * udp_table_concede() - which session goes when its namespace has its share
 *
 * One of the table's own if it has its fair part of those of the namespace,
 * else any of the namespace. Return: NULL when the namespace has none in this
 * pool.
 */
struct udp_session *udp_table_concede(const struct udp_table *table);

/**
 * udp_table_add() - a new session, the most recent one
 *
 * The key must not be there yet. The caller sets poll and fd.
 * Return: NULL when memory is out.
 */
struct udp_session *udp_table_add(struct udp_table *table,
				  const struct udp_key *key, uint64_t now_us);

/** udp_session_asked() - the client spoke: it is the most recent one now */
void udp_session_asked(struct udp_session *session, uint64_t now_us);

/** udp_session_answered() - the backend spoke, likewise */
void udp_session_answered(struct udp_session *session, uint64_t now_us);

/** udp_session_remove() - out of table and group; the memory is the caller's */
void udp_session_remove(struct udp_session *session);

#endif
