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
#include "common/log.h"
#include "relay/core/counters.h"
#include "relay/core/pollable.h"

struct admission;
struct flow;
struct listener;
struct relay_protocol;
struct serving;
struct worker;

/* What others want of the share, as bits of share.wanted. */
#define SHARE_SERVE 1u /* begin, or change: as share.wanted_serving says */
#define SHARE_WITHDRAW 2u /* let go of the listening socket */
#define SHARE_ABORT 4u /* and reset all that was accepted from it */
#define SHARE_JOIN 8u /* accept, too, because another worker is busy */
#define SHARE_RESUME 16u /* look whether a client waits to be accepted */
#define SHARE_DRAIN 32u /* take no client any more: another relay does */

/* "sctp-seqpacket [", an IPv6 address with a scope, "]:65535" */
#define LISTENER_ENDPOINT_MAX 96

/**
 * struct share - one worker's part in one listener
 *
 * Only its worker touches it, but for the mail, which the lock of that worker's
 * inbox protects.
 * @serving:	what new clients get; one reference. NULL: it did not begin
 * @flows:	clients that this worker serves for it
 * @counters:	what this worker did for the listener, see share_counters()
 * @accept_turn: the worker's turn in which it last accepted
 * @n_accept_turns: in how many turns before that it accepted, without a gap
 * @protocol_data: what its protocol has beside @flows, and only the protocol
 *		knows
 * @asked:	another worker asked this one to join; unset when it leaves
 * @open:	it serves connections that are handed over; read by all workers
 * @n_coming:	connections that were handed over and are on their way; it does
 *		not end before they arrived
 * @joined:	it accepts because it was asked to; in worker.joined
 * @useful:	it accepted something lately
 * @limited:	a limit stopped accepting, and nobody was accepted since
 * @attached:	it uses listener.fd
 * @registered:	listener.fd is in the worker's epoll set
 * @parked:	@registered would be true, but accepting rests; in
 *		worker.parked; read by all workers
 * @draining:	it takes no client any more, and is withdrawn as soon as its
 *		protocol needs the socket no more
 * @withdrawn:	it ends with its last client
 * @aborted:	clients that arrive are reset
 * @ending:	enum berth_ending: with @aborted, or @withdrawn, why its clients
 *end
 * @released:	it ended, and gives its use of the listener back
 */
struct share {
	struct pollable poll;
	struct listener *listener;
	struct worker *worker;
	struct serving *serving;
	struct flow *flows;
	void *protocol_data;
	_Atomic(struct counters *) counters;
	uint32_t accept_turn;
	uint8_t n_accept_turns;
	atomic_bool asked;
	atomic_bool open;
	atomic_uint n_coming;
	bool joined;
	bool useful;
	bool limited;
	bool attached;
	bool registered;
	atomic_bool parked;
	bool draining;
	bool withdrawn;
	bool aborted;
	uint8_t ending;
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
 * struct listener - one of berthd's listeners, as all workers see it
 * @ops:	what its protocol does
 * @users:	shares that are not released, and mails on their way; see
 *		outbox_unuse()
 * @fd_users:	shares that use @fd; the last one closes it
 * @n_conns:	accepted connections in all workers
 * @netns:	what the traffic of its namespace takes; one reference
 * @netns_id:	its namespace, 0 for berthd's
 * @multihomed:	`address: all`: SCTP on addresses that change
 * @port:	the port that it listens on; 0 until listener_set_port()
 * @abort_ending: enum berth_ending, set once, before the shares are told
 *		SHARE_ABORT: why
 * @about:	what lines of the log about it are found by; its own texts
 * @label:	the same in words: "rule 'web': tcp 10.0.0.1:80 in 'blue'"
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
	uint8_t abort_ending;
	struct log_about about;
	char *label;
	struct listener *next_released;
	size_t n_shares;
	struct share shares[];
};

/**
 * listener_new() - makes a listener with @n_shares shares
 * @fd:		taken on success
 * @about:	its rule, netns and listener are copied
 *
 * The caller sets @ops, @netns, @netns_id, @multihomed and the shares' workers.
 * Return: 0 or -ENOMEM.
 */
int listener_new(uint64_t id, int fd, enum protocol protocol,
		 const struct log_about *about, size_t n_shares,
		 struct listener **ret_listener);

/** listener_free() - frees a listener that has no user left. Returns NULL; NULL
 * is fine. */
struct listener *listener_free(struct listener *listener);

/** listener_set_port() - sets the port, once, and makes it known to own_port()
 * until the listener is freed */
void listener_set_port(struct listener *listener, uint16_t port);

/** listener_get() - adds a user. Return: false when there is none any more, and
 * so must not be another. */
bool listener_get(struct listener *listener);

/** listener_put() - takes a user away. Return: was it the last one? */
bool listener_put(struct listener *listener);

/** listener_put_fd() - one share lets go of the socket; the last closes it */
void listener_put_fd(struct listener *listener);

/** share_counters_new() - share_counters() for the first time; never NULL */
struct counters *share_counters_new(struct share *share);

/**
 * share_counters() - by the share's worker only: where it counts
 *
 * Most listeners see no traffic for most of the time, so the memory comes with
 * the first traffic, and goes with the listener. If there is no memory, the
 * worker counts where nobody looks. Never NULL.
 */
static inline struct counters *share_counters(struct share *share)
{
	struct counters *counters =
		atomic_load_explicit(&share->counters, memory_order_relaxed);

	return counters ? counters : share_counters_new(share);
}

#endif
