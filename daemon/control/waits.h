/* SPDX-License-Identifier: Apache-2.0 */
/* waits.h - who waits until the listeners of a namespace are open
 *
 * Also for a namespace that does not exist yet. Nothing is polled: whoever
 * learns of something tells, and waits_step() looks at those it concerns.
 */
#ifndef DAEMON_CONTROL_WAITS_H
#define DAEMON_CONTROL_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct netns;
struct waits;

/* Each has a connection of its own: some must be left for those who ask what
 * the others wait for. */
#define WAITS_MAX 192

/* Of these, of callers other than root: they do not keep root from waiting. */
#define WAITS_USERS_MAX 128

/** enum wait_verdict - how the listeners of a namespace stand */
enum wait_verdict {
	WAIT_VERDICT_UNPLANNED, /* what is wanted there is being found out */
	WAIT_VERDICT_LATER, /* some are tried again, or may be soon */
	WAIT_VERDICT_NEVER, /* some are not tried, and the others are open */
	WAIT_VERDICT_READY, /* all are open */
};

/** enum wait_end - how a wait ended */
enum wait_end {
	WAIT_END_READY, /* all listeners are open */
	WAIT_END_NOT_READY, /* not all, and it waits no longer */
	WAIT_END_ABSENT, /* there is no such namespace, or none any more */
	WAIT_END_AMBIGUOUS, /* the text means several */
};

/**
 * struct waiter - one who waits; the owner's
 * @text:	which namespace, as people call it; owned by the waiter's owner.
 *		NULL: that with the id @netns_id
 * @netns_id:	0: there is none yet
 * @deadline_us: monotonic
 * @user:	the caller is neither root nor berthd's own user
 * @once:	however the listeners stand, as soon as that is known
 * @done:	called once, from waits_step(), when the waiter is waited for no
 *		longer
 * @listed, @dirty, @gone, @prev, @next: the table's
 */
struct waiter {
	const char *text;
	uint64_t netns_id;
	uint64_t deadline_us;
	bool user;
	bool once;
	void (*done)(struct waiter *waiter, enum wait_end end);
	bool listed;
	bool dirty;
	bool gone;
	struct waiter *prev, *next;
};

/**
 * struct waits_ops - what the table asks
 * @find:	which namespace does the waiter's text mean now?
 *		Return: 1; 0: none; -ENOTUNIQ: several; -ENOMEM.
 * @may_be:	might @text mean @netns, that just changed?
 * @judge:	how do the listeners of the namespace stand?
 */
struct waits_ops {
	int (*find)(const struct waiter *waiter, uint64_t *ret_netns_id,
		    void *user_data);
	bool (*may_be)(const char *text, const struct netns *netns,
		       void *user_data);
	enum wait_verdict (*judge)(uint64_t netns_id, void *user_data);
};

/**
 * waits_new() - nobody waits
 * @ops, @user_data: borrowed; both outlive the table
 * Return: 0 or -ENOMEM.
 */
int waits_new(struct loop *loop, const struct waits_ops *ops, void *user_data,
	      struct waits **ret_waits);

/** waits_free() - nobody may wait any more. NULL is fine. Return: NULL. */
struct waits *waits_free(struct waits *waits);

/**
 * waits_add() - one more waits
 * @waiter:	filled in but for what is the table's; stays where it is until
 *		@done was called or waits_remove()
 *
 * Return: 0; -ENOSPC: WAITS_MAX wait, or WAITS_USERS_MAX.
 */
int waits_add(struct waits *waits, struct waiter *waiter);

/** waits_remove() - @waiter waits no longer; @done is not called. No-op for one
 * that is not in the table. */
void waits_remove(struct waits *waits, struct waiter *waiter);

/** waits_netns_changed() - @netns is new, or has other names or containers */
void waits_netns_changed(struct waits *waits, const struct netns *netns);

/** waits_netns_gone() - the namespace with this id is no more */
void waits_netns_gone(struct waits *waits, uint64_t netns_id);

/** waits_look_again() - what @judge says of this namespace may be another */
void waits_look_again(struct waits *waits, uint64_t netns_id);

/** waits_step() - ends what can end. To be called when all that happened in a
 * batch has been acted on. */
void waits_step(struct waits *waits);

#endif
