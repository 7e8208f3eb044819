/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h - a listener of berthd's, and each worker's share in it */
#ifndef RELAY_CORE_LISTENER_H
#define RELAY_CORE_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/listener_spec.h"
#include "relay/core/counters.h"
#include "relay/core/pollable.h"

struct admission;
struct flow;
struct listener;
struct relay_protocol;
struct serving;
struct worker;

/* What the main thread wants of a worker; bits of share.wanted. */
#define SHARE_SERVE 1u /* begin; or go on with share.wanted_serving */
#define SHARE_WITHDRAW 2u /* let go of the listening socket */
#define SHARE_ABORT 4u /* and reset what was accepted from it */
#define SHARE_JOIN 8u /* accept from it, too; another worker wants this */
#define SHARE_RESUME 16u /* look whether there is something to accept */

/**
 * struct share - one worker's part in one listener
 *
 * Only its worker touches it, except for the mail, which the lock of that
 * worker's inbox protects.
 * @serving:	what new connections get; one reference
 * @flows:	clients that this worker serves for it
 * @next_backend: counts round robin
 * @counters:	what this worker did for the listener, see share_counters()
 * @accept_turn, @n_accept_turns: the worker's turn when it last accepted, and
 *		in how many turns before it did, without a gap
 * @protocol_data: what its protocol has beside @flows; the protocol's own
 *affair
 * @joined:	it accepts because it was asked to; in worker.joined
 * @useful:	it accepted something lately
 * @asked:	set by who asks it to join, unset when it leaves
 * @open:	it serves connections that are handed over; read by all workers
 * @limited:	a limit stopped accepting, and nobody was accepted since
 * @attached:	it uses listener.fd
 * @registered:	it is in the worker's epoll set
 * @parked:	it would be, but accepting rests; in worker.parked; read by all
 *		workers
 * @withdrawn:	it ends with its last connection
 * @released:	it gave its use of the listener back
 */
struct share {
	struct pollable poll;
	struct listener *listener;
	struct worker *worker;
	struct serving *serving;
	struct flow *flows;
	void *protocol_data;
	unsigned int next_backend;
	_Atomic(struct counters *) counters;
	uint32_t accept_turn;
	uint8_t n_accept_turns;
	atomic_bool asked;
	atomic_bool open;
	bool joined;
	bool useful;
	bool limited;
	bool attached;
	bool registered;
	atomic_bool parked;
	bool withdrawn;
	bool released;
	struct share *parked_prev, *parked_next;
	struct share *joined_prev, *joined_next;
	struct share *next_done;

	/* the mail, see inbox.h */
	STAILQ_ENTRY(share) mail;
	struct serving *wanted_serving;
	unsigned int wanted;
	bool mailed;
};

/**
 * struct listener - what the main thread keeps of one listener
 * @ops:	what its protocol does for it
 * @users:	shares that are not released, and mails on their way; who takes
 *		the last one away tells the main thread
 * @fd_users:	shares that use @fd; the last one closes it
 * @n_conns:	accepted connections in all workers
 * @netns:	what the traffic of its namespace takes; one reference
 * @netns_id:	its namespace, 0 for berthd's
 * @multihomed:	SCTP, on addresses that change
 * @port:	that it listens on, 0 until it is noted, see own_port()
 * @label:	for the log: protocol, address, namespace and rule
 * @next_released: in the outbox
 */
struct listener {
	uint64_t id;
	int fd;
	enum protocol protocol;
	const struct relay_protocol *ops;
	atomic_uint users;
	atomic_uint fd_users;
	atomic_uint n_conns;
	struct admission *netns;
	uint64_t netns_id;
	uint16_t port;
	bool multihomed;
	char *label;
	struct listener *next_released;
	size_t n_shares;
	struct share shares[];
};

/**
 * listener_new() - with a share for each of @n_shares workers
 * @fd:		taken on success
 * @label:	copied
 *
 * The caller sets @ops, @netns, @netns_id, @multihomed and the shares' workers.
 * Return: 0 or -ENOMEM.
 */
int listener_new(uint64_t id, int fd, enum protocol protocol, const char *label,
		 size_t n_shares, struct listener **ret_listener);

/** listener_free() - when no user is left. Returns NULL; NULL is fine. */
struct listener *listener_free(struct listener *listener);

/** listener_set_port() - once: sets it, and notes it until the listener is
 * freed */
void listener_set_port(struct listener *listener, uint16_t port);

/** listener_get() - adds a user. Return: false when there is none any more. */
bool listener_get(struct listener *listener);

/** listener_put() - Return: true when it was the last user. */
bool listener_put(struct listener *listener);

/** listener_put_fd() - one share lets go of the socket */
void listener_put_fd(struct listener *listener);

/** share_counters_new() - what share_counters() does the first time */
struct counters *share_counters_new(struct share *share);

/**
 * share_counters() - by the share's worker only: where it counts
 *
 * Most listeners see no traffic for most of the time, so the memory comes with
 * the first, and goes with the listener. When there is none the worker counts
 * where nobody looks. Never NULL.
 */
static inline struct counters *share_counters(struct share *share)
{
	struct counters *counters =
		atomic_load_explicit(&share->counters, memory_order_relaxed);

	return counters ? counters : share_counters_new(share);
}

#endif
