/* SPDX-License-Identifier: Apache-2.0 */
/* failover.h - connecting to one backend after the other */
#ifndef RELAY_FAILOVER_H
#define RELAY_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

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
 * it; -ENOMEM; as of stand_in_check(); -errno of socket(2).
 */
int failover_socket(struct worker *worker, const struct share *share,
		    struct serving *serving, const struct failover *failover,
		    const struct failover_asker *asker);

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
 * From there on the client is treated as a new one; the caller gives up the
 * backend, if it returns true.
 * Return: was there something else, to connect to, that introduces the client
 * as what the backend is told already? Else all is as it was.
 */
bool failover_renew(struct worker *worker, struct share *share,
		    struct serving **serving, struct failover *failover);

#endif
