/* SPDX-License-Identifier: Apache-2.0 */
/* share.h - a worker's part in a listener: from its beginning to its release
 *
 * All of it is for the share's worker; see listener.h for the structure.
 */
#ifndef RELAY_CORE_SHARE_H
#define RELAY_CORE_SHARE_H

#include "relay/core/listener.h"

struct own_arrival;
struct sockaddr_storage;
struct timer;

/**
 * share_apply() - does what the share's mail wants
 * @wanted:	SHARE_* bits
 * @serving:	with SHARE_SERVE: a reference, which is taken
 */
void share_apply(struct worker *worker, struct share *share,
		 unsigned int wanted, struct serving *serving);

/**
 * share_newest_serving() - what new connections are to get, even if the mail
 * that says so is not read yet
 * @share:	was begun
 *
 * Return: a reference, the caller's.
 */
struct serving *share_newest_serving(struct share *share);

/**
 * share_limited() - @limit stops accepting
 *
 * Counts it once, however often accepting is tried again, until
 * share_accepted(). How many clients wait in the backlog meanwhile only the
 * kernel knows.
 */
void share_limited(struct share *share, enum berth_limit limit);

/**
 * share_serve() - serves a connection that was accepted and admitted, as its
 * protocol does
 * @fd:		taken
 * @from:	its peer, AF_UNSPEC if unknown
 */
void share_serve(struct worker *worker, struct share *share, int fd,
		 const struct sockaddr_storage *from);

/** share_refuse() - resets @fd, which was accepted, and gives back the room
 * that was taken for it, @n_fds descriptors among it */
void share_refuse(struct share *share, int fd, unsigned int n_fds);

/** share_log_refused() - says that a client was not served because of @error,
 * which is negative, if that was not said already */
void share_log_refused(struct share *share, int error);

/** share_accepted() - a client was accepted: counts it */
static inline void share_accepted(struct share *share)
{
	share->limited = false;
	counters_add(share_counters(share), COUNTER_ACCEPTED, 1);
}

/**
 * share_arrival_hops() - where is a client from?
 * @arrival:	with the client's end and, if it is known, the one that it spoke
 *		to
 *
 * A client that must not be served is counted and logged.
 * Return: as own_arrival_hops().
 */
int share_arrival_hops(struct share *share, struct own_arrival *arrival);

/** share_end_if_idle() - the share is withdrawn: if it has no connection left,
 * and none is on its way to it, releases it after the batch */
void share_end_if_idle(struct worker *worker, struct share *share);

/** share_drained() - the share, which drains, needs the listening socket no
 * more, see relay_protocol.drain */
void share_drained(struct worker *worker, struct share *share);

/** share_park() - stops accepting from @share until share_unpark(), or for a
 * moment */
void share_park(struct worker *worker, struct share *share);

/** share_unpark() - there is room: lets @share accept again if it rests, or
 * else the share that rests longest. @share may be NULL. */
void share_unpark(struct worker *worker, struct share *share);

/** share_resume() - handler of worker.resume: all shares that rest try again */
void share_resume(struct timer *timer, void *user_data);

/** share_leave_idle() - handler of worker.leave: leaves the listeners that the
 * worker joined and does not help with any more */
void share_leave_idle(struct timer *timer, void *user_data);

/** share_release_done() - the batch is over: gives back the shares that ended,
 * see share_end_if_idle() */
void share_release_done(struct worker *worker);

/** share_forget() - by the main thread, when the worker was joined: frees what
 * @share has, whether it ended or not */
void share_forget(struct share *share);

#endif
