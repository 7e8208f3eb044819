/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_follow.h - SCTP listeners follow their namespace's sysctls */
#ifndef BINDER_SCTP_FOLLOW_H
#define BINDER_SCTP_FOLLOW_H

#include "binder/config.h"
#include "binder/table.h"
#include "common/log_teller.h"
#include "common/loop.h"

/**
 * struct binder_sctp - for sctp_follow.c; the binder owns all but the timer
 * @timer:	for the first @sctp_look_us of a namespace
 */
struct binder_sctp {
	struct loop *loop;
	struct loop_timer *timer;
	struct binder_table *table;
	const struct binder_ops *ops;
	void *user_data;
	struct log_teller *teller;
};

/** binder_sctp_init() - begins to follow; all else in @sctp is set. Return: 0
 * or -ENOMEM. */
int binder_sctp_init(struct binder_sctp *sctp);

/** binder_sctp_done() - also for one that is zero */
void binder_sctp_done(struct binder_sctp *sctp);

/** binder_sctp_follow() - reads the sysctls of @netns, and gives them to its
 * SCTP listeners if they are not what was read last. Enters the namespace. */
void binder_sctp_follow(struct binder_sctp *sctp, struct binder_netns *netns);

/** binder_sctp_opened() - an SCTP listener of @netns was opened: the sysctls
 * are read some more times, without an event */
void binder_sctp_opened(struct binder_sctp *sctp, struct binder_netns *netns);

#endif
