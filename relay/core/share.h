/* SPDX-License-Identifier: Apache-2.0 */
/* share.h - a worker's part in a listener: from its beginning to its release
 *
 * All of it is for the share's worker; see listener.h for the structure.
 */
#ifndef RELAY_CORE_SHARE_H
#define RELAY_CORE_SHARE_H

struct serving;
struct share;
struct timer;
struct worker;

/**
 * share_apply() - does what the main thread wants
 * @wanted:	SHARE_* bits
 * @serving:	with SHARE_SERVE: a reference, which is taken
 */
void share_apply(struct worker *worker, struct share *share,
		 unsigned int wanted, struct serving *serving);

/** share_ended() - the share has no connection left and is withdrawn:
 * releases it after the batch */
void share_ended(struct worker *worker, struct share *share);

/** share_park() - stops accepting from @share until share_unpark() or a
 * moment later, whichever comes first */
void share_park(struct worker *worker, struct share *share);

/** share_unpark() - room came: lets @share accept again if it rests, and else
 * the listener that rests longest. @share may be NULL. */
void share_unpark(struct worker *worker, struct share *share);

/** share_resume() - a timer's handler: all that rest are tried again */
void share_resume(struct timer *timer, void *user_data);

/** share_leave_idle() - a timer's handler: leaves the listeners that the worker
 * joined and where it helps no more */
void share_leave_idle(struct timer *timer, void *user_data);

#endif
