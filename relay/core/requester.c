// SPDX-License-Identifier: Apache-2.0
/* requester.c - the main thread's part of getting sockets from berthd
 *
 * Theory of operation: the protocol bounds how many requests berthd may have
 * at a time. Requests of one namespace's clients are sent in the order in which
 * they came. Namespaces take turns, so that thousands of clients of one do not
 * stand before the first client of another. How many requests wait is bounded
 * by the connections and sessions that there may be. If there is no memory to
 * receive an answer, it never comes: after a while the request then gives up
 * its place. Its client gave up long before.
 */
#include "relay/core/requester.h"

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
 * struct requester_lane - requests of one namespace's clients; never empty
 * @prev, @next: in struct requester
 */
struct requester_lane {
	uint64_t netns_id;
	STAILQ_HEAD(, minted) minted;
	struct requester_lane *prev, *next;
	UT_hash_handle hh;
};

static void mail_put(struct worker *worker, struct minted_mail *mail)
{
	struct inbox *inbox = &worker->inbox;

	pthread_mutex_lock(&inbox->lock);
	STAILQ_INSERT_TAIL(&inbox->minted, mail, next);
	pthread_mutex_unlock(&inbox->lock);
	inbox_wake(inbox);
}

/* Whoever asked gets it back. */
static void minted_give(struct minted *minted)
{
	if (minted->worker)
		mail_put(minted->worker, &minted->mail);
	else
		minted_deliver(/* worker= */ NULL, minted);
}

static void minted_fail(struct minted *minted, int error)
{
	minted->error = error;
	minted_give(minted);
}

static void minted_forget_sent(struct requester *requester,
			       struct minted *minted)
{
	DL_DELETE2(requester->sent, minted, sent_prev, sent_next);
	requester->n_sent--;
}

static void fail_lost(struct requester *requester, uint64_t now_us)
{
	struct minted *minted;

	while ((minted = requester->sent) &&
	       minted->sent_us + ANSWER_US < now_us) {
		minted_forget_sent(requester, minted);
		minted_fail(minted, ETIMEDOUT);
	}
}

/* Lanes */

static struct requester_lane *lane_new(struct requester *requester,
				       uint64_t netns_id)
{
	struct requester_lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->netns_id = netns_id;
	STAILQ_INIT(&lane->minted);
	HASH_ADD(hh, requester->by_netns, netns_id, sizeof(netns_id), lane);
	if (!lane->hh.tbl) {
		free(lane);
		return NULL;
	}
	DL_APPEND(requester->lanes, lane);
	return lane;
}

/* Puts @minted behind the requests of its namespace that wait. Return: false
 * when memory is out. */
static bool lane_add(struct requester *requester, struct minted *minted)
{
	const uint64_t netns_id = minted->purpose.netns_id;
	struct requester_lane *lane;

	HASH_FIND(hh, requester->by_netns, &netns_id, sizeof(netns_id), lane);
	if (!lane)
		lane = lane_new(requester, netns_id);
	if (!lane)
		return false;
	STAILQ_INSERT_TAIL(&lane->minted, minted, waiting);
	return true;
}

/* Takes the first request of @lane out, which may be gone then. */
static struct minted *lane_take(struct requester *requester,
				struct requester_lane *lane)
{
	struct minted *minted = STAILQ_FIRST(&lane->minted);

