/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - one client's conversation, whatever its protocol
 *
 * All of it is for the worker that serves the client.
 */
#ifndef RELAY_CORE_FLOW_H
#define RELAY_CORE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "lib/berth.h"
#include "relay/core/counters.h"
#include "relay/core/pollable.h"
#include "relay/core/roster.h"
#include "relay/core/timer.h"
#include "relay/core/upstream.h"

struct flow;
struct serving;
struct share;
struct worker;

enum flow_state {
	FLOW_CONNECTING, /* the backend's or berthd's answer is awaited */
	FLOW_READING, /* the client's request is awaited, before all else */
	FLOW_WAITING, /* in a queue for the backend, or for a local port */
	FLOW_ASKED, /* the backend has the request; its answer is awaited */
	FLOW_OPEN, /* data flow */
	FLOW_DRAINING, /* all is said; what the client still says is dropped */
	FLOW_ENDING, /* the rest is passed on, or the kernel is not through */
};

enum flow_result {
	FLOW_WAITS, /* for an event */
	FLOW_AGAIN, /* there is more to do at once, after the others' turn */
	FLOW_FAILED, /* reset it */
};

/**
 * struct flow_ops - what the protocols do differently
 *
 * @step, and functions that return nothing, may leave the flow dead.
 * @size:	bytes of what the flow is the first member of
 * @step:	does what can be done now. The result says what is next, unless
 *		the flow is dead
 * @close:	closes both sides, the backend's by failover_close(); @reset: so
 *		that the peers see a reset, else gracefully
 * @progressed:	its time is up: did a peer take something since this was asked
 *		last?
 * @stalled_until: NULL; or until when it may hold up others while it is open.
 *		TIMERS_NEVER: it does not hold up anybody
 * @expire:	NULL: it is reset when its lifetime is over; else: it is open
 *		then, and its end begins in order
 * @connect_timeout: no backend was reached in time
 * @late:	NULL without FLOW_READING and FLOW_ASKED; else: what is awaited
 *		did not come in time
 * @unreachable: NULL: the flow is reset for @ending; else: so it is with no
 *		backend left
 * @client_address: who the client is: for `transparent`, and `balance: hash`.
 *		Return: 0; -ENOTCONN: the client is gone; -errno
 * @take_socket: makes @fd the backend's and gets it ready for connect(2); it
 *		goes by @close_backend, in case of failure too. Return: 0 or
 *		-errno
 * @connecting:	connect(2) began, and has succeeded if @connected; goes on with
 *		failover_reached() or failover_await(), or ends the flow
 * @connected:	notes that the backend's side is connected
 * @close_backend: closes the backend's side, if it is there, and forgets what
 *		was read from it
 * @describe:	fills the addresses of both ends
 * @renewed:	NULL; or adapts to flow.serving, which was @old, what the next
 *		backend is told first. Return: 0 or -errno
 */
struct flow_ops {
	size_t size;
	enum flow_result (*step)(struct worker *worker, struct flow *flow);
	void (*close)(struct worker *worker, struct flow *flow, bool reset);
	bool (*progressed)(struct worker *worker, struct flow *flow);
	uint64_t (*stalled_until)(const struct flow *flow);
	void (*expire)(struct worker *worker, struct flow *flow);
	void (*connect_timeout)(struct worker *worker, struct flow *flow);
	void (*late)(struct worker *worker, struct flow *flow);
	void (*unreachable)(struct worker *worker, struct flow *flow,
			    enum berth_ending ending);
	int (*client_address)(const struct flow *flow,
			      struct ip_addr *ret_addr);
	int (*take_socket)(struct worker *worker, struct flow *flow, int fd);
	void (*connecting)(struct worker *worker, struct flow *flow,
			   bool connected);
	void (*connected)(struct flow *flow);
	void (*close_backend)(struct worker *worker, struct flow *flow,
			      bool reset);
	void (*describe)(const struct flow *flow, struct roster_record *record);
	int (*renewed)(struct worker *worker, struct flow *flow,
		       const struct serving *old);
};

/**
 * struct flow_client - who the client is, kept where clients are logged: of one
 * that is gone the kernel knows no address
 */
struct flow_client {
	struct ip_addr addr;
	uint16_t port;
};

/**
 * struct flow - first member of what a protocol has for a client
 * @serving:	what the client gets; one reference. NULL: the flow is dead
 * @prev, @next: in share.flows
 * @entry:	in the worker's roster of flows
 * @ready_prev, @ready_next: in worker.ready, if @queued
 * @since_us:	beginning of @state; while draining or ending: the last time
 *		that a peer was seen to have taken something
 * @active_us:	last progress; while connecting: beginning with this backend
 * @state:	enum flow_state
 * @n_fds:	descriptors that it holds of the limit
 * @ending:	enum berth_ending: why it ends, as far as is known
 * @client:	NULL unless clients are logged; in the flow's own memory
 * @sent:	bytes of serving.text that are sent
 */
