// SPDX-License-Identifier: Apache-2.0
/* berth_netns.c - libberth: the namespaces that a consumer got sockets of
 *
 * Theory of operation: berthd says when such a namespace goes, and the program
 * answers each time. A berthd that starts anew does not know of these sockets:
 * it is told the namespaces. What the program answers to one that is not there
 * any more is not sent.
 */
#define HASH_NONFATAL_OOM 1

#include <errno.h>
#include <stdlib.h>

#include <uthash.h>

#include "lib/berth_internal.h"

/**
 * struct minted_netns - see the file's head
 * @fresh:	sockets came after the program was last told that it goes
 * @yields:	the program is to be told so by the library
 * @n_gone:	how often the program was told so and did not answer
 * @n_void:	of these answers, those that are for nobody; they come first
 */
struct minted_netns {
	uint64_t id;
	bool fresh;
	bool yields;
	unsigned int n_gone;
	unsigned int n_void;
	UT_hash_handle hh;
};

static struct minted_netns *netns_find(const struct berth *berth, uint64_t id)
{
	struct minted_netns *netns;

	HASH_FIND(hh, berth->netns, &id, sizeof(id), netns);
	return netns;
}

/* NULL: no memory. */
static struct minted_netns *netns_get(struct berth *berth, uint64_t id)
{
	struct minted_netns *netns = netns_find(berth, id);

	if (netns)
		return netns;
	netns = calloc(1, sizeof(*netns));
	if (!netns)
		return NULL;
	netns->id = id;
	HASH_ADD(hh, berth->netns, id, sizeof(netns->id), netns);
	if (netns->hh.tbl)
		return netns;
	free(netns);
	return NULL;
}

static void netns_free(struct berth *berth, struct minted_netns *netns)
{
	if (berth->yield_netns == netns)
		berth->yield_netns = netns->hh.next;
	if (berth->hand_netns == netns)
		berth->hand_netns = netns->hh.next;
	HASH_DEL(berth->netns, netns);
	free(netns);
}

int berth_netns_minted(struct berth *berth, uint64_t netns_id)
{
	struct minted_netns *netns = netns_get(berth, netns_id);

	if (!netns)
		return -ENOMEM;
	netns->fresh = true;
	return 0;
}

int berth_netns_gone(struct berth *berth, uint64_t netns_id)
{
	struct minted_netns *netns = netns_get(berth, netns_id);

	if (!netns)
		return -ENOMEM;
	netns->fresh = false;
	netns->yields = false;
	netns->n_gone++;
	return 0;
}

int berth_netns_closed(struct berth *berth, uint64_t netns_id)
{
	struct minted_netns *netns = netns_find(berth, netns_id);
	int r = 0;

	if (netns && netns->n_void > 0)
		netns->n_void--;
	else if (berth->link >= LINK_HANDING || berth_may_send(berth))
		r = berth_say_netns(berth, "netns_closed", netns_id);
	/* Receiving tells the end; then the answer is for nobody. */
	if (r < 0 || !netns)
		return r == -EPIPE ? -EAGAIN : r;
	if (netns->n_gone > 0)
		netns->n_gone--;
	if (netns->n_gone == 0 && !netns->fresh)
		netns_free(berth, netns);
	return 0;
}

void berth_netns_withdraw_all(struct berth *berth)
{
	struct minted_netns *netns, *next;

	HASH_ITER (hh, berth->netns, netns, next)
		netns->yields = netns->fresh;
	berth->yield_netns = berth->netns;
}

int berth_netns_yield(struct berth *berth, struct berth_message **ret_message)
{
	struct berth_message *message;
	struct minted_netns *netns;

	while ((netns = berth->yield_netns) && !netns->yields)
		berth->yield_netns = netns->hh.next;
	if (!netns)
		return 0;
	message = berth_message_new(BERTH_NETNS_GONE);
	if (!message)
		return -ENOMEM;
	message->netns_id = netns->id;
	netns->fresh = false;
	netns->yields = false;
	netns->n_gone++;
	netns->n_void++;
	berth->yield_netns = netns->hh.next;
	*ret_message = message;
	return 1;
}

void berth_netns_lost(struct berth *berth)
{
	struct minted_netns *netns, *next;

	HASH_ITER (hh, berth->netns, netns, next)
		netns->n_void = netns->n_gone;
}

int berth_netns_hand(struct berth *berth)
{
	const struct minted_netns *netns = berth->hand_netns;
	int r = berth_say_netns(berth, "held_netns", netns->id);

	if (r == 0)
		berth->hand_netns = netns->hh.next;
	return r;
}

void berth_netns_done(struct berth *berth)
{
	struct minted_netns *netns, *next;

	HASH_ITER (hh, berth->netns, netns, next)
		netns_free(berth, netns);
}
