// SPDX-License-Identifier: Apache-2.0
/* waits.c - who waits until the listeners of a namespace are open
 *
 * Theory of operation: events only mark those who may be concerned (dirty).
 * A step looks at the marked ones, and at those whose time is over. A waiter
 * that knows its namespace is looked at when that was planned or one of its
 * listeners opened; one that does not, when a namespace changed that might be
 * it. So a wait costs nothing while nothing happens, and ends in the batch in
 * which its last listener opened.
 */
#include "daemon/control/waits.h"

#include <utlist.h>

#include "common/util.h"

/**
 * struct waits - see the file's head
 * @timer:	at the earliest deadline
 * @n, @n_users:	how many wait, and how many of them are users
 */
struct waits {
	struct loop *loop;
	const struct waits_ops *ops;
	void *user_data;
	struct loop_timer *timer;
	struct waiter *list;
	size_t n;
	size_t n_users;
};

/* waits_step() runs behind every batch, also behind this. */
static void waits_timer_handler(void *user_data)
{
	(void)user_data;
}

int waits_new(struct loop *loop, const struct waits_ops *ops, void *user_data,
	      struct waits **ret_waits)
{
	struct waits *waits = malloc(sizeof(*waits));
	int r;

	if (!waits)
		return -ENOMEM;
	*waits = (struct waits){
		.loop = loop,
		.ops = ops,
		.user_data = user_data,
	};
	r = loop_timer_new(loop, waits_timer_handler, waits, &waits->timer);
	if (r < 0) {
		free(waits);
		return r;
	}
	*ret_waits = waits;
	return 0;
}

struct waits *waits_free(struct waits *waits)
{
	if (!waits)
		return NULL;
	loop_timer_free(waits->timer);
	free(waits);
	return NULL;
}

int waits_add(struct waits *waits, struct waiter *waiter)
{
	if (waits->n >= WAITS_MAX ||
	    (waiter->user && waits->n_users >= WAITS_USERS_MAX))
		return -ENOSPC;
	waiter->listed = true;
	waiter->dirty = true;
	waiter->gone = false;
	DL_APPEND(waits->list, waiter);
	waits->n++;
	waits->n_users += waiter->user;
	loop_timer_set_earlier(waits->timer, waiter->deadline_us);
	return 0;
}

void waits_remove(struct waits *waits, struct waiter *waiter)
{
	if (!waiter->listed)
		return;
	waiter->listed = false;
	DL_DELETE(waits->list, waiter);
	waits->n--;
	waits->n_users -= waiter->user;
}

void waits_netns_changed(struct waits *waits, const struct netns *netns)
{
	struct waiter *waiter;

	DL_FOREACH (waits->list, waiter) {
		if (!waiter->dirty && !waiter->netns_id)
			waiter->dirty = waits->ops->may_be(waiter->text, netns,
							   waits->user_data);
	}
}

void waits_netns_gone(struct waits *waits, uint64_t netns_id)
{
	struct waiter *waiter;

	DL_FOREACH (waits->list, waiter) {
		if (waiter->netns_id != netns_id)
			continue;
		/* Another one may get its name. */
		waiter->netns_id = 0;
		waiter->gone = !waiter->text;
		waiter->dirty = true;
	}
}

void waits_look_again(struct waits *waits, uint64_t netns_id)
{
	struct waiter *waiter;

	DL_FOREACH (waits->list, waiter) {
		if (waiter->netns_id == netns_id)
			waiter->dirty = true;
	}
}

static void waiter_end(struct waits *waits, struct waiter *waiter,
		       enum wait_end end)
{
	waits_remove(waits, waiter);
	waiter->done(waiter, end);
}

/* Return: does it know its namespace? If not, it may have ended. */
static bool waiter_find(struct waits *waits, struct waiter *waiter)
{
	uint64_t netns_id;
	int r;

	if (waiter->netns_id)
		return true;
	r = waiter->gone
		    ? 0
		    : waits->ops->find(waiter, &netns_id, waits->user_data);
	if (r > 0) {
		waiter->netns_id = netns_id;
		return true;
	}
	if (r == -ENOTUNIQ)
		waiter_end(waits, waiter, WAIT_END_AMBIGUOUS);
	else if (waiter->gone || (r == 0 && waiter->once))
		waiter_end(waits, waiter, WAIT_END_ABSENT);
	else
		waiter->dirty = r < 0; /* no memory: looked at again */
	return false;
}

/* Looks at one that is marked. */
static void waiter_look(struct waits *waits, struct waiter *waiter)
{
	if (!waiter_find(waits, waiter))
		return;
	switch (waits->ops->judge(waiter->netns_id, waits->user_data)) {
	case WAIT_VERDICT_UNPLANNED:
		return; /* stays marked */
	case WAIT_VERDICT_LATER:
		waiter->dirty = false;
		if (waiter->once)
			waiter_end(waits, waiter, WAIT_END_NOT_READY);
		return;
	case WAIT_VERDICT_NEVER:
		waiter_end(waits, waiter, WAIT_END_NOT_READY);
		return;
	case WAIT_VERDICT_READY:
		waiter_end(waits, waiter, WAIT_END_READY);
		return;
	}
}

void waits_step(struct waits *waits)
{
	struct waiter *waiter, *next;

	DL_FOREACH_SAFE (waits->list, waiter, next) {
		if (waiter->dirty)
			waiter_look(waits, waiter);
	}
	DL_FOREACH_SAFE (waits->list, waiter, next) {
		if (waiter->deadline_us <= loop_now_us(waits->loop))
			waiter_end(waits, waiter,
				   waiter->netns_id ? WAIT_END_NOT_READY
						    : WAIT_END_ABSENT);
		else
			loop_timer_set_earlier(waits->timer,
					       waiter->deadline_us);
	}
}
