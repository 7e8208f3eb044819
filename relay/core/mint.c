// SPDX-License-Identifier: Apache-2.0
/* mint.c - sockets for backends that berthd makes, as a worker sees them
 *
 * Theory of operation: a worker asks through the main thread, which has the
 * connection to berthd, and goes on with other things. While the question is
 * on its way, the struct mint is lent to the main thread. An owner that does
 * not want the socket any more marks the mint, which is freed when it comes
 * back.
 *
 * A socket that was born in another namespace keeps that namespace alive, so
 * the socket must be closed when the namespace goes. For that, the mints in use
 * are listed by namespace. Answers, and the news that a namespace goes, come in
 * one queue, so that no socket of the namespace can arrive after the news.
 */
#include "relay/core/mint.h"

#include <pthread.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* The mints of one namespace that a worker has in use. */
struct mint_netns {
	uint64_t id;
	struct mint *mints;
	UT_hash_handle hh;
};

static struct mint_netns *mint_netns_find(const struct worker *worker,
					  uint64_t id)
{
	struct mint_netns *netns;

	HASH_FIND(hh, worker->mint_netns, &id, sizeof(id), netns);
	return netns;
}

static int mint_link(struct worker *worker, struct mint *mint)
{
	struct mint_netns *netns = mint_netns_find(worker, mint->netns_id);

	if (!netns) {
		netns = calloc(1, sizeof(*netns));
		if (!netns)
			return -ENOMEM;
		netns->id = mint->netns_id;
		HASH_ADD(hh, worker->mint_netns, id, sizeof(netns->id), netns);
		if (!netns->hh.tbl) {
			free(netns);
			return -ENOMEM;
		}
	}
	DL_APPEND(netns->mints, mint);
	return 0;
}

static void mint_unlink(struct worker *worker, struct mint *mint)
{
	struct mint_netns *netns = mint_netns_find(worker, mint->netns_id);

	DL_DELETE(netns->mints, mint);
	if (netns->mints)
		return;
	HASH_DEL(worker->mint_netns, netns);
	free(netns);
}

void mint_destroy(struct mint *mint)
{
	(void)serving_unref(mint->target.serving);
	cleanup_close(&mint->fd);
	free(mint);
}

struct mint *mint_ask(struct worker *worker, const struct mint_target *target,
		      const struct mint_ops *ops, void *owner)
{
	struct outbox *outbox = worker->outbox;
	struct mint *mint = calloc(1, sizeof(*mint));
	bool first;

	if (!mint)
		return NULL;
	mint->ops = ops;
	mint->owner = owner;
	mint->worker = worker;
	mint->target = *target;
	(void)serving_ref(target->serving);
	mint->fd = -1;
	pthread_mutex_lock(&outbox->lock);
	first = STAILQ_EMPTY(&outbox->questions);
	STAILQ_INSERT_TAIL(&outbox->questions, mint, waiting);
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		outbox_kick(outbox);
	return mint;
}

struct mint *mint_free(struct worker *worker, struct mint *mint)
{
	if (!mint)
		return NULL;
	if (!mint->answered) {
		mint->owner = NULL;
		atomic_store_explicit(&mint->unwanted, true,
				      memory_order_relaxed);
		return NULL;
	}
	if (mint->netns_id)
		mint_unlink(worker, mint);
	mint_destroy(mint);
	return NULL;
}

static void mint_answered(struct worker *worker, struct mint *mint)
{
	if (!mint->owner) {
		mint_destroy(mint);
		return;
	}
	mint->answered = true;
	mint->target.serving = serving_unref(mint->target.serving);
	if (mint->fd < 0)
		mint->netns_id = 0; /* it was not made */
	/* A socket that is not listed would not be closed when its namespace
	 * goes. */
	if (mint->netns_id && mint_link(worker, mint) < 0) {
		cleanup_close(&mint->fd);
		mint->fd = -1;
		mint->error = ENOMEM;
		mint->netns_id = 0;
	}
	mint->ops->answered(worker, mint);
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

static void mint_netns_gone(struct worker *worker, struct netns_gone *gone)
{
	struct mint_netns *netns;

	while ((netns = mint_netns_find(worker, gone->netns_id)))
		netns->mints->ops->gone(worker, netns->mints);
	netns_gone_put(worker, gone);
}

/* Return: the first of all that came, linked by @next. */
static struct mint_mail *mails_take(struct worker *worker)
{
	struct inbox *inbox = &worker->inbox;
	struct mint_mail *mail;

	pthread_mutex_lock(&inbox->lock);
	mail = STAILQ_FIRST(&inbox->mints);
	STAILQ_INIT(&inbox->mints);
	pthread_mutex_unlock(&inbox->lock);
	return mail;
}

/* The number of mails is bounded by the questions that may be on their way. */
void mint_mails_handle(struct worker *worker)
{
	struct mint_mail *mail = mails_take(worker), *next;

	for (; mail; mail = next) {
		next = STAILQ_NEXT(mail, next);
		if (mail->gone)
			mint_netns_gone(worker, mail->gone);
		else
			mint_answered(worker,
				      container_of(mail, struct mint, mail));
	}
}

void mint_mails_drop(struct worker *worker)
{
	struct mint_mail *mail = mails_take(worker), *next;

	for (; mail; mail = next) {
		next = STAILQ_NEXT(mail, next);
		if (mail->gone)
			netns_gone_put(worker, mail->gone);
		else
			mint_destroy(container_of(mail, struct mint, mail));
	}
}
