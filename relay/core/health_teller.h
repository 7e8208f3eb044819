/* SPDX-License-Identifier: Apache-2.0 */
/* health_teller.h - the main thread's part of how backends are
 *
 * It has all listeners of a rule share what is known of a backend, and tells
 * berthd and the log of it.
 */
#ifndef RELAY_CORE_HEALTH_TELLER_H
#define RELAY_CORE_HEALTH_TELLER_H

#include <stdint.h>

struct berth;
struct checker_ops;
struct health_teller;
struct loop;
struct serving;

/**
 * health_teller_new() - knows no backend
 * @loop, @berth: must outlive the teller
 * @wakeup_fd:	wakes the main thread for health_teller_collect()
 * @ops:	for checks, with @user_data; copied
 *
 * Return: 0 or -ENOMEM.
 */
int health_teller_new(struct loop *loop, struct berth *berth, int wakeup_fd,
		      const struct checker_ops *ops, void *user_data,
		      struct health_teller **ret_teller);

/** health_teller_free() - when no worker and no serving is left. Returns NULL;
 * NULL is fine. */
struct health_teller *health_teller_free(struct health_teller *teller);

/**
 * health_teller_share() - has @serving, which is new and no worker's yet, know
 * of its backends what others of its rule know
 *
 * If there is no memory, it knows what it finds out itself, and nobody is told.
 */
void health_teller_share(struct health_teller *teller, struct serving *serving);

/** health_teller_collect() - the main thread was woken: there may be news */
void health_teller_collect(struct health_teller *teller);

/** health_teller_count() - somebody wants to know what was counted: tells of
 * backends that have more or fewer connections than berthd knows, of a bounded
 * number; the next call goes on with the others */
void health_teller_count(struct health_teller *teller);

/** health_teller_welcomed() - berthd knows nothing of any backend */
void health_teller_welcomed(struct health_teller *teller);

/** health_teller_netns_gone() - a namespace goes, and no check has anything of
 * it any more */
void health_teller_netns_gone(struct health_teller *teller, uint64_t netns_id);

/** health_teller_stop_checks() - another relay has this one's place, and checks
 * by itself */
void health_teller_stop_checks(struct health_teller *teller);

#endif