	STAILQ_REMOVE_HEAD(&lane->minted, waiting);
	if (!STAILQ_EMPTY(&lane->minted))
		return minted;
	DL_DELETE(requester->lanes, lane);
	/* The analyzer takes the table of a lane that is listed to be empty.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DELETE(hh, requester->by_netns, lane);
	free(lane);
	return minted;
}

/* The next namespace has its turn. */
static void lanes_turn(struct requester *requester)
{
	struct requester_lane *lane = requester->lanes;

	DL_DELETE(requester->lanes, lane);
	DL_APPEND(requester->lanes, lane);
}

/* Requests */

/* Takes the requests that the workers put into the outbox. */
static void take_requests(struct requester *requester)
{
	struct outbox *outbox = requester->outbox;
	struct netns_gone *closed;
	struct minted *minted, *next;

	pthread_mutex_lock(&outbox->lock);
	minted = STAILQ_FIRST(&outbox->requests);
	STAILQ_INIT(&outbox->requests);
	closed = TAKE_PTR(outbox->closed);
	pthread_mutex_unlock(&outbox->lock);
	if (closed)
		LL_CONCAT(requester->closed, closed);
	for (; minted; minted = next) {
		next = STAILQ_NEXT(minted, waiting);
		if (!lane_add(requester, minted))
			minted_fail(minted, ENOMEM);
	}
}

struct minted *requester_ask(struct requester *requester,
			     const struct minted_purpose *purpose,
			     const struct minted_ops *ops, void *owner)
{
	struct minted *minted =
		minted_new(/* worker= */ NULL, purpose, ops, owner);

	if (!minted || lane_add(requester, minted))
		return minted;
	minted_destroy(minted);
	return NULL;
}

/* Sends the first request of @lane. Return: false when the connection is full.
 */
static bool send_request(struct requester *requester,
			 struct requester_lane *lane, uint64_t now_us)
{
	struct minted *minted = STAILQ_FIRST(&lane->minted);
	const struct serving *serving = minted->purpose.serving;
	bool stands_in = minted->purpose.client.family != AF_UNSPEC;
	const struct serving_backend *target =
		&serving->backends[minted->purpose.to];
	const struct backend_source *source = target->source;
	char client[IP_TEXT_MAX], from[BACKEND_SOURCE_TEXT_MAX];
	const struct berth_backend backend = {
		.id = minted->purpose.id,
		.to = minted->purpose.to,
		.text = target->text,
		.netns = serving->backend_netns,
		.client = stands_in
				  ? ip_addr_fmt(&minted->purpose.client, client)
				  : NULL,
		.client_port = minted->purpose.client_port,
		.from = source ? backend_source_fmt(source, from) : NULL,
		.check = minted->purpose.check,
	};
	int r;

	minted->request = ++requester->last_request;
	r = berth_ask_socket(requester->berth, minted->request, &backend);
	if (r == -EAGAIN)
		return false;
	lanes_turn(requester);
	(void)lane_take(requester, lane);
	if (r < 0) {
		/* Out of memory; or the connection's end, which reading
		 * tells. */
		minted_fail(minted, -r);
		return true;
	}
	minted->sent_us = now_us;
	DL_APPEND2(requester->sent, minted, sent_prev, sent_next);
	requester->n_sent++;
	return true;
}

static bool send_requests(struct requester *requester)
{
	uint64_t now_us = monotonic_us();
	struct requester_lane *lane;

	fail_lost(requester, now_us);
	while ((lane = requester->lanes)) {
		if (atomic_load_explicit(&STAILQ_FIRST(&lane->minted)->unwanted,
					 memory_order_relaxed)) {
			minted_fail(lane_take(requester, lane), ECANCELED);
			continue;
		}
		if (requester->n_sent >= BERTH_SOCKETS_MAX)
			return true;
		if (!send_request(requester, lane, now_us))
			return false;
	}
	return true;
}

static bool send_closed(struct requester *requester)
{
	struct netns_gone *gone;

	while ((gone = requester->closed)) {
		if (berth_netns_closed(requester->berth, gone->netns_id) ==
		    -EAGAIN)
			return false;
		requester->closed = gone->next;
		free(gone);
	}
	return true;
}

bool requester_send(struct requester *requester)
{
	take_requests(requester);
	return send_closed(requester) && send_requests(requester);
}

void requester_answered(struct requester *requester,
			struct berth_message *message)
{
	struct minted *minted;

	DL_FOREACH2(requester->sent, minted, sent_next)
	{
		if (minted->request == message->request)
			break;
	}
	if (!minted)
		return;
	minted_forget_sent(requester, minted);
	minted->fd = TAKE_FD(message->fd);
	minted->error = minted->fd < 0 && !message->error ? EBADMSG
							  : message->error;
	minted->netns_id = message->netns_id;
	minted_give(minted);
}

void requester_netns_gone(struct requester *requester, uint64_t netns_id)
{
	struct netns_gone *gone =
		calloc(1, sizeof(*gone) + requester->n_workers *
						  sizeof(gone->mails[0]));

	if (!gone) {
		/* berthd ends a relay that does not answer, and starts it
		 * again. */
		log_error("out of memory: a namespace that goes is held");
		return;
	}
	gone->netns_id = netns_id;
	atomic_init(&gone->users, (unsigned int)requester->n_workers);
	for (size_t i = 0; i < requester->n_workers; i++) {
		gone->mails[i].gone = gone;
		mail_put(&requester->workers[i], &gone->mails[i]);
	}
}

void requester_done(struct requester *requester)
{
	struct netns_gone *gone, *next_gone;
	struct minted *minted, *next;

	if (!requester->outbox)
		return;
	take_requests(requester);
	while (requester->lanes)
		minted_destroy(lane_take(requester, requester->lanes));
	for (minted = requester->sent; minted; minted = next) {
		next = minted->sent_next;
		minted_destroy(minted);
	}
	LL_FOREACH_SAFE (requester->closed, gone, next_gone)
		free(gone);
	*requester = (struct requester){ .berth = NULL };
}
