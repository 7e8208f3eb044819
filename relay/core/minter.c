// SPDX-License-Identifier: Apache-2.0
/* minter.c - the main thread's part of getting sockets from berthd
 *
 * Theory of operation: the protocol bounds how many questions berthd may have
 * at a time. Questions of one namespace's clients are put in the order in which
 * they came. Namespaces take turns, so that thousands of clients of one do not
 * stand before the first client of another. How many questions wait is bounded
 * by the connections and sessions that there may be. If there is no memory to
 * receive an answer, it never comes: after a while the question then gives up
 * its place. Its client gave up long before.
 */
#include "relay/core/minter.h"

#include <pthread.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/backend_source.h"
#include "common/log.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

/* An answer that did not come after so long is lost. */
#define ANSWER_US (30 * USEC_PER_SEC)

/**
 * struct minter_lane - questions of one namespace's clients; never empty
 * @prev, @next: in struct minter
 */
struct minter_lane {
	uint64_t netns_id;
	STAILQ_HEAD(, mint) mints;
	struct minter_lane *prev, *next;
	UT_hash_handle hh;
};

static void mail_put(struct worker *worker, struct mint_mail *mail)
{
	struct inbox *inbox = &worker->inbox;

	pthread_mutex_lock(&inbox->lock);
	STAILQ_INSERT_TAIL(&inbox->mints, mail, next);
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

static void mint_fail(struct mint *mint, int error)
{
	mint->error = error;
	mail_put(mint->worker, &mint->mail);
}

static void mint_forget_sent(struct minter *minter, struct mint *mint)
{
	DL_DELETE2(minter->sent, mint, sent_prev, sent_next);
	minter->n_sent--;
}

static void fail_lost(struct minter *minter, uint64_t now_us)
{
	struct mint *mint;

	while ((mint = minter->sent) && mint->sent_us + ANSWER_US < now_us) {
		mint_forget_sent(minter, mint);
		mint_fail(mint, ETIMEDOUT);
	}
}

/* Lanes */

static struct minter_lane *lane_new(struct minter *minter, uint64_t netns_id)
{
	struct minter_lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->netns_id = netns_id;
	STAILQ_INIT(&lane->mints);
	HASH_ADD(hh, minter->by_netns, netns_id, sizeof(netns_id), lane);
	if (!lane->hh.tbl) {
		free(lane);
		return NULL;
	}
	DL_APPEND(minter->lanes, lane);
	return lane;
}

/* Puts @mint behind the questions of its namespace that wait. */
static void lane_add(struct minter *minter, struct mint *mint)
{
	const uint64_t netns_id = mint->target.netns_id;
	struct minter_lane *lane;

	HASH_FIND(hh, minter->by_netns, &netns_id, sizeof(netns_id), lane);
	if (!lane)
		lane = lane_new(minter, netns_id);
	if (!lane) {
		mint_fail(mint, ENOMEM);
		return;
	}
	STAILQ_INSERT_TAIL(&lane->mints, mint, waiting);
}

/* Takes the first question of @lane out, which may be gone then. */
static struct mint *lane_take(struct minter *minter, struct minter_lane *lane)
{
	struct mint *mint = STAILQ_FIRST(&lane->mints);

	STAILQ_REMOVE_HEAD(&lane->mints, waiting);
	if (!STAILQ_EMPTY(&lane->mints))
		return mint;
	DL_DELETE(minter->lanes, lane);
	/* The analyzer takes the table of a lane that is listed to be empty.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DELETE(hh, minter->by_netns, lane);
	free(lane);
	return mint;
}

/* The next namespace has its turn. */
static void lanes_turn(struct minter *minter)
{
	struct minter_lane *lane = minter->lanes;

	DL_DELETE(minter->lanes, lane);
	DL_APPEND(minter->lanes, lane);
}

/* Questions */

/* Takes the questions that the workers put into the outbox. */
static void take_questions(struct minter *minter)
{
	struct outbox *outbox = minter->outbox;
	struct netns_gone *closed;
	struct mint *mint, *next;

	pthread_mutex_lock(&outbox->lock);
	mint = STAILQ_FIRST(&outbox->questions);
	STAILQ_INIT(&outbox->questions);
	closed = TAKE_PTR(outbox->closed);
	pthread_mutex_unlock(&outbox->lock);
	if (closed)
		LL_CONCAT(minter->closed, closed);
	for (; mint; mint = next) {
		next = STAILQ_NEXT(mint, waiting);
		lane_add(minter, mint);
	}
}

/* Sends the first question of @lane. Return: false when the connection is full.
 */
static bool send_question(struct minter *minter, struct minter_lane *lane,
			  uint64_t now_us)
{
	struct mint *mint = STAILQ_FIRST(&lane->mints);
	const struct serving *serving = mint->target.serving;
	bool stands_in = mint->target.client.family != AF_UNSPEC;
	const struct serving_backend *target =
		&serving->backends[mint->target.to];
	const struct backend_source *source = target->source;
	char client[IP_TEXT_MAX], from[BACKEND_SOURCE_TEXT_MAX];
	const struct berth_backend backend = {
		.id = mint->target.id,
		.to = mint->target.to,
		.text = target->text,
		.netns = serving->backend_netns,
		.client = stands_in ? ip_addr_fmt(&mint->target.client, client)
				    : NULL,
		.client_port = mint->target.client_port,
		.from = source ? backend_source_fmt(source, from) : NULL,
	};
	int r;

	mint->request = ++minter->last_request;
	r = berth_ask_socket(minter->berth, mint->request, &backend);
	if (r == -EAGAIN)
		return false;
	lanes_turn(minter);
	(void)lane_take(minter, lane);
	if (r < 0) {
		/* Out of memory; or the connection's end, which reading
		 * tells. */
		mint_fail(mint, -r);
		return true;
	}
	mint->sent_us = now_us;
	DL_APPEND2(minter->sent, mint, sent_prev, sent_next);
	minter->n_sent++;
	return true;
}

static bool send_questions(struct minter *minter)
{
	uint64_t now_us = monotonic_us();
	struct minter_lane *lane;

	fail_lost(minter, now_us);
	while ((lane = minter->lanes)) {
		if (atomic_load_explicit(&STAILQ_FIRST(&lane->mints)->unwanted,
					 memory_order_relaxed)) {
			mint_fail(lane_take(minter, lane), ECANCELED);
			continue;
		}
		if (minter->n_sent >= BERTH_SOCKETS_MAX)
			return true;
		if (!send_question(minter, lane, now_us))
			return false;
	}
	return true;
}

static bool send_closed(struct minter *minter)
{
	struct netns_gone *gone;

	while ((gone = minter->closed)) {
		if (berth_netns_closed(minter->berth, gone->netns_id) ==
		    -EAGAIN)
			return false;
		minter->closed = gone->next;
		free(gone);
	}
	return true;
}

bool minter_send(struct minter *minter)
{
	take_questions(minter);
	return send_closed(minter) && send_questions(minter);
}

void minter_answered(struct minter *minter, struct berth_message *message)
{
	struct mint *mint;

	DL_FOREACH2(minter->sent, mint, sent_next)
	{
		if (mint->request == message->request)
			break;
	}
	if (!mint)
		return;
	mint_forget_sent(minter, mint);
	mint->fd = TAKE_FD(message->fd);
	mint->error = mint->fd < 0 && !message->error ? EBADMSG
						      : message->error;
	mint->netns_id = message->netns_id;
	mail_put(mint->worker, &mint->mail);
}

void minter_netns_gone(struct minter *minter, uint64_t netns_id)
{
	struct netns_gone *gone = calloc(
		1, sizeof(*gone) + minter->n_workers * sizeof(gone->mails[0]));

	if (!gone) {
		/* berthd ends a relay that does not answer, and starts it
		 * again. */
		log_error("out of memory: a namespace that goes is held");
		return;
	}
	gone->netns_id = netns_id;
	atomic_init(&gone->users, (unsigned int)minter->n_workers);
	for (size_t i = 0; i < minter->n_workers; i++) {
		gone->mails[i].gone = gone;
		mail_put(&minter->workers[i], &gone->mails[i]);
	}
}

void minter_done(struct minter *minter)
{
	struct netns_gone *gone, *next_gone;
	struct mint *mint, *next;

	if (!minter->outbox)
		return;
	take_questions(minter);
	while (minter->lanes)
		mint_destroy(lane_take(minter, minter->lanes));
	for (mint = minter->sent; mint; mint = next) {
		next = mint->sent_next;
		mint_destroy(mint);
	}
	LL_FOREACH_SAFE (minter->closed, gone, next_gone)
		free(gone);
	*minter = (struct minter){ .berth = NULL };
}
