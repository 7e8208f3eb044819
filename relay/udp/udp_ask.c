// SPDX-License-Identifier: Apache-2.0
/* udp_ask.c - sessions that wait for a socket of berthd's
 *
 * Theory of operation: a backend in another namespace, or one that is to see
 * the client's address, needs a socket that berthd makes (mint.h). A session is
 * in the table from its first datagram on, and as long as it has no socket it
 * has a struct udp_ask, which holds what the client says meanwhile.
 *
 * Whoever forges source addresses makes as many sessions as he likes, and each
 * costs berthd some work. So a listener has a few questions on their way, the
 * next when one is answered: that bounds what waits in front of berthd, which
 * others' connections wait behind. Sessions whose turn is not yet wait here; of
 * those there may be more, because a burst of clients is nothing unusual. One
 * that finds no room to wait is not begun, and nobody is evicted for it. A
 * listener has a part of its namespace's room, and a namespace of the worker's,
 * so that neither a flooded one nor very many in one namespace take it all.
 *
 * When the rule changes while a question is on its way, berthd's answer may be
 * that it is stale. What was held is then handled as if it had come now, under
 * the new rule: at once, or if the change is still in the inbox, with it.
 *
 * The question of a session that ended cannot be called back. It keeps its
 * place among those that are on their way until the answer is here, or else
 * sessions that push each other out would send any number.
 */
#include "relay/udp/udp_ask.h"

#include <stdlib.h>
#include <sys/param.h>
#include <sys/types.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/mint.h"
#include "relay/core/serving.h"
#include "relay/udp/udp_internal.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* Questions of one listener on their way: berthd has always another one at
 * hand, and answers them within a millisecond. */
#define SENT_MAX 16

/* Sessions that wait, of one listener, of one namespace's listeners, and of all
 * listeners of a worker. */
#define ASKS_MAX 512
#define NETNS_ASKS_MAX 1024
#define WORKER_ASKS_MAX 4096

/* Bytes held for them: hundreds of ordinary datagrams, some of the largest. */
#define HELD_MAX (512u * 1024)
#define NETNS_HELD_MAX (1024u * 1024)
#define WORKER_HELD_MAX (4u * 1024 * 1024)

/* What a listener and a namespace may have when half of the worker's room is
 * taken, so that a few that are flooded leave some to the others. */
#define ASKS_FEW SENT_MAX
#define NETNS_ASKS_FEW (4 * ASKS_FEW)
#define HELD_FEW (64u * 1024)
#define NETNS_HELD_FEW (2 * HELD_FEW)

/* After a refusal, such as that the namespace is not there: each datagram would
 * ask again. No client notices. */
#define REST_US (100 * USEC_PER_MSEC)

/* An answer that is not here by then is lost. More than in minter.c. */
#define LOST_US (35 * USEC_PER_SEC)

/**
 * struct udp_ask - see the head of the file
 * @session:	NULL: it ended
 * @mint:	the question that is on its way; NULL: none is
 * @sent:	it is in the list of that name
 * @sent_us:	since when @mint is on its way
 * @tried:	backends that failed, by bits
 * @stale:	its question is, and the change is about to come
 * @again:	it was stale before: there is no third question
 * @client, @client_port: with `transparent`, who is stood in for
 */
struct udp_ask {
	struct udp_front *front;
	struct udp_session *session;
	struct udp_ask *prev, *next;
	struct mint *mint;
	bool sent;
	bool stale;
	bool again;
	uint64_t sent_us;
	uint64_t tried;
	struct ip_addr client;
	uint16_t client_port;
	struct udp_held held;
};

/* Of something that sessions need to wait: what a listener, its namespace and
 * the worker have, or may have. */
struct room {
	size_t listener, netns, worker;
};

/* Return: how much more the listener may have: up to @most of all three, or
 * @few when half of what the worker may have is taken. */
static size_t room_left(const struct room *used, const struct room *most,
			const struct room *few)
{
	const struct room *may = used->worker < most->worker / 2 ? most : few;

	if (used->listener >= may->listener || used->netns >= may->netns ||
	    used->worker >= may->worker)
		return 0;
	return MIN(may->listener - used->listener, may->netns - used->netns);
}

static struct admission_waiting *waiting_of(const struct worker *worker,
					    const struct udp_front *front)
{
	return admission_waiting(front->share->listener->netns, worker->index);
}

/* Return: how many more sessions of @front may wait. */
static size_t asks_left(const struct worker *worker,
			const struct udp_front *front)
{
	static const struct room most = { ASKS_MAX, NETNS_ASKS_MAX,
					  WORKER_ASKS_MAX };
	static const struct room few = { ASKS_FEW, NETNS_ASKS_FEW,
					 WORKER_ASKS_MAX };
	const struct room used = { front->asks.n, waiting_of(worker, front)->n,
				   udp_worker_of(worker)->n_asks };

	return room_left(&used, &most, &few);
}

