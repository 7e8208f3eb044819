// SPDX-License-Identifier: Apache-2.0
/* table.c - the binder's rows, their indexes, and their queues */
#include "binder/table.h"

#include <string.h>
#include <time.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/util.h"

/*
 * struct row_key - how a row is found; the first ROW_KEY_BYTES, which lie in
 * struct listener in the same order
 */
struct row_key {
	uint64_t netns_id;
	struct endpoint endpoint;
};
#define ROW_KEY_BYTES \
	(offsetof(struct row_key, endpoint) + sizeof(struct endpoint))
_Static_assert(offsetof(struct listener, endpoint) -
			       offsetof(struct listener, netns_id) ==
		       offsetof(struct row_key, endpoint),
	       "the key is not contiguous");
_Static_assert(offsetof(struct binder_row, listener) == 0,
	       "a listener is not a row");

void binder_table_init(struct binder_table *table)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	table->last_id = (uint64_t)now.tv_sec * USEC_PER_SEC +
			 (uint64_t)now.tv_nsec / 1000;
}

void binder_table_done(struct binder_table *table)
{
	heap_done(&table->retries);
}

struct binder_netns *binder_netns_find(const struct binder_table *table,
				       uint64_t netns_id)
{
	struct binder_netns *netns;

	HASH_FIND(hh, table->netns, &netns_id, sizeof(netns_id), netns);
	return netns;
}

struct binder_netns *binder_netns_get(struct binder_table *table,
				      uint64_t netns_id)
{
	struct binder_netns *netns = binder_netns_find(table, netns_id);

	if (netns)
		return netns;
	netns = calloc(1, sizeof(*netns));
	if (!netns)
		return NULL;
	netns->id = netns_id;
	HASH_ADD(hh, table->netns, id, sizeof(netns->id), netns);
	if (!netns->hh.tbl) {
		free(netns);
		return NULL;
	}
	return netns;
}

void binder_netns_put(struct binder_table *table, struct binder_netns *netns)
{
	if (netns->rows)
		return;
	HASH_DELETE(hh, table->netns, netns);
	free(netns->sctp);
	free(netns);
}

