// SPDX-License-Identifier: Apache-2.0
/* spread.c - which workers serve which listener
 *
 * Theory of operation: a stream listener is in the epoll set of every worker,
 * with EPOLLEXCLUSIVE, so that the kernel wakes one that waits and not all; a
 * busy worker is not waiting, so the work goes to an idle one by itself. A
 * connection stays with the worker that accepted it. No lock, no message
 * between workers. A worker takes one connection per turn (tcp.c), and with it
 * the others have their chance at what else waits.
 *
 * The alternative that was measured: each listener is in the set of one worker
 * (by its id), which accepts and hands a connection over when another worker
 * has at least two connections less, through a queue with a lock and an
 * eventfd(2). 2 CPUs for all, Linux 6.18, 2 workers; clients that connect,
 * send 64 bytes, read them back and close, in one namespace; both relays side
 * by side, by turns, 8 to 10 rounds of a second. Median of the quotients
 * "owned and handed over" by "shared"; below 1 the alternative is better:
 *
 *	listeners	clients	CPU each	p50	rate
 *	1 hot		2	1.00		1.05	0.94
 *	1 hot		16	1.08		1.15	0.88
 *	3,000 cool	2	0.84		0.91	0.75
 *	3,000 cool	16	1.04		1.27	0.70
 *	3,000, never handed over:
 *			2	1.05		1.12	1.01
 *			16	0.99		1.15	0.85
 *
 * So sharing serves more in the same time and answers sooner, because nobody
 * waits for the one worker that may accept, and it costs no more processor
 * time, except where few clients meet many listeners.
 *
 * A datagram or one-to-many socket has one worker: its table needs no lock
 * then, and what one client sends stays in order. Listeners are dealt out by
 * id.
 *
 * EPOLLEXCLUSIVE cannot be changed by EPOLL_CTL_MOD, and it works only in the
 * set that is waited on, not in one nested in it: a worker that pauses
 * accepting takes the listener out of its set.
 */
#include "relay/spread.h"

#include <sys/epoll.h>

size_t spread_n_shares(enum protocol protocol, size_t n_workers)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP_SEQPACKET
		       ? 1
		       : n_workers;
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
