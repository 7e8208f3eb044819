// SPDX-License-Identifier: Apache-2.0
/* withdrawals.c - listeners that a consumer still holds, and berthd closed
 *
 * A change of all rules withdraws every listener, and each listener that is
 * opened meanwhile asks which consumer still holds its port. So withdrawals are
 * found by their namespace, too.
 */
#include "daemon/consumers/withdrawals.h"

#include <stdlib.h>
#include <utlist.h>

#include "binder/binder.h"
#include "common/service.h"
#include "common/util.h"

/** struct withdrawn_netns - exists while there are any of a namespace */
struct withdrawn_netns {
	uint64_t id;
	struct withdrawal *list;
	UT_hash_handle hh;
};

static struct withdrawn_netns *netns_find(const struct withdrawals *withdrawals,
					  uint64_t id)
{
	struct withdrawn_netns *netns;

	HASH_FIND(hh, withdrawals->by_netns, &id, sizeof(id), netns);
	return netns;
}

static struct withdrawn_netns *netns_get(struct withdrawals *withdrawals,
					 uint64_t id)
{
	struct withdrawn_netns *netns = netns_find(withdrawals, id);

	if (netns)
		return netns;
	netns = calloc(1, sizeof(*netns));
	if (!netns)
		return NULL;
	netns->id = id;
	HASH_ADD(hh, withdrawals->by_netns, id, sizeof(netns->id), netns);
	if (netns->hh.tbl)
		return netns;
	free(netns);
	return NULL;
}

static void netns_put(struct withdrawals *withdrawals,
		      struct withdrawn_netns *netns)
{
	if (netns->list)
		return;
	HASH_DEL(withdrawals->by_netns, netns);
	free(netns);
}

static void enqueue(struct withdrawals *withdrawals,
		    struct withdrawal *withdrawal)
{
	if (!withdrawal->queued)
		DL_APPEND(withdrawals->queue, withdrawal);
	withdrawal->queued = true;
}

static void dequeue(struct withdrawals *withdrawals,
		    struct withdrawal *withdrawal)
{
	if (withdrawal->queued)
		DL_DELETE(withdrawals->queue, withdrawal);
	withdrawal->queued = false;
}

int withdrawals_add(struct withdrawals *withdrawals,
		    const struct listener *listener, uint64_t now_us)
{
	struct withdrawn_netns *netns =
		netns_get(withdrawals, listener->netns_id);
	struct withdrawal *withdrawal = netns ? calloc(1, sizeof(*withdrawal))
					      : NULL;

	if (!netns)
		return -ENOMEM;
	if (!withdrawal) {
		netns_put(withdrawals, netns);
		return -ENOMEM;
	}
	withdrawal->id = listener->id;
	withdrawal->netns_id = listener->netns_id;
	withdrawal->endpoint = listener->endpoint;
	withdrawal->since_us = now_us;
	HASH_ADD(hh, withdrawals->by_id, id, sizeof(withdrawal->id),
		 withdrawal);
	if (!withdrawal->hh.tbl) {
		netns_put(withdrawals, netns);
		free(withdrawal);
		return -ENOMEM;
	}
	withdrawal->service = service_ref(listener->service);
	withdrawal->netns = netns;
	DL_APPEND2(netns->list, withdrawal, netns_prev, netns_next);
	enqueue(withdrawals, withdrawal);
	return 0;
}

struct withdrawal *withdrawals_find(const struct withdrawals *withdrawals,
				    uint64_t id)
{
	struct withdrawal *withdrawal;

	HASH_FIND(hh, withdrawals->by_id, &id, sizeof(id), withdrawal);
	return withdrawal;
}

void withdrawals_sent(struct withdrawals *withdrawals)
{
	dequeue(withdrawals, withdrawals->queue);
}

void withdrawals_remove(struct withdrawals *withdrawals,
			struct withdrawal *withdrawal)
{
	struct withdrawn_netns *netns = withdrawal->netns;

	dequeue(withdrawals, withdrawal);
	DL_DELETE2(netns->list, withdrawal, netns_prev, netns_next);
	netns_put(withdrawals, netns);
	HASH_DEL(withdrawals->by_id, withdrawal);
	(void)service_unref(withdrawal->service); /* is always NULL */
	free(withdrawal);
}

void withdrawals_clear(struct withdrawals *withdrawals)
{
	struct withdrawal *withdrawal, *next;

	HASH_ITER (hh, withdrawals->by_id, withdrawal, next)
		withdrawals_remove(withdrawals, withdrawal);
}

bool withdrawals_netns_gone(struct withdrawals *withdrawals, uint64_t netns_id,
			    uint64_t now_us)
{
	struct withdrawn_netns *netns = netns_find(withdrawals, netns_id);
	struct withdrawal *withdrawal;
	bool any = false;

	if (!netns)
		return false;
	DL_FOREACH2(netns->list, withdrawal, netns_next)
	{
		if (withdrawal->abort_since_us)
			continue;
		withdrawal->abort_since_us = now_us;
		enqueue(withdrawals, withdrawal);
		any = true;
	}
	return any;
}

const struct withdrawal *withdrawals_of(const struct withdrawals *withdrawals,
					uint64_t netns_id)
{
	const struct withdrawn_netns *netns = netns_find(withdrawals, netns_id);

	return netns ? netns->list : NULL;
}

size_t withdrawals_count(const struct withdrawals *withdrawals)
{
	return HASH_COUNT(withdrawals->by_id);
}

uint64_t withdrawals_oldest_us(const struct withdrawals *withdrawals)
{
	const struct withdrawal *withdrawal;
	uint64_t oldest_us = 0;

	for (withdrawal = withdrawals->by_id; withdrawal;
	     withdrawal = withdrawal->hh.next) {
		if (withdrawal->abort_since_us &&
		    (!oldest_us || withdrawal->abort_since_us < oldest_us))
			oldest_us = withdrawal->abort_since_us;
	}
	return oldest_us;
}
