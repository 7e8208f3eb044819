/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.h - what a worker is told by the main thread and by other workers
 *
 * Theory of operation: an eventfd(2) and a lock. What is wanted of a share is
 * written into the share itself, under the lock, and the share is queued once.
 * So telling a worker to let go of a listener needs no memory. Each mail is a
 * user of the listener until the worker is done with it; the main thread frees
 * a listener when the last user is gone, so that neither side can find a dead
 * one.
 */
#ifndef RELAY_CORE_INBOX_H
#define RELAY_CORE_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "relay/core/pollable.h"

struct admission;
struct census;
struct handover;
struct minted_mail;
struct serving;
struct share;

/**
 * struct inbox - one worker's
 * @poll:	for the worker's epoll set, as @fd is
 * @fd:		readable when there is something new; see wakeup.h
 * @shares:	with mail, in order of arrival
 * @minted:	answers to requests for sockets, in order; see minted.h
 * @handovers:	connections that other workers accepted for this one
 * @n_shed:	how many clients to give up
 * @greedy:	the namespace that is to give up some of its clients, or NULL.
 *		Only compared, as it may be gone.
 * @census:	the main thread's, or NULL; it goes back by outbox_census()
 * @stop:	the worker is to end
 * @told:	the main thread's own: it put mail here and did not kick yet
 */
struct inbox {
	struct pollable poll;
	int fd;
	pthread_mutex_t lock;
	STAILQ_HEAD(, share) shares;
	STAILQ_HEAD(, minted_mail) minted;
	struct handover *handovers;
	unsigned int n_shed;
	const struct admission *greedy;
	struct census *census;
	bool stop;
	bool told;
};

/**
 * struct inbox_orders - what concerns the whole worker, see struct inbox
 */
struct inbox_orders {
	unsigned int n_shed;
	const struct admission *greedy;
	struct census *census;
	bool stop;
};

/** inbox_init() - Return: 0 or -errno of eventfd(2); inbox_done() is fine in
 * both cases. */
int inbox_init(struct inbox *inbox);

/** inbox_done() - frees what inbox_init() made; nothing may be inside */
void inbox_done(struct inbox *inbox);

/* By the main thread */

/**
 * inbox_tell() - asks the worker of @share for something
 * @inbox:	of that worker
 * @wanted:	SHARE_* bits
 * @serving:	with SHARE_SERVE: a reference is taken; else NULL
 *
 * Needs no memory, so it cannot fail. Does nothing if the listener has no user
 * any more. The worker hears of it by inbox_kick().
 */
void inbox_tell(struct inbox *inbox, struct share *share, unsigned int wanted,
		struct serving *serving);

/** inbox_kick() - wakes the worker if it was told something since the last
 * call */
void inbox_kick(struct inbox *inbox);

/** inbox_shed() - the worker gives up @n clients, if it has as many */
void inbox_shed(struct inbox *inbox, unsigned int n);

/** inbox_shed_netns() - the clients of namespace @greedy give up a part of
 * their local ports */
void inbox_shed_netns(struct inbox *inbox, const struct admission *greedy);

/** inbox_census() - the worker does what @census wants; it has none already */
void inbox_census(struct inbox *inbox, struct census *census);

/** inbox_stop() - the worker resets all its connections and ends */
void inbox_stop(struct inbox *inbox);

/* By any thread */

/** inbox_ask() - as inbox_tell(), for SHARE_JOIN or SHARE_RESUME; the worker
 * hears of it at once */
void inbox_ask(struct inbox *inbox, struct share *share, unsigned int wanted);

/** inbox_wake() - the worker looks into its inbox */
void inbox_wake(struct inbox *inbox);

/* By the worker itself */

/**
 * inbox_take_share() - takes the oldest mail to a share out
 * @ret_wanted:	SHARE_* bits
 * @ret_serving: with SHARE_SERVE: a reference, the caller's; else NULL
 *
 * The mail is still a user of the listener, which the caller ends by
 * outbox_unuse(). Return: the share; NULL: there is no mail.
 */
struct share *inbox_take_share(struct inbox *inbox, unsigned int *ret_wanted,
			       struct serving **ret_serving);

/** inbox_take_orders() - takes out what concerns the whole worker. If there is
 * mail left, the worker is woken again. */
void inbox_take_orders(struct inbox *inbox, struct inbox_orders *ret_orders);

#endif
