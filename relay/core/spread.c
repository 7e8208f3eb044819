// SPDX-License-Identifier: Apache-2.0
/* spread.c - which workers serve which listener
 *
 * Theory of operation: a stream listener begins with one worker, chosen by its
 * id, so that many listeners are dealt out to all workers. As long as that
 * worker has time it accepts every client: it is awake already when the next
 * client comes, and no other worker wakes up to find the client taken. When the
 * worker is busy (load.c) it asks an idle worker to join the listener, once for
 * each, and leaves the waiting client to that one for a turn. Workers that
 * joined have the listener in their epoll sets, too, with EPOLLEXCLUSIVE: the
 * kernel wakes one that waits, and so an idle worker gets the client. They
 * leave when there is nothing left to help with.
 *
 * A connection stays with its worker to the end. A worker that serves many more
 * connections than another one hands over what it accepts (handover.c), so that
 * long connections do not all stay with one worker.
 *
 * The worker that a listener begins with never leaves it, so there is always
 * one that accepts. Asking another worker takes the lock of its inbox and wakes
 * it; otherwise no connection pays for any of this.
 *
 * Two other ways were measured and given up. "Shared": every listener is in the
 * sets of all workers from the beginning, which wakes a second worker for every
 * client that comes while the first one is about to run. "Owned": each listener
 * is in the set of one worker only, which accepts and hands a connection over
 * if another worker has at least two connections less. 2 CPUs for
 * all, Linux 6.18, 2 workers; clients that connect, send 64 bytes, read them
 * back and close; by turns, medians. Quotients by "shared":
 *
 *				this			owned
 *	listeners	clients	CPU	p50	rate	CPU	p50	rate
 *	1 hot		1	0.82	0.85	1.18
 *	1 hot		2	0.99	0.99	1.02	1.00	1.05	0.94
 *	1 hot		16	1.02	1.01	1.01	1.08	1.15	0.88
 *	3,000 cool	2	0.93	1.04	0.97	0.84	0.91	0.75
 *	3,000 cool	16	1.00	0.99	0.98	1.04	1.27	0.70
 *
 * `make bench BENCH="--only spread --beside DIR"` compares with another build.
 *
 * A datagram or one-to-many socket has one worker, chosen by its id: so its
 * table of clients needs no lock, and what one client sends stays in order.
 *
 * EPOLLEXCLUSIVE cannot be changed by EPOLL_CTL_MOD, and it works only in the
 * set that is waited on, not in one nested in it: a worker that pauses
 * accepting takes the listener out of its set.
 */
#include "relay/core/spread.h"

#include <sys/epoll.h>

#include "relay/core/listener.h"
#include "relay/core/load.h"
#include "relay/core/protocol.h"
#include "relay/core/worker.h"

size_t spread_n_shares(const struct relay_protocol *protocol, size_t n_workers)
{
	return protocol->one_worker ? 1 : n_workers;
}

size_t spread_worker(uint64_t id, size_t index, size_t n_shares,
		     size_t n_workers)
{
	return n_shares == 1 ? (size_t)(id % n_workers) : index;
}

/* A worker that serves so many more than another one hands over. Short
 * connections never pile up like that while there is time to serve them. */
#define HANDOVER_CONNS 64

struct share *spread_first(struct listener *listener)
{
	return &listener->shares[listener->id % listener->n_shares];
}

bool spread_is_first(const struct share *share)
{
	return share == spread_first(share->listener);
}

bool spread_needs_help(const struct share *share, uint64_t now_us)
{
	return load_is_busy(&spread_first(share->listener)->worker->load,
			    now_us);
}

bool spread_pass(const struct share *share, uint64_t now_us)
{
	struct listener *listener = share->listener;

	if (listener->n_shares == 1 ||
	    !load_is_busy(&share->worker->load, now_us))
		return false;
	for (size_t i = 0; i < listener->n_shares; i++) {
		struct share *other = &listener->shares[i];

		if (other == share || spread_is_first(other) ||
		    load_is_busy(&other->worker->load, now_us) ||
		    atomic_exchange_explicit(&other->asked, true,
					     memory_order_relaxed))
			continue;
		inbox_ask(&other->worker->inbox, other, SHARE_JOIN);
		return true;
	}
	return false;
}

struct share *spread_other(const struct share *share, uint64_t now_us)
{
	struct listener *listener = share->listener;
	int most = load_conns(&share->worker->load) - HANDOVER_CONNS;
	struct share *least = NULL;

	if (most < 0)
		return NULL;
	for (size_t i = 0; i < listener->n_shares; i++) {
		struct share *other = &listener->shares[i];
		int n = load_conns(&other->worker->load);

		if (n > most || load_is_busy(&other->worker->load, now_us) ||
		    !atomic_load_explicit(&other->open, memory_order_relaxed))
			continue;
		most = n - 1;
		least = other;
	}
	return least;
}

uint32_t spread_events(size_t n_shares)
{
	return n_shares == 1 ? EPOLLIN : EPOLLIN | EPOLLEXCLUSIVE;
}
