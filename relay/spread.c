// SPDX-License-Identifier: Apache-2.0
/* spread.c - which workers serve which listener
 *
 * Theory of operation: a stream listener is in the epoll set of every worker,
 * with EPOLLEXCLUSIVE, so that the kernel wakes one that waits and not all; a
 * busy worker is not waiting, so the work goes to an idle one by itself. A
 * connection stays with the worker that accepted it.
 *
 * A datagram socket has one worker: its session table needs no lock then, and
 * the datagrams of one client stay in order. Listeners are dealt out by id.
 *
 * EPOLLEXCLUSIVE cannot be changed by EPOLL_CTL_MOD, and it works only in the
 * set that is waited on, not in one nested in it: a worker that pauses
 * accepting takes the listener out of its set.
 */
#include "relay/spread.h"

#include <sys/epoll.h>

size_t spread_n_shares(enum protocol protocol, size_t n_workers)
{
	return protocol == PROTOCOL_UDP ? 1 : n_workers;
}

size_t spread_worker(uint64_t id, size_t index, size_t n_shares,
		     size_t n_workers)
{
	return n_shares == 1 ? (size_t)(id % n_workers) : index;
}

uint32_t spread_events(size_t n_shares)
{
	return n_shares == 1 ? EPOLLIN : EPOLLIN | EPOLLEXCLUSIVE;
}
