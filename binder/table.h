/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - the binder's rows, their indexes, and their queues */
#ifndef BINDER_TABLE_H
#define BINDER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "binder/listener.h"
#include "common/heap.h"
#include "common/listener_spec.h"

struct sctp_settings;

/**
 * struct binder_row - one row of the table, and its place in every index
 * @listener:	what the outside sees; first, so that both have one address
 * @prev, @next: in @netns->rows
 * @starved_prev, @starved_next: in the table's @starved, while @starved
 * @retry:	in the table's @retries, by listener.next_attempt_us
 * @not_before_us: monotonic; no attempt is made before it
 * @pass:	the last binder_apply() that wanted it
 * @reason_text: owned; @listener.reason points here or to static text
 * @addrs:	of a multihomed endpoint; owned
 * @ipv4_only:	`any`, opened as 0.0.0.0 for lack of IPv6
 * @starved:	waits for one of max_listeners, not for a time
 * @awaited:	waits to be handed back, or for the attempt after that
 * @held:	waits for a consumer to let go of berth's earlier socket
 * @adopted:	its socket is older than this berthd: its consumer may have it,
 *		whether it was given it now or not
 * @warned:	it was said that it could not be opened, since it was last open
 */
struct binder_row {
	struct listener listener;
	struct binder_netns *netns;
	struct binder_row *prev, *next;
	struct binder_row *starved_prev, *starved_next;
	UT_hash_handle hh_key;
	UT_hash_handle hh_id;
	struct heap_node retry;
	uint64_t not_before_us;
	uint64_t pass;
	char *reason_text;
	struct ip_addr *addrs;
	size_t n_addrs;
	bool freebind;
	bool observed;
	bool ipv4_only;
	bool starved;
	bool awaited;
	bool held;
	bool adopted;
	bool warned;
};

/**
 * struct binder_netns - the rows of one namespace; exists while there are any
 * @quiet_until_us: events make waiting rows be tried again only after this
 * @sctp:	the sysctls that its SCTP listeners have; NULL: never looked at
 * @sctp_look_us: when to look at them without an event; 0: never
 * @sctp_pause_us: how long it was to that
 */
struct binder_netns {
	uint64_t id;
	struct binder_row *rows;
	uint64_t quiet_until_us;
	struct sctp_settings *sctp;
	uint64_t sctp_look_us;
	uint64_t sctp_pause_us;
	UT_hash_handle hh;
};

/**
 * struct binder_table - zero initialized
 * @netns:	the namespaces that have rows
 * @retries:	rows that wait for a time, with room for all rows
 * @found:	the last one that was found by id: those who ask for many ask in
 *		the order in which they were opened; NULL: none, or it is gone
 * @starved:	rows that wait for a slot, the longest first
 * @open, @waiting, @refused: rows in this state
 * @awaited:	rows that are
 * @last_id:	of the rows that are not open; begins with the time of day in
 *		microseconds, so that it is above that of any earlier table
 */
struct binder_table {
	struct binder_netns *netns;
	struct binder_row *by_key;
	struct binder_row *by_id;
	struct binder_row *found;
	struct heap retries;
	struct binder_row *starved;
	size_t open;
	size_t waiting;
	size_t refused;
	size_t awaited;
	uint64_t last_id;
};

/** binder_table_init() - the table is zero */
void binder_table_init(struct binder_table *table);

/** binder_table_done() - frees the queues; there must be no row left */
void binder_table_done(struct binder_table *table);

/** binder_netns_find() - by id. Return: the namespace; NULL: it has no rows. */
struct binder_netns *binder_netns_find(const struct binder_table *table,
				       uint64_t netns_id);

/** binder_netns_get() - as binder_netns_find(), but makes it when it is
 * missing. Return: the namespace, to be given back with binder_netns_put();
 * NULL: out of memory. */
struct binder_netns *binder_netns_get(struct binder_table *table,
				      uint64_t netns_id);

/** binder_netns_put() - frees the namespace if it has no rows (any more) */
void binder_netns_put(struct binder_table *table, struct binder_netns *netns);

/** binder_row_find() - by namespace and endpoint. Return: the row or NULL. */
struct binder_row *binder_row_find(const struct binder_table *table,
				   uint64_t netns_id,
				   const struct endpoint *endpoint);

/** binder_row_find_id() - by id. Return: the row or NULL. */
struct binder_row *binder_row_find_id(struct binder_table *table, uint64_t id);

/** binder_row_set_container() - @container: of the spec, copied; may be NULL */
void binder_row_set_container(struct binder_row *row, const char *container);

/**
 * binder_row_new() - adds a row for @spec, waiting or refused, in no queue
 * @ret_row:	the table's, to be freed with binder_row_free()
 *
 * Return: 0 or -ENOMEM.
 */
int binder_row_new(struct binder_table *table, struct binder_netns *netns,
		   const struct listener_spec *spec,
		   struct binder_row **ret_row);

/** binder_row_free() - closes the row's socket and frees the row; its namespace
 * stays, maybe without rows */
void binder_row_free(struct binder_table *table, struct binder_row *row);

/** binder_row_set_state() - changes the state, and the counts of states */
void binder_row_set_state(struct binder_table *table, struct binder_row *row,
			  enum listener_state state);

/**
 * binder_row_set_id() - gives the row the id by which it is found from now on
 * Return: 0 or -ENOMEM: it is not found by any id.
 */
int binder_row_set_id(struct binder_table *table, struct binder_row *row,
		      uint64_t id);

/** binder_row_await() - sets or clears @awaited */
void binder_row_await(struct binder_table *table, struct binder_row *row,
		      bool awaited);

/** binder_row_starve() - puts the row into the list of the starved, or takes it
 * out */
void binder_row_starve(struct binder_table *table, struct binder_row *row,
		       bool starved);

/** binder_row_retry_at() - the next attempt is at @at_us; monotonic */
void binder_row_retry_at(struct binder_table *table, struct binder_row *row,
			 uint64_t at_us);

/** binder_row_retry_never() - there is no attempt until binder_row_retry_at()
 */
void binder_row_retry_never(struct binder_table *table, struct binder_row *row);

/** binder_row_blocker() - Return: the open row of the same namespace that
 * cannot exist beside @row, or NULL. */
struct binder_row *binder_row_blocker(const struct binder_row *row);

#endif
