/* SPDX-License-Identifier: Apache-2.0 */
/* opener.h - attempts to open waiting listeners, and when the next is made */
#ifndef BINDER_OPENER_H
#define BINDER_OPENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "binder/adopt.h"
#include "binder/config.h"
#include "binder/sctp_follow.h"
#include "binder/table.h"
#include "common/log_teller.h"
#include "common/loop.h"

/**
 * struct binder_opener - for opener.c; the binder owns all but the timer
 * @timer:	for the first of the table's @retries, and for slots that became
 *		free
 * @opened, @failed: attempts since the start
 * @no_ipv6:	the kernel was seen to have none
 * @pressure_until_us: no retries before this: descriptors are used up
 * @pressure_us: how long that pause was last time
 */
struct binder_opener {
	struct loop *loop;
	struct loop_timer *timer;
	struct binder_table *table;
	struct binder_config config;
	const struct binder_ops *ops;
	void *user_data;
	struct binder_sctp *sctp;
	struct log_teller *teller;
	unsigned long opened;
	unsigned long failed;
	uint64_t pressure_until_us;
	uint64_t pressure_us;
	bool no_ipv6;
};

/** binder_opener_init() - begins to open what waits; all else in @opener is
 * set. Return: 0 or -ENOMEM. */
int binder_opener_init(struct binder_opener *opener);

/** binder_opener_done() - also for one that is zero */
void binder_opener_done(struct binder_opener *opener);

/**
 * binder_open_rows() - tries to open waiting rows of one namespace
 * @rows:	reordered
 *
 * Enters the namespace once; a second time only for `any` where there is no
 * IPv6. Return: 0, also when some wait on; -EMFILE, -ENFILE when descriptors
 * are used up.
 */
int binder_open_rows(struct binder_opener *opener, struct binder_netns *netns,
		     struct binder_row **rows, size_t n);

/**
 * binder_opener_adopt() - makes a listener of a socket that listens already
 * @fd:		adopt_check() found that it is what @claim says: on the
 *		endpoint of @row, which waits; taken in any case
 *
 * Return: 0; -EMFILE, -ENOMEM, -ECANCELED: *@ret_reason says why not.
 */
int binder_opener_adopt(struct binder_opener *opener, struct binder_row *row,
			int fd, const struct adopt_claim *claim,
			const char **ret_reason);

/** binder_opener_await_end() - tries the rows that waited to be handed back,
 * soon; those that a consumer is still awaited for wait again */
void binder_opener_await_end(struct binder_opener *opener);

/** binder_opener_relieve() - a descriptor is free again: the pause ends */
void binder_opener_relieve(struct binder_opener *opener);

/** binder_opener_arm() - sets the timer for what is queued or starved; to be
 * called after rows were queued, or freed */
void binder_opener_arm(struct binder_opener *opener);

#endif
