// SPDX-License-Identifier: Apache-2.0
/* minted.c - sockets for backends that berthd mints, as a worker sees them
 *
 * Theory of operation: a worker asks through the main thread, which has the
 * connection to berthd, and goes on with other things. While the request is
 * on its way, the struct minted is lent to the main thread. An owner that does
 * not want the socket any more marks the struct, which is freed when it comes
 * back.
 *
 * A socket that was born in another namespace keeps that namespace alive, so
 * the socket must be closed when the namespace goes. For that, the sockets in
 * use are listed by namespace. Answers, and the news that a namespace goes,
 * come in one queue, so that no socket of the namespace can arrive after the
 * news.
 */
#include "relay/core/minted.h"

#include <pthread.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* The sockets of one namespace that a worker has in use. */
struct minted_netns {
	uint64_t id;
	struct minted *minted;
	UT_hash_handle hh;
};

static struct minted_netns *minted_netns_find(const struct worker *worker,
					      uint64_t id)
{
	struct minted_netns *netns;

	HASH_FIND(hh, worker->minted_netns, &id, sizeof(id), netns);
	return netns;
}

static int minted_link(struct worker *worker, struct minted *minted)
{
	struct minted_netns *netns =
		minted_netns_find(worker, minted->netns_id);

	if (!netns) {
		netns = calloc(1, sizeof(*netns));
		if (!netns)
			return -ENOMEM;
		netns->id = minted->netns_id;
		HASH_ADD(hh, worker->minted_netns, id, sizeof(netns->id),
			 netns);
		if (!netns->hh.tbl) {
			free(netns);
			return -ENOMEM;
		}
	}
	DL_APPEND(netns->minted, minted);
	return 0;
}

static void minted_unlink(struct worker *worker, struct minted *minted)
{
	struct minted_netns *netns =
		minted_netns_find(worker, minted->netns_id);

	DL_DELETE(netns->minted, minted);
	if (netns->minted)
		return;
	HASH_DEL(worker->minted_netns, netns);
	free(netns);
}

void minted_destroy(struct minted *minted)
{
	(void)serving_unref(minted->purpose.serving);
	cleanup_close(&minted->fd);
	free(minted);
}

struct minted *minted_new(struct worker *worker,
			  const struct minted_purpose *purpose,
			  const struct minted_ops *ops, void *owner)
{
	struct minted *minted = calloc(1, sizeof(*minted));

	if (!minted)
		return NULL;
	minted->ops = ops;
	minted->owner = owner;
	minted->worker = worker;
	minted->purpose = *purpose;
	(void)serving_ref(purpose->serving);
	minted->fd = -1;
	return minted;
}

struct minted *minted_request(struct worker *worker,
			      const struct minted_purpose *purpose,
			      const struct minted_ops *ops, void *owner)
{
	struct outbox *outbox = worker->outbox;
	struct minted *minted = minted_new(worker, purpose, ops, owner);
	bool first;

	if (!minted)
		return NULL;
	pthread_mutex_lock(&outbox->lock);
	first = STAILQ_EMPTY(&outbox->requests);
	STAILQ_INSERT_TAIL(&outbox->requests, minted, waiting);
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		outbox_kick(outbox);
	return minted;
}

struct minted *minted_free(struct worker *worker, struct minted *minted)
{
	if (!minted)
		return NULL;
	if (!minted->answered) {
		minted->owner = NULL;
		atomic_store_explicit(&minted->unwanted, true,
				      memory_order_relaxed);
		return NULL;
	}
	if (worker && minted->netns_id)
		minted_unlink(worker, minted);
	minted_destroy(minted);
	return NULL;
}

void minted_deliver(struct worker *worker, struct minted *minted)
{
	if (!minted->owner) {
		minted_destroy(minted);
		return;
	}
	minted->answered = true;
	minted->purpose.serving = serving_unref(minted->purpose.serving);
	if (minted->fd < 0)
		minted->netns_id = 0; /* it was not made */
	/* A socket that is not listed would not be closed when its namespace
	 * goes. The main thread has few, and lists them itself. */
	if (worker && minted->netns_id && minted_link(worker, minted) < 0) {
		cleanup_close(&minted->fd);
		minted->fd = -1;
		minted->error = ENOMEM;
		minted->netns_id = 0;
	}
	minted->ops->answered(worker, minted);
}

/* Gives @gone back to the main thread when this was the last worker. */
static void netns_gone_put(struct worker *worker, struct netns_gone *gone)
{
	struct outbox *outbox = worker->outbox;

	if (atomic_fetch_sub(&gone->users, 1) != 1)
		return;
	pthread_mutex_lock(&outbox->lock);
	LL_PREPEND(outbox->closed, gone);
	pthread_mutex_unlock(&outbox->lock);
	outbox_kick(outbox);
}

static void minted_netns_gone(struct worker *worker, struct netns_gone *gone)
{
	struct minted_netns *netns;

	while ((netns = minted_netns_find(worker, gone->netns_id)))
		netns->minted->ops->gone(worker, netns->minted);
	netns_gone_put(worker, gone);
}

/* Return: the first of all that came, linked by @next. */
static struct minted_mail *mails_take(struct worker *worker)
{
	struct inbox *inbox = &worker->inbox;
	struct minted_mail *mail;

	pthread_mutex_lock(&inbox->lock);
	mail = STAILQ_FIRST(&inbox->minted);
	STAILQ_INIT(&inbox->minted);
	pthread_mutex_unlock(&inbox->lock);
	return mail;
}

/* The number of mails is bounded by the requests that may be on their way. */
void minted_mails_handle(struct worker *worker)
{
	struct minted_mail *mail = mails_take(worker), *next;

	for (; mail; mail = next) {
		next = STAILQ_NEXT(mail, next);
		if (mail->gone)
			minted_netns_gone(worker, mail->gone);
		else
			minted_deliver(worker,
				       container_of(mail, struct minted, mail));
	}
}

void minted_mails_drop(struct worker *worker)
{
	struct minted_mail *mail = mails_take(worker), *next;

	for (; mail; mail = next) {
		next = STAILQ_NEXT(mail, next);
		if (mail->gone)
			netns_gone_put(worker, mail->gone);
		else
			minted_destroy(container_of(mail, struct minted, mail));
	}
}
