/* SPDX-License-Identifier: Apache-2.0 */
/* failover.h - connecting to one backend after the other */
#ifndef RELAY_BACKEND_FAILOVER_H
#define RELAY_BACKEND_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "relay/backend/backend_queue.h"

struct backend_client;
struct mint;
struct mint_ops;
struct serving;
struct share;
struct worker;

/**
 * struct failover - of one connection; zero-initialize
 * @tried:	bit i: backend i of its serving failed
 * @index:	the backend that is tried now, or was reached
 */
struct failover {
	uint64_t tried;
	uint8_t index;
};

/**
 * failover_pick() - chooses among the backends that did not fail yet
 * Return: is there one?
 */
bool failover_pick(struct worker *worker, struct share *share,
		   struct serving *serving, struct failover *failover);

/**
 * struct failover_asker - who wants a socket, if it has to be berthd's
 * @mint:	the connection's; NULL inside: berthd was not asked yet
 * @ops, @owner: as of mint_ask()
 * @client:	with `transparent`, the client's address
 */
struct failover_asker {
	struct mint **mint;
	const struct mint_ops *ops;
	void *owner;
	struct ip_addr client;
};

/**
 * failover_socket() - a stream socket for the backend that was picked
 *
 * With `transparent` it is bound already.
 * Return: the socket, which is the caller's; -EINPROGRESS: berthd was asked for
 * it; -ENOTCONN: the client is gone; -ENOMEM; as of stand_in_check(); -errno of
 * socket(2).
 */
int failover_socket(struct worker *worker, const struct share *share,
		    struct serving *serving, const struct failover *failover,
		    const struct failover_asker *asker);

/**
 * failover_admit() - may the one that was picked be connected to now?
 * @waits:	the connection is the first of those that wait for it
 * @ports:	the port space that it has a local port of, set here; 0: none
 *		yet. To be given back by admission_give_port()
 *
 * Return: 0; -EAGAIN: others wait for that UNIX socket; -EADDRNOTAVAIL: for a
 * local port, or the namespace has its share of them.
 */
int failover_admit(const struct worker *worker, const struct share *share,
		   const struct serving *serving,
		   const struct failover *failover, bool waits,
		   uint32_t *ports);

/**
 * failover_connect() - backend_connect() of @fd to the one that was picked
 * @ports:	as failover_admit() set it
 *
 * Return: as backend_connect(), but -EADDRNOTAVAIL whenever the kernel has no
 * local port, which is noted.
 */
int failover_connect(const struct serving *serving,
		     const struct failover *failover, uint32_t ports, int fd,
		     const struct backend_client *client);

/**
 * failover_wait() - the one that was picked may take the connection later
 * @error:	negative, of failover_admit() or connect(2)
 * @retry, @owner, @waiter: see backend_queue_wait()
 *
 * A connection waits for room in the backlog of a UNIX socket, and if no other
 * backend is left for a local port. Return: does it? If so its socket is of no
 * use.
 */
bool failover_wait(struct worker *worker, struct share *share,
		   const struct serving *serving,
		   const struct failover *failover, int error,
		   backend_retry retry, void *owner,
		   struct backend_waiter **waiter);

/** failover_own_shortage() - is @error the relay's own affair, or the client's,
 * and says nothing of the backend? */
bool failover_own_shortage(int error);

/**
 * failover_next() - the one that was picked cannot be reached: picks another
 * @error:	a positive errno, which is counted and logged
 *
 * Return: is there one? If not, the caller ends the client.
 */
bool failover_next(struct worker *worker, struct share *share,
		   struct serving *serving, struct failover *failover,
		   int error);

/**
 * failover_renew() - the rule is not the one any more that @failover is of
 * @serving:	a reference, which becomes one to what is served now
 *
 * From there on the client is treated as a new one, by whatever action there is
 * now; the caller gives up the backend, and sees to what a backend is told
 * first, if it returns true.
 * Return: is there something else? If not, all is as it was.
 */
bool failover_renew(struct worker *worker, struct share *share,
		    struct serving **serving, struct failover *failover);

#endif
