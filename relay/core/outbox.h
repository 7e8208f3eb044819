/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - what the workers tell the main thread */
#ifndef RELAY_CORE_OUTBOX_H
#define RELAY_CORE_OUTBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct access_log;
struct census;
struct listener;
struct minted;
struct netns_gone;
struct target_health;

/**
 * struct outbox - of all workers
 * @fd:		readable when there is something new; see wakeup.h
 * @released:	listeners that nobody uses any more
 * @requests:	for sockets that berthd is to make, in order; see minted.h
 * @closed:	namespaces that no worker has anything of any more
 * @census:	a worker is done with it, or NULL
 * @access:	where clients are noted that end; NULL: nowhere
 * @ports_short: the port space in which the kernel has no port left, or 0
 * @health:	backends of which there are news, see health_teller.h
 * @health_unused: no serving refers to some backend any more
 */
struct outbox {
	int fd;
	pthread_mutex_t lock;
	struct listener *released;
	STAILQ_HEAD(, minted) requests;
	struct netns_gone *closed;
	_Atomic(struct census *) census;
	_Atomic uint32_t ports_short;
	STAILQ_HEAD(, target_health) health;
	atomic_bool health_unused;
	struct access_log *access;
};

/** outbox_init() - Return: 0 or -errno of eventfd(2). */
int outbox_init(struct outbox *outbox);

/** outbox_done() - frees what outbox_init() made; no worker may be left */
void outbox_done(struct outbox *outbox);

/** outbox_take() - main thread: takes the listeners that were released, linked
 * by @next_released; the caller frees them. Return: NULL: there are none. */
struct listener *outbox_take(struct outbox *outbox);

/** outbox_take_census() - main thread: takes the census out; NULL: no worker
 * is done with it */
struct census *outbox_take_census(struct outbox *outbox);

/** outbox_take_health() - main thread: takes the backends of which there are
 * news, linked by @news. Return: NULL: there are none. */
struct target_health *outbox_take_health(struct outbox *outbox);

/** outbox_take_health_unused() - main thread: is some backend unused since the
 * last call? */
bool outbox_take_health_unused(struct outbox *outbox);

/* By the workers */

/** outbox_health() - there are news of @health, which is in no list yet */
void outbox_health(struct outbox *outbox, struct target_health *health);

/** outbox_health_unused() - no serving refers to some backend any more; by any
 * thread */
void outbox_health_unused(struct outbox *outbox);

/** outbox_kick() - wakes the main thread */
void outbox_kick(struct outbox *outbox);

/** outbox_ports_short() - the kernel has no local port left in @space, and the
 * namespace that has most is to give some back, whichever workers serve it */
void outbox_ports_short(struct outbox *outbox, uint32_t space);

/** outbox_census() - the worker has done what the census wants */
void outbox_census(struct outbox *outbox, struct census *census);

/** outbox_unuse() - takes a user of the listener away; the last one gives the
 * listener back to the main thread */
void outbox_unuse(struct outbox *outbox, struct listener *listener);

#endif
