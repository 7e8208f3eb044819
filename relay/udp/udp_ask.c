// SPDX-License-Identifier: Apache-2.0
/* udp_ask.c - sessions that wait for a socket that berthd mints
 *
 * Theory of operation: a backend in another namespace, or one that is to see
 * the client's address, needs a socket that berthd mints (minted.h). A session
 * is in the table from its first datagram on. As long as it has no socket, it
 * has a struct udp_ask, which holds what the client sends meanwhile.
 *
 * An attacker who forges source addresses makes any number of sessions, and
 * each costs berthd some work. So a listener has only a few requests under
 * way, and sends the next one when one is answered: that bounds the queue in
 * front of berthd, in which the connections of others wait, too. Sessions whose
 * request is not sent yet wait here. There may be more of those, because a
 * burst of clients is nothing unusual. A client that finds no room to wait gets
 * no session, and no other session is ended for it. A listener has a part of
 * its namespace's room, and a namespace has a part of the worker's. So neither
 * one flooded listener nor very many in one namespace take all room.
 *
 * If the rule changes while a request is under way, berthd may answer that the
 * request is stale. Then the session ends, and what was held for it is handled
 * under the new rule as if it were received now: at once, or together with the
 * change if that is still in the inbox.
 *
 * If a session ends, its request cannot be called back. The request keeps its
 * place among those under way until the answer comes. Otherwise sessions that
 * push each other out would send any number of requests.
 */
#include "relay/udp/udp_ask.h"

#include <stdlib.h>
#include <sys/param.h>
#include <sys/types.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/listener.h"
#include "relay/core/minted.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_batch.h"
#include "relay/udp/udp_error.h"
#include "relay/udp/udp_session.h"

/* Questions of one listener under way: enough that berthd, which answers one
 * within a millisecond, always has another one at hand. */
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

/* How long no session begins to wait after berthd refused a socket, for example
 * because the namespace is not there: otherwise each datagram would ask again.
 * Short enough that no client notices it. */
#define REST_US (100 * USEC_PER_MSEC)

/* An answer that has not come after this time is lost. Longer than what
 * requester.c waits for it. */
#define LOST_US (35 * USEC_PER_SEC)

/**
 * struct udp_ask - one session that waits; see the head of the file
 * @session:	NULL: it has ended
 * @prev, @next: in udp_asks.sent or udp_asks.waiting
 * @minted:	the request that is under way; NULL: none is
 * @sent:	the ask is in udp_asks.sent
 * @stale:	berthd answered that the request is stale, and the change of
 *		the rule is in the inbox
 * @again:	an earlier request was stale: there is no third one
 * @sent_us:	when @minted was sent, monotonic
 * @client, @client_port: with `transparent`, whom the socket stands in for;
 *		the port in host byte order
 */
struct udp_ask {
	struct udp_asks *asks;
	struct udp_session *session;
	struct udp_ask *prev, *next;
	struct minted *minted;
	bool sent;
	bool stale;
	bool again;
	uint64_t sent_us;
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

static struct admission_waiting *of_netns(const struct worker *worker,
					  const struct udp_asks *asks)
{
	return admission_waiting(asks->share->listener->netns, worker->index);
}

/* Return: how many more sessions may wait. */
static size_t asks_left(const struct worker *worker,
			const struct udp_asks *asks)
{
	static const struct room most = { ASKS_MAX, NETNS_ASKS_MAX,
					  WORKER_ASKS_MAX };
	static const struct room few = { ASKS_FEW, NETNS_ASKS_FEW,
					 WORKER_ASKS_MAX };
	const struct room used = { asks->used.n, of_netns(worker, asks)->n,
				   asks->of_worker->n };

	return room_left(&used, &most, &few);
}

/* Return: how many more bytes may be held for sessions that wait. */
static size_t held_left(const struct worker *worker,
			const struct udp_asks *asks)
{
	static const struct room most = { HELD_MAX, NETNS_HELD_MAX,
					  WORKER_HELD_MAX };
	static const struct room few = { HELD_FEW, NETNS_HELD_FEW,
					 WORKER_HELD_MAX };
	const struct room used = { asks->used.held_bytes,
				   of_netns(worker, asks)->held_bytes,
				   asks->of_worker->held_bytes };

	return room_left(&used, &most, &few);
}

/* Counts sessions that begin to wait and bytes that are held from now on; or,
 * if negative, do so no more. */
static void count(struct worker *worker, struct udp_asks *asks, ssize_t n,
		  ssize_t bytes)
{
	struct admission_waiting *const all[] = {
		&asks->used,
		of_netns(worker, asks),
		asks->of_worker,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i]->n += (size_t)n;
		all[i]->held_bytes += (size_t)bytes;
	}
}

