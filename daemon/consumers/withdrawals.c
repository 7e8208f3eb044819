// SPDX-License-Identifier: Apache-2.0
/* withdrawals.c - listeners that a consumer still holds, and berthd closed
 *
 * A change of all rules withdraws every listener, and each listener that is
 * opened meanwhile asks which consumer still holds its port. So withdrawals are
 * found by their namespace, too.
 *
 * What drains is bounded in time and in number. A namespace can make listeners
 * drain, by addresses that come and go, so each namespace has a share of its
 * own: the oldest of them is ended for one above it. The consumer bounds the
 * connections.
 */
#include "daemon/consumers/withdrawals.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "binder/binder.h"
#include "common/service.h"
#include "common/util.h"

/**
 * struct withdrawn_netns - exists while there are any of a namespace
 * @list:	all of them
 * @draining, @n_draining: those that drain, oldest first
 */
struct withdrawn_netns {
	uint64_t id;
	struct withdrawal *list;
	struct withdrawal *draining;
	size_t n_draining;
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

static void drain(struct withdrawals *withdrawals,
		  struct withdrawal *withdrawal, uint64_t end_us)
{
	struct withdrawn_netns *netns = withdrawal->netns;

	DL_APPEND2(netns->draining, withdrawal, stage_prev, stage_next);
	netns->n_draining++;
	heap_set(&withdrawals->ends, &withdrawal->end, end_us);
}

/* Return: did it drain until now? */
static bool undrain(struct withdrawals *withdrawals,
		    struct withdrawal *withdrawal)
{
	struct withdrawn_netns *netns = withdrawal->netns;

	if (!heap_has(&withdrawal->end))
		return false;
	/* The analyzer takes the list to be empty.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	DL_DELETE2(netns->draining, withdrawal, stage_prev, stage_next);
	netns->n_draining--;
	heap_remove(&withdrawals->ends, &withdrawal->end);
	return true;
}

static uint64_t drain_us(const struct service *service,
			 const struct withdrawals_limits *limits)
{
	return service->drain_timeout_ms
		       ? service->drain_timeout_ms * USEC_PER_MSEC
		       : limits->drain_us;
}

/* In the table, in no list. Return: NULL: no memory. */
static struct withdrawal *withdrawal_new(struct withdrawals *withdrawals,
					 const struct listener *listener)
{
	struct withdrawal *withdrawal = malloc(sizeof(*withdrawal));

	if (!withdrawal)
		return NULL;
	*withdrawal = (struct withdrawal){
		.id = listener->id,
		.netns_id = listener->netns_id,
		.endpoint = listener->endpoint,
	};
	if (heap_reserve(&withdrawals->ends) < 0) {
		free(withdrawal);
		return NULL;
	}
	HASH_ADD(hh, withdrawals->by_id, id, sizeof(withdrawal->id),
		 withdrawal);
	if (withdrawal->hh.tbl)
		return withdrawal;
	heap_unreserve(&withdrawals->ends, &withdrawal->end);
	free(withdrawal);
	return NULL;
}

int withdrawals_add(struct withdrawals *withdrawals,
		    const struct listener *listener,
		    const struct withdrawals_limits *limits, uint64_t now_us)
{
	struct withdrawn_netns *netns =
		netns_get(withdrawals, listener->netns_id);
	struct withdrawal *withdrawal =
		netns ? withdrawal_new(withdrawals, listener) : NULL;

	if (!withdrawal) {
		if (netns)
			netns_put(withdrawals, netns);
		return -ENOMEM;
	}
	withdrawal->service = service_ref(listener->service);
	withdrawal->netns = netns;
	withdrawal->since_us = now_us;
	DL_APPEND2(netns->list, withdrawal, netns_prev, netns_next);
	if (netns->n_draining >= limits->max_per_netns && netns->draining)
		(void)withdrawals_end(withdrawals, netns->draining,
				      BERTH_ENDING_DRAINED, now_us);
	drain(withdrawals, withdrawal,
	      now_us + drain_us(listener->service, limits));
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

void withdrawals_explain(struct withdrawals *withdrawals, uint64_t id,
			 const char *reason)
{
	struct withdrawal *withdrawal = withdrawals_find(withdrawals, id);

	if (!withdrawal || withdrawal->reason)
		return;
	withdrawal->reason = strdup(reason);
	withdrawals->n_refused += withdrawal->reason != NULL;
}

size_t withdrawals_refused(const struct withdrawals *withdrawals)
{
	return withdrawals->n_refused;
}

void withdrawals_remove(struct withdrawals *withdrawals,
			struct withdrawal *withdrawal)
{
	struct withdrawn_netns *netns = withdrawal->netns;

	dequeue(withdrawals, withdrawal);
	if (!undrain(withdrawals, withdrawal))
		DL_DELETE2(withdrawals->ended, withdrawal, stage_prev,
			   stage_next);
	heap_unreserve(&withdrawals->ends, &withdrawal->end);
	DL_DELETE2(netns->list, withdrawal, netns_prev, netns_next);
	netns_put(withdrawals, netns);
	HASH_DEL(withdrawals->by_id, withdrawal);
	(void)service_unref(withdrawal->service); /* is always NULL */
	withdrawals->n_refused -= withdrawal->reason != NULL;
	free(withdrawal->reason);
	free(withdrawal);
}

void withdrawals_clear(struct withdrawals *withdrawals)
{
	struct withdrawal *withdrawal, *next;

	HASH_ITER (hh, withdrawals->by_id, withdrawal, next)
		withdrawals_remove(withdrawals, withdrawal);
	heap_done(&withdrawals->ends);
}

bool withdrawals_end(struct withdrawals *withdrawals,
		     struct withdrawal *withdrawal, enum berth_ending ending,
		     uint64_t now_us)
{
	if (!undrain(withdrawals, withdrawal))
		return false;
	withdrawal->abort_since_us = now_us;
	withdrawal->ending = ending;
	DL_APPEND2(withdrawals->ended, withdrawal, stage_prev, stage_next);
	enqueue(withdrawals, withdrawal);
	return true;
}

bool withdrawals_end_due(struct withdrawals *withdrawals, uint64_t now_us)
{
	bool any = false;
	uint64_t due_us;

	while ((due_us = withdrawals_due_us(withdrawals)) && due_us <= now_us)
		any = withdrawals_end(
			withdrawals,
			container_of(heap_first(&withdrawals->ends),
				     struct withdrawal, end),
			BERTH_ENDING_DRAINED, now_us);
	return any;
}

uint64_t withdrawals_due_us(const struct withdrawals *withdrawals)
{
	const struct heap_node *first = heap_first(&withdrawals->ends);

	return first ? first->key : 0;
}

bool withdrawals_netns_gone(struct withdrawals *withdrawals, uint64_t netns_id,
			    uint64_t now_us)
{
	struct withdrawn_netns *netns = netns_find(withdrawals, netns_id);
	bool any = netns && netns->draining;

	while (netns && netns->draining)
		(void)withdrawals_end(withdrawals, netns->draining,
				      BERTH_ENDING_NETNS_GONE,
				      now_us); /* it drains */
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

size_t withdrawals_ended(const struct withdrawals *withdrawals)
{
	const struct withdrawal *withdrawal;
	size_t n;

	DL_COUNT2(withdrawals->ended, withdrawal, n, stage_next);
	return n;
}

uint64_t withdrawals_oldest_us(const struct withdrawals *withdrawals)
{
	return withdrawals->ended ? withdrawals->ended->abort_since_us : 0;
}