/* Return: how many more bytes may be held for sessions of @front. */
static size_t held_left(const struct worker *worker,
			const struct udp_front *front)
{
	static const struct room most = { HELD_MAX, NETNS_HELD_MAX,
					  WORKER_HELD_MAX };
	static const struct room few = { HELD_FEW, NETNS_HELD_FEW,
					 WORKER_HELD_MAX };
	const struct room used = { front->asks.held_bytes,
				   waiting_of(worker, front)->held_bytes,
				   udp_worker_of(worker)->held_bytes };

	return room_left(&used, &most, &few);
}

/* Counts one that waits (1) or does not any more (-1). */
static void count_ask(struct worker *worker, struct udp_front *front,
		      int change)
{
	front->asks.n += (size_t)change;
	waiting_of(worker, front)->n += (size_t)change;
	udp_worker_of(worker)->n_asks += (size_t)change;
}

static void count_held(struct worker *worker, struct udp_front *front,
		       ssize_t change)
{
	front->asks.held_bytes += (size_t)change;
	waiting_of(worker, front)->held_bytes += (size_t)change;
	udp_worker_of(worker)->held_bytes += (size_t)change;
}

static void ask_answered(struct worker *worker, struct mint *mint);

static void ask_gone(struct worker *worker, struct mint *mint)
{
	udp_forward_close(worker, mint->owner);
}

static const struct mint_ops mint_ops = {
	.answered = ask_answered,
	.gone = ask_gone,
};

static void ask_unlist(struct udp_ask *ask)
{
	struct udp_asks *asks = &ask->front->asks;

	if (ask->sent) {
		DL_DELETE(asks->sent, ask);
		asks->n_sent--;
	} else {
		DL_DELETE(asks->waiting, ask);
	}
}

static int ask_send(struct worker *worker, struct udp_ask *ask)
{
	struct udp_asks *asks = &ask->front->asks;
	const struct share *share = ask->front->share;
	const struct mint_target target = {
		.id = share->listener->id,
		.netns_id = share->listener->netns_id,
		.serving = share->serving,
		.to = ask->session->backend,
		.client = ask->client,
		.client_port = ask->client_port,
	};

	ask->mint = mint_ask(worker, &target, &mint_ops, ask);
	if (!ask->mint)
		return -ENOMEM;
	ask_unlist(ask);
	ask->sent = true;
	ask->sent_us = worker->now_us;
	DL_APPEND(asks->sent, ask);
	asks->n_sent++;
	return 0;
}

static void ask_free(struct worker *worker, struct udp_ask *ask)
{
	ask_unlist(ask);
	count_ask(worker, ask->front, -1);
	(void)mint_free(worker, ask->mint);
	free(ask);
}

/* Takes what was held for it. */
static struct udp_held ask_take_held(struct worker *worker, struct udp_ask *ask)
{
	struct udp_held held = ask->held;

	count_held(worker, ask->front, -(ssize_t)held.bytes);
	ask->held = (struct udp_held){ .n = 0 };
	return held;
}

/* Those whose turn it is now. */
static void asks_go_on(struct worker *worker, struct udp_front *front)
{
	struct udp_asks *asks = &front->asks;
	struct udp_ask *ask;
	int r;

	while ((ask = asks->waiting) && asks->n_sent < SENT_MAX) {
		r = ask_send(worker, ask);
		if (r < 0) /* which takes it out of the list */
			udp_forward_refused(worker, ask->session, r);
	}
}

static bool change_is_coming(struct share *share)
{
	struct serving *newest = share_newest_serving(share);
	bool coming = newest != share->serving;

	(void)serving_unref(newest);
	return coming;
}

/* The rule changed while the question was on its way. */
static void ask_was_stale(struct worker *worker, struct udp_ask *ask)
{
	struct udp_front *front = ask->front;

	ask->stale = true;
	if (!change_is_coming(front->share))
		udp_begin_anew(worker, front,
			       udp_asks_take(worker, front,
					     /* only_stale= */ true));
}

static void ask_done(struct worker *worker, struct udp_ask *ask,
		     struct mint *mint)
{
	struct udp_session *session = ask->session;
	struct udp_held held;
	int r;

	r = udp_connect_minted(worker, session, mint, &ask->tried);
	if (session->mint != mint)
		(void)mint_free(worker, mint);
	if (r == 0) {
		held = ask_take_held(worker, ask);
		session->ask = NULL;
		session->began_us = worker->now_us; /* with this backend */
		ask_free(worker, ask);
		udp_forward_held(worker, session, &held);
	} else if (r != -EINPROGRESS) {
		udp_forward_refused(worker, session, r);
	}
}

static void ask_answered(struct worker *worker, struct mint *mint)
{
	struct udp_ask *ask = mint->owner;
	struct udp_front *front = ask->front;

	if (!ask->session) {
		ask_free(worker, ask);
		asks_go_on(worker, front);
		return;
	}
	ask->mint = NULL;
	if (mint->error == ESTALE && !ask->again) {
		(void)mint_free(worker, mint);
		ask_was_stale(worker, ask);
		asks_go_on(worker, front);
		return;
	}
	if (mint->fd < 0 &&
	    !udp_connect_is_clients(front->share->serving, mint->error))
		front->asks.rest_until_us = worker->now_us + REST_US;
	ask_done(worker, ask, mint);
	asks_go_on(worker, front);
}