/* One that waits */

static struct udp_ask *ask_new(struct worker *worker, struct udp_asks *asks,
			       struct udp_session *session)
{
	struct udp_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->asks = asks;
	ask->session = session;
	DL_APPEND(asks->waiting, ask);
	count(worker, asks, 1, 0);
	return ask;
}

static void ask_unlist(struct udp_ask *ask)
{
	struct udp_asks *asks = ask->asks;

	if (ask->sent) {
		DL_DELETE(asks->sent, ask);
		asks->n_sent--;
	} else {
		DL_DELETE(asks->waiting, ask);
	}
}

static void ask_free(struct worker *worker, struct udp_ask *ask)
{
	ask_unlist(ask);
	count(worker, ask->asks, -1, 0);
	(void)minted_free(worker, ask->minted);
	free(ask);
}

/* Return: what was held, which is the caller's from now on. */
static struct udp_held ask_take_held(struct worker *worker, struct udp_ask *ask)
{
	struct udp_held held = ask->held;

	count(worker, ask->asks, 0, -(ssize_t)held.bytes);
	ask->held = (struct udp_held){ .n = 0 };
	return held;
}

/* Questions and answers */

static void ask_answered(struct worker *worker, struct minted *minted);

/* The session that takes the socket sets functions of its own. */
static const struct minted_ops minted_ops = { .answered = ask_answered };

static int ask_send(struct worker *worker, struct udp_ask *ask)
{
	struct udp_asks *asks = ask->asks;
	const struct share *share = asks->share;
	const struct minted_purpose purpose = {
		.id = share->listener->id,
		.netns_id = share->listener->netns_id,
		.serving = share->serving,
		.to = ask->session->upstream.index,
		.client = ask->client,
		.client_port = ask->client_port,
	};

	ask->minted = minted_request(worker, &purpose, &minted_ops, ask);
	if (!ask->minted)
		return -ENOMEM;
	ask_unlist(ask);
	ask->sent = true;
	ask->sent_us = worker->now_us;
	DL_APPEND(asks->sent, ask);
	asks->n_sent++;
	return 0;
}

/* Sends the requests of those whose turn has come. */
static void asks_go_on(struct worker *worker, struct udp_asks *asks)
{
	struct udp_ask *ask;
	int r;

	while ((ask = asks->waiting) && asks->n_sent < SENT_MAX) {
		r = ask_send(worker, ask);
		if (r < 0) /* this takes it out of the list */
			asks->ops->refused(worker, ask->session, r);
	}
}

static bool change_is_coming(struct share *share)
{
	struct serving *newest = share_newest_serving(share);
	bool coming = newest != share->serving;

	(void)serving_unref(newest);
	return coming;
}

/* The rule changed while the request was under way. */
static void ask_was_stale(struct worker *worker, struct udp_ask *ask)
{
	struct udp_asks *asks = ask->asks;

	ask->stale = true;
	if (!change_is_coming(asks->share))
		asks->ops->begin_anew(worker, asks->share,
				      udp_asks_take(worker, asks,
						    /* only_stale= */ true));
}

static void ask_connect(struct worker *worker, struct udp_ask *ask,
			struct minted *minted)
{
	const struct udp_ask_ops *ops = ask->asks->ops;
	struct udp_session *session = ask->session;
	struct udp_held held;
	int r = ops->connect(worker, session, minted);

	if (r == 0) {
		held = ask_take_held(worker, ask);
		session->ask = NULL;
		ask_free(worker, ask);
		ops->connected(worker, session, &held);
	} else if (r != -EINPROGRESS) {
		ops->refused(worker, session, r);
	}
}