struct flow {
	struct grave grave;
	struct timer timer;
	const struct flow_ops *ops;
	struct share *share;
	struct serving *serving;
	struct flow *prev, *next;
	struct roster_entry entry;
	struct flow *ready_prev, *ready_next;
	uint64_t since_us;
	uint64_t active_us;
	struct upstream upstream;
	uint8_t state;
	uint8_t n_fds;
	uint8_t ending;
	bool queued;
	uint32_t sent;
	struct flow_client *client;
};

/**
 * flow_new() - begins a flow: a client of @share was let in
 *
 * It begins as FLOW_CONNECTING, without a deadline, and all that the protocol
 * adds to it is zero.
 * Return: NULL when memory is out.
 */
struct flow *flow_new(struct worker *worker, struct share *share,
		      const struct flow_ops *ops);

/**
 * flow_end() - closes both sides of @flow and gives back all that it has
 * @reset:	both peers see a reset
 *
 * @flow is dead then. Its memory is freed after the batch.
 */
void flow_end(struct worker *worker, struct flow *flow, bool reset);

/** flow_remember_client() - notes who the client is, if clients are logged: its
 * socket is there now */
void flow_remember_client(struct flow *flow);

/** flow_renew() - its client began anew, and counts as one that came just now
 */
void flow_renew(struct worker *worker, struct flow *flow);

/** flow_reset() - flow_end(), so that both peers see a reset */
void flow_reset(struct worker *worker, struct flow *flow);

/** flow_reset_for() - flow_reset() because of @ending */
void flow_reset_for(struct worker *worker, struct flow *flow,
		    enum berth_ending ending);

/** flow_note_end() - a side said its last, in order, or all is answered. What
 * comes first counts. */
static inline void flow_note_end(struct flow *flow, enum berth_ending ending)
{
	if (flow->ending == BERTH_ENDING_ERROR)
		flow->ending = (uint8_t)ending;
}

/** flow_note_failure() - @flow is about to be reset because of @ending, however
 * well it had begun to end */
static inline void flow_note_failure(struct flow *flow,
				     enum berth_ending ending)
{
	flow->ending = (uint8_t)ending;
}

/** flow_is_dead() - was it ended? Its memory is there until the batch's end. */
static inline bool flow_is_dead(const struct flow *flow)
{
	return !flow->serving;
}

/** flow_set_state() - sets the state, and the deadline that goes with it */
void flow_set_state(struct worker *worker, struct flow *flow,
		    enum flow_state state);

/** flow_hasten() - its deadline may be earlier now than it was */
void flow_hasten(struct worker *worker, struct flow *flow);

/** flow_open() - data flow from now on: runs it; it may be dead afterwards */
void flow_open(struct worker *worker, struct flow *flow);

/** flow_run() - does what can be done, if its namespace's turn is not over; it
 * may be dead afterwards */
void flow_run(struct worker *worker, struct flow *flow);

/**
 * flow_handle() - runs @flow because a socket of its reported @events
 * @fd:		the socket, which may be closed meanwhile, and is -1 then
 * @ending:	what an error of the socket means
 *
 * The flow may be dead afterwards.
 */
void flow_handle(struct worker *worker, struct flow *flow, const int *fd,
		 uint32_t events, enum berth_ending ending);

/** flow_count() - counts @n of @which for the flow's listener */
void flow_count(const struct flow *flow, enum counter which, uint64_t n);

/** flow_count_dropped() - a message was not passed on, because of @why */
void flow_count_dropped(const struct flow *flow, enum berth_drop why);

/** flow_count_in() - @n bytes were read from the client */
void flow_count_in(struct flow *flow, uint64_t n);

/** flow_count_out() - @n bytes were written to the client */
void flow_count_out(struct flow *flow, uint64_t n);

/** flow_give_fd() - one of its descriptors is not needed any more */
void flow_give_fd(struct flow *flow);

/** flow_run_ready() - runs those flows that had more to do, each once, in the
 * order in which they were cut short. worker.ready tells whether there are
 * any. */
void flow_run_ready(struct worker *worker);

/**
 * flow_shed() - resets the worker's newest flow that has descriptors
 *
 * The newest, because there was room before it came. Associations that only use
 * the listening socket have no descriptor to give.
 * Return: false: there is none.
 */
bool flow_shed(struct worker *worker);

/** flow_reset_all() - resets all flows of the worker */
void flow_reset_all(struct worker *worker);

/** flow_share_abort() - resets all flows of @share */
void flow_share_abort(struct worker *worker, struct share *share);

#endif