/* Lets go of a question whose answer is lost. */
static void asks_check(struct worker *worker, struct udp_front *front)
{
	struct udp_ask *oldest = front->asks.sent;

	if (!oldest || worker->now_us < oldest->sent_us + LOST_US)
		return;
	if (oldest->session && !oldest->mint) {
		/* Frees it as well. */
		udp_forward_refused(worker, oldest->session, -ETIMEDOUT);
	} else {
		if (oldest->session)
			udp_forward_refused(worker, oldest->session,
					    -ETIMEDOUT);
		ask_free(worker, oldest);
	}
	asks_go_on(worker, front);
}

/* Others do not wait, and are not to suffer when too many do. */
static bool serving_asks(const struct serving *serving)
{
	for (size_t i = 0; i < serving->n_backends; i++) {
		if (serving->backends[i].minted)
			return true;
	}
	return false;
}

bool udp_ask_may(struct worker *worker, struct udp_front *front)
{
	if (!serving_asks(front->share->serving))
		return true;
	asks_check(worker, front);
	return worker->now_us >= front->asks.rest_until_us &&
	       asks_left(worker, front) > 0;
}

static struct udp_ask *ask_new(struct worker *worker,
			       struct udp_session *session, uint64_t tried)
{
	struct udp_front *front = udp_table_owner(session->table);
	struct udp_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->front = front;
	ask->session = session;
	ask->tried = tried;
	DL_APPEND(front->asks.waiting, ask);
	count_ask(worker, front, 1);
	return ask;
}

/* Whom is @session to stand in for, before its backend? Nobody, unless the rule
 * says so. */
static int ask_client(const struct udp_session *session,
		      struct ip_addr *ret_client, uint16_t *ret_port)
{
	const struct udp_front *front = udp_table_owner(session->table);
	const struct serving *serving = front->share->serving;

	*ret_client = (struct ip_addr){ .family = AF_UNSPEC };
	*ret_port = 0;
	if (!serving->transparent)
		return 0;
	return udp_key_stand_in(
		&session->key,
		serving->backends[session->backend].address->sa_family,
		ret_client, ret_port);
}

int udp_ask(struct worker *worker, struct udp_session *session, uint64_t tried)
{
	struct udp_ask *ask = session->ask;
	struct ip_addr client;
	uint16_t port;
	int r = ask_client(session, &client, &port);

	if (r < 0)
		return r; /* the answer would be of no use */
	if (!ask)
		ask = ask_new(worker, session, tried);
	if (!ask)
		return -ENOMEM;
	ask->client = client;
	ask->client_port = port;
	/* A new one has others before it. */
	if (session->ask || ask->front->asks.n_sent < SENT_MAX)
		r = ask_send(worker, ask);
	if (r < 0 && !session->ask)
		ask_free(worker, ask);
	if (r < 0)
		return r;
	session->ask = ask;
	return -EINPROGRESS;
}

uint64_t udp_ask_hold(struct worker *worker, struct udp_session *session,
		      size_t first, size_t end)
{
	struct udp_ask *ask = session->ask;
	const struct udp_batch *in = &udp_worker_of(worker)->in;
	uint64_t n = 0;

	for (size_t i = first; i < end; i++) {
		if (!udp_held_add(&ask->held, in, i,
				  held_left(worker, ask->front)))
			continue;
		n += udp_batch_datagrams(in, i, i + 1);
		count_held(worker, ask->front, (ssize_t)in->iov[i].iov_len);
	}
	return n;
}

uint64_t udp_ask_leave(struct worker *worker, struct udp_session *session)
{
	struct udp_ask *ask = TAKE_PTR(session->ask);
	struct udp_held held;

	if (!ask)
		return 0;
	held = ask_take_held(worker, ask);
	ask->session = NULL;
	if (!ask->mint)
		ask_free(worker, ask);
	return udp_held_drop(&held);
}

/* Without memory what was held is dropped, and counted. */
static void ask_take(struct worker *worker, struct udp_ask *ask,
		     struct udp_waited **list)
{
	struct udp_waited *waited = calloc(1, sizeof(*waited));

	if (waited) {
		waited->key = ask->session->key;
		waited->again = ask->stale;
		waited->held = ask_take_held(worker, ask);
		LL_PREPEND(*list, waited);
	}
	udp_forward_close(worker, ask->session);
}

struct udp_waited *udp_asks_take(struct worker *worker, struct udp_front *front,
				 bool only_stale)
{
	struct udp_ask *const lists[] = { front->asks.sent,
					  front->asks.waiting };
	struct udp_waited *taken = NULL;
	struct udp_ask *ask, *next;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		DL_FOREACH_SAFE (lists[i], ask, next) {
			if (ask->session && (ask->stale || !only_stale))
				ask_take(worker, ask, &taken);
		}
	}
	return taken;
}

void udp_ask_again(struct udp_session *session)
{
	if (session && session->ask)
		session->ask->again = true;
}

void udp_asks_end(struct worker *worker, struct udp_front *front)
{
	while (front->asks.sent)
		ask_free(worker, front->asks.sent);
}