static void ask_answered(struct worker *worker, struct minted *minted)
{
	struct udp_ask *ask = minted->owner;
	struct udp_asks *asks = ask->asks;
	const struct serving *serving = asks->share->serving;

	if (!ask->session) {
		ask_free(worker, ask);
		asks_go_on(worker, asks);
		return;
	}
	ask->minted = NULL;
	if (minted->error == ESTALE && !ask->again) {
		(void)minted_free(worker, minted);
		ask_was_stale(worker, ask);
		asks_go_on(worker, asks);
		return;
	}
	if (minted->fd < 0 && !udp_error_is_clients(serving, minted->error))
		asks->rest_until_us = worker->now_us + REST_US;
	ask_connect(worker, ask, minted);
	asks_go_on(worker, asks);
}

/* Gives up the oldest request if its answer is lost. */
static void asks_check(struct worker *worker, struct udp_asks *asks)
{
	struct udp_ask *oldest = asks->sent;
	bool is_freed;

	if (!oldest || worker->now_us < oldest->sent_us + LOST_US)
		return;
	is_freed = oldest->session && !oldest->minted;
	if (oldest->session)
		asks->ops->refused(worker, oldest->session, -ETIMEDOUT);
	if (!is_freed)
		ask_free(worker, oldest);
	asks_go_on(worker, asks);
}

/* Beginning to wait */

static bool serving_asks(const struct serving *serving)
{
	for (size_t i = 0; i < serving->n_backends; i++) {
		if (serving->backends[i].minted)
			return true;
	}
	return false;
}

bool udp_asks_may(struct worker *worker, struct udp_asks *asks)
{
	if (!serving_asks(asks->share->serving))
		return true; /* its sessions never wait */
	asks_check(worker, asks);
	return worker->now_us >= asks->rest_until_us &&
	       asks_left(worker, asks) > 0;
}

/* Tells whom @session is to stand in for before its backend: nobody, unless the
 * rule says so. Return: 0; as of udp_key_stand_in(). */
static int find_client(const struct serving *serving,
		       const struct udp_session *session,
		       struct ip_addr *ret_client, uint16_t *ret_port)
{
	*ret_client = (struct ip_addr){ .family = AF_UNSPEC };
	*ret_port = 0;
	if (!serving->transparent)
		return 0;
	return udp_key_stand_in(
		&session->key,
		serving->backends[session->upstream.index].address->sa_family,
		ret_client, ret_port);
}

int udp_ask(struct worker *worker, struct udp_asks *asks,
	    struct udp_session *session)
{
	struct udp_ask *ask = session->ask;
	struct ip_addr client;
	uint16_t port;
	int r = find_client(asks->share->serving, session, &client, &port);

	if (r < 0)
		return r; /* the answer would be of no use */
	if (!ask)
		ask = ask_new(worker, asks, session);
	if (!ask)
		return -ENOMEM;
	ask->client = client;
	ask->client_port = port;
	/* A new one has others before it. */
	if (session->ask || asks->n_sent < SENT_MAX)
		r = ask_send(worker, ask);
	if (r < 0 && !session->ask)
		ask_free(worker, ask);
	if (r < 0)
		return r;
	session->ask = ask;
	return -EINPROGRESS;
}

uint64_t udp_ask_hold(struct worker *worker, struct udp_session *session,
		      const struct udp_batch *in, size_t first, size_t end)
{
	struct udp_ask *ask = session->ask;
	uint64_t n = 0;

	for (size_t i = first; i < end; i++) {
		if (!udp_held_add(&ask->held, in, i,
				  held_left(worker, ask->asks)))
			continue;
		n += udp_batch_datagrams(in, i, i + 1);
		count(worker, ask->asks, 0, (ssize_t)in->iov[i].iov_len);
	}
	return n;
}

/* The end */

uint64_t udp_ask_leave(struct worker *worker, struct udp_session *session)
{
	struct udp_ask *ask = TAKE_PTR(session->ask);
	struct udp_held held;

	if (!ask)
		return 0;
	held = ask_take_held(worker, ask);
	ask->session = NULL;
	if (!ask->minted)
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
		DL_APPEND(*list, waited);
	}
	ask->asks->ops->end(worker, ask->session);
}

struct udp_waited *udp_asks_take(struct worker *worker, struct udp_asks *asks,
				 bool only_stale)
{
	struct udp_ask *const lists[] = { asks->sent, asks->waiting };
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

void udp_asks_done(struct worker *worker, struct udp_asks *asks)
{
	while (asks->sent)
		ask_free(worker, asks->sent);
}