struct binder_row *binder_row_find(const struct binder_table *table,
				   uint64_t netns_id,
				   const struct endpoint *endpoint)
{
	struct row_key key = { .netns_id = netns_id, .endpoint = *endpoint };
	struct binder_row *row;

	/* The analyzer loses track of the key within the hash function.
	 * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	HASH_FIND(hh_key, table->by_key, &key, ROW_KEY_BYTES, row);
	return row;
}

struct binder_row *binder_row_find_id(struct binder_table *table, uint64_t id)
{
	struct binder_row *row = table->found ? table->found->hh_id.next : NULL;

	if (!row || row->listener.id != id)
		HASH_FIND(hh_id, table->by_id, &id, sizeof(id), row);
	table->found = row;
	return row;
}

static size_t *row_counter(struct binder_table *table,
			   enum listener_state state)
{
	switch (state) {
	case LISTENER_OPEN:
		return &table->open;
	case LISTENER_WAITING:
		return &table->waiting;
	case LISTENER_REFUSED:
		return &table->refused;
	}
	return NULL;
}

void binder_row_set_state(struct binder_table *table, struct binder_row *row,
			  enum listener_state state)
{
	if (row->listener.state != state)
		row->listener.since_us = monotonic_us();
	--*row_counter(table, row->listener.state);
	row->listener.state = state;
	++*row_counter(table, state);
}

static int row_index_id(struct binder_table *table, struct binder_row *row)
{
	HASH_ADD(hh_id, table->by_id, listener.id, sizeof(row->listener.id),
		 row);
	return row->hh_id.tbl ? 0 : -ENOMEM;
}

static void row_unindex_id(struct binder_table *table, struct binder_row *row)
{
	if (table->found == row)
		table->found = NULL;
	if (row->hh_id.tbl)
		HASH_DELETE(hh_id, table->by_id, row);
	row->hh_id.tbl = NULL;
}

int binder_row_set_id(struct binder_table *table, struct binder_row *row,
		      uint64_t id)
{
	row_unindex_id(table, row);
	row->listener.id = id;
	return row_index_id(table, row);
}

void binder_row_await(struct binder_table *table, struct binder_row *row,
		      bool awaited)
{
	if (row->awaited != awaited)
		table->awaited += awaited ? 1 : (size_t)-1;
	row->awaited = awaited;
}

void binder_row_starve(struct binder_table *table, struct binder_row *row,
		       bool starved)
{
	if (starved == row->starved)
		return;
	row->starved = starved;
	if (starved)
		DL_APPEND2(table->starved, row, starved_prev, starved_next);
	else
		DL_DELETE2(table->starved, row, starved_prev, starved_next);
}

void binder_row_retry_at(struct binder_table *table, struct binder_row *row,
			 uint64_t at_us)
{
	row->listener.next_attempt_us = at_us;
	heap_set(&table->retries, &row->retry, at_us);
}

void binder_row_retry_never(struct binder_table *table, struct binder_row *row)
{
	row->listener.next_attempt_us = 0;
	heap_remove(&table->retries, &row->retry);
}

static int row_index(struct binder_table *table, struct binder_row *row)
{
	HASH_ADD(hh_key, table->by_key, listener.netns_id, ROW_KEY_BYTES, row);
	if (!row->hh_key.tbl)
		return -ENOMEM;
	if (row_index_id(table, row) < 0) {
		HASH_DELETE(hh_key, table->by_key, row);
		return -ENOMEM;
	}
	if (heap_reserve(&table->retries) < 0) {
		HASH_DELETE(hh_key, table->by_key, row);
		row_unindex_id(table, row);
		return -ENOMEM;
	}
	DL_APPEND(row->netns->rows, row);
	return 0;
}

void binder_row_set_container(struct binder_row *row, const char *container)
{
	char **held = &row->listener.container;

	if (*held && container && strcmp(*held, container) == 0)
		return;
	free(*held);
	*held = container ? strdup(container) : NULL;
}

int binder_row_new(struct binder_table *table, struct binder_netns *netns,
		   const struct listener_spec *spec,
		   struct binder_row **ret_row)
{
	struct binder_row *row = calloc(1, sizeof(*row));
	struct listener *listener;

	if (!row)
		return -ENOMEM;
	row->netns = netns;
	row->freebind = spec->freebind;
	row->observed = spec->observed;
	row->not_before_us = spec->not_before_us;
	listener = &row->listener;
	listener->id = table->last_id + 1;
	listener->netns_id = netns->id;
	listener->endpoint = spec->endpoint;
	memcpy(listener->ifname, spec->ifname, sizeof(listener->ifname));
	listener->state = spec->refusal ? LISTENER_REFUSED : LISTENER_WAITING;
	listener->since_us = monotonic_us();
	listener->reason = spec->refusal;
	listener->fd = -1;
	if (spec->n_addrs > 0) {
		row->addrs = calloc(spec->n_addrs, sizeof(*row->addrs));
		if (row->addrs)
			memcpy(row->addrs, spec->addrs,
			       spec->n_addrs * sizeof(*row->addrs));
		row->n_addrs = spec->n_addrs;
	}
	if ((spec->n_addrs > 0 && !row->addrs) || row_index(table, row) < 0) {
		free(row->addrs);
		free(row);
		return -ENOMEM;
	}
	table->last_id++;
	listener->service = service_ref(spec->service);
	binder_row_set_container(row, spec->container);
	++*row_counter(table, listener->state);
	*ret_row = row;
	return 0;
}

void binder_row_free(struct binder_table *table, struct binder_row *row)
{
	if (row->listener.state == LISTENER_OPEN)
		close_foreign(row->listener.fd); /* consumers had it */
	--*row_counter(table, row->listener.state);
	heap_unreserve(&table->retries, &row->retry);
	binder_row_starve(table, row, /* starved= */ false);
	binder_row_await(table, row, /* awaited= */ false);
	HASH_DELETE(hh_key, table->by_key, row);
	row_unindex_id(table, row);
	DL_DELETE(row->netns->rows, row);
	(void)service_unref(row->listener.service); /* is always NULL */
	free(row->listener.container);
	free(row->addrs);
	free(row->reason_text);
	free(row);
}

static bool row_conflicts(const struct binder_row *a,
			  const struct binder_row *b)
{
	const struct endpoint *ea = &a->listener.endpoint;
	const struct endpoint *eb = &b->listener.endpoint;

	if (endpoint_conflict(ea, eb) == ENDPOINT_COMPATIBLE)
		return false;
	if (ea->multihomed && !eb->multihomed)
		return endpoint_members_conflict(ea, a->addrs, a->n_addrs, eb);
	if (eb->multihomed && !ea->multihomed)
		return endpoint_members_conflict(eb, b->addrs, b->n_addrs, ea);
	return true;
}

struct binder_row *binder_row_blocker(const struct binder_row *row)
{
	struct binder_row *other;

	DL_FOREACH (row->netns->rows, other) {
		if (other != row && other->listener.state == LISTENER_OPEN &&
		    row_conflicts(row, other))
			return other;
	}
	return NULL;
}
