// SPDX-License-Identifier: Apache-2.0
/* inbox.c - what a worker is told by the main thread and by other workers */
#include "relay/core/inbox.h"

#include <errno.h>

#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/wakeup.h"

int inbox_init(struct inbox *inbox)
{
	*inbox = (struct inbox){ .fd = wakeup_new() };
	(void)pthread_mutex_init(&inbox->lock, NULL); /* cannot fail: Linux */
	STAILQ_INIT(&inbox->shares);
	STAILQ_INIT(&inbox->minted);
	return inbox->fd < 0 ? -errno : 0;
}

void inbox_done(struct inbox *inbox)
{
	cleanup_close(&inbox->fd);
	(void)pthread_mutex_destroy(&inbox->lock);
}

void inbox_wake(struct inbox *inbox)
{
	wakeup_kick(inbox->fd);
}

/* Return: may it have been empty? */
static bool inbox_put(struct inbox *inbox, struct share *share,
		      unsigned int wanted, struct serving *serving)
{
	struct serving *old = NULL;
	bool first;

	if (!listener_get(share->listener))
		return false;
	pthread_mutex_lock(&inbox->lock);
	first = STAILQ_EMPTY(&inbox->shares);
	if (serving) {
		old = share->wanted_serving;
		share->wanted_serving = serving_ref(serving);
	}
	share->wanted |= wanted;
	if (!share->mailed) {
		share->mailed = true;
		STAILQ_INSERT_TAIL(&inbox->shares, share, mail);
	} else {
		/* The queued mail is a user already, and this not the last. */
		(void)listener_put(share->listener);
	}
	pthread_mutex_unlock(&inbox->lock);
	(void)serving_unref(old);
	return first;
}

void inbox_tell(struct inbox *inbox, struct share *share, unsigned int wanted,
		struct serving *serving)
{
	(void)inbox_put(inbox, share, wanted, serving);
	inbox->told = true;
}

void inbox_ask(struct inbox *inbox, struct share *share, unsigned int wanted)
{
	if (inbox_put(inbox, share, wanted, NULL))
		inbox_wake(inbox);
}

void inbox_kick(struct inbox *inbox)
{
	if (!inbox->told)
		return;
	inbox->told = false;
	inbox_wake(inbox);
}

void inbox_shed(struct inbox *inbox, unsigned int n)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->n_shed = n;
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

void inbox_shed_netns(struct inbox *inbox, const struct admission *greedy)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->greedy = greedy;
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

void inbox_census(struct inbox *inbox, struct census *census)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->census = census;
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

void inbox_stop(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->stop = true;
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

struct share *inbox_take_share(struct inbox *inbox, unsigned int *ret_wanted,
			       struct serving **ret_serving)
{
	struct share *share;

	pthread_mutex_lock(&inbox->lock);
	share = STAILQ_FIRST(&inbox->shares);
	if (share) {
		STAILQ_REMOVE_HEAD(&inbox->shares, mail);
		*ret_wanted = share->wanted;
		*ret_serving = TAKE_PTR(share->wanted_serving);
		share->wanted = 0;
		share->mailed = false;
	}
	pthread_mutex_unlock(&inbox->lock);
	return share;
}

void inbox_take_orders(struct inbox *inbox, struct inbox_orders *ret_orders)
{
	pthread_mutex_lock(&inbox->lock);
	ret_orders->n_shed = inbox->n_shed;
	ret_orders->greedy = TAKE_PTR(inbox->greedy);
	ret_orders->census = TAKE_PTR(inbox->census);
	ret_orders->stop = inbox->stop;
	inbox->n_shed = 0;
	if (!STAILQ_EMPTY(&inbox->shares))
		inbox_wake(inbox);
	pthread_mutex_unlock(&inbox->lock);
}
