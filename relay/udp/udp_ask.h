/* SPDX-License-Identifier: Apache-2.0 */
/* udp_ask.h - sessions that wait for a socket that berthd mints
 *
 * All of it is for one worker's thread.
 */
#ifndef RELAY_UDP_UDP_ASK_H
#define RELAY_UDP_UDP_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/core/admission.h"
#include "relay/udp/udp_address.h"
#include "relay/udp/udp_held.h"

struct minted;
struct share;
struct udp_ask;
struct udp_batch;
struct udp_session;
struct worker;

/**
 * struct udp_waited - what a client sent whose session has to begin anew
 * @prev, @next: in a utlist.h DL
 * @again:	the session's request to berthd was stale
 */
struct udp_waited {
	struct udp_waited *prev, *next;
	struct udp_key key;
	struct udp_held held;
	bool again;
};

/**
 * struct udp_ask_ops - what becomes of sessions that wait
 * @connect:	berthd answered: connects @session with the socket of @minted,
 *		or else to another backend. Takes @minted. Returns 0;
 *		-EINPROGRESS: udp_ask() was called again; -errno
 * @connected:	@session has a socket and waits no more: sends what is in @held,
 *		which is empty then
 * @refused:	@session gets no socket; @error is a negative errno. Logs it and
 *		ends @session
 * @end:	ends @session
 * @begin_anew:	handles what is in the list @waited as if it were received now,
 *		and frees the list. The sessions have ended.
 */
struct udp_ask_ops {
	int (*connect)(struct worker *worker, struct udp_session *session,
		       struct minted *minted);
	void (*connected)(struct worker *worker, struct udp_session *session,
			  struct udp_held *held);
	void (*refused)(struct worker *worker, struct udp_session *session,
			int error);
	void (*end)(struct worker *worker, struct udp_session *session);
	void (*begin_anew)(struct worker *worker, struct share *share,
			   struct udp_waited *waited);
};

/**
 * struct udp_asks - the sessions of one share that wait; zero-initialize, and
 * set the first three
 * @of_worker:	what waits in all shares of the worker
 * @sent:	those whose request the main thread has, oldest first. Some of
 *		the sessions have ended
 * @waiting:	those whose request is to be sent, in order
 * @n_sent:	requests in @sent
 * @used:	what waits in this share, in both lists
 * @rest_until_us: monotonic time; until then no session begins to wait, because
 *		berthd refused a socket
 */
struct udp_asks {
	const struct udp_ask_ops *ops;
	struct share *share;
	struct admission_waiting *of_worker;
	struct udp_ask *sent, *waiting; /* heads of utlist.h DLs */
	size_t n_sent;
	struct admission_waiting used;
	uint64_t rest_until_us;
};

/**
 * udp_asks_may() - may one more session of the share begin?
 *
 * Return: true also if no backend of the share needs a socket of berthd's.
 */
bool udp_asks_may(struct worker *worker, struct udp_asks *asks);

/**
 * udp_ask() - asks berthd for a socket to the backend that was picked for
 * @session
 *
 * Sets session.ask, or uses the one that is there once more.
 * Return: -EINPROGRESS; -ENOMEM; with `transparent` as of udp_key_stand_in().
 */
int udp_ask(struct worker *worker, struct udp_asks *asks,
	    struct udp_session *session);

/**
 * udp_ask_hold() - keeps datagrams for @session, which waits
 * @in:		slots @first to @end - 1 of it are kept if there is room
 *
 * Return: how many datagrams were kept.
 */
uint64_t udp_ask_hold(struct worker *worker, struct udp_session *session,
		      const struct udp_batch *in, size_t first, size_t end);

/**
 * udp_ask_leave() - @session ends, so it waits no more
 *
 * Return: how many datagrams were held for it; 0 also if it did not wait.
 */
uint64_t udp_ask_leave(struct worker *worker, struct udp_session *session);

/**
 * udp_ask_again() - @session is one that began anew
 * @session:	NULL: nothing to do
 *
 * If it waits again, the next answer that its request is stale ends it.
 */
void udp_ask_again(struct udp_session *session);

/**
 * udp_asks_take() - ends the sessions of the share that wait
 * @only_stale:	only those whose request the change of the rule made stale
 *
 * Return: what was held for them, for udp_ask_ops.begin_anew(); NULL: nothing.
 */
struct udp_waited *udp_asks_take(struct worker *worker, struct udp_asks *asks,
				 bool only_stale);

/** udp_asks_done() - forgets the requests; the share has no session any more
 */
void udp_asks_done(struct worker *worker, struct udp_asks *asks);

#endif
