// SPDX-License-Identifier: Apache-2.0
/* flow.c - the life of one client's conversation, whatever its protocol
 *
 * Theory of operation: a flow is in the list of its share and in the list of
 * the roster of its worker from flow_new() to flow_end(). The table flow.ops
 *tells what its protocol does differently.
 *
 *	CONNECTING <-> WAITING -> OPEN -> DRAINING -> ENDING -> dead
 *
 * A client that is not forwarded begins with OPEN. One whose request is read
 * first begins with READING, and between WAITING and OPEN it is ASKED. From
 * every state flow_reset() leads out at once: errors, timeouts, and a namespace
 * that goes.
 *
 * Each flow has one timer, for the first of its deadlines. Progress postpones
 *the deadline without moving the timer: when the timer fires too early it is
 *set again.
 *
 * A flow that has more to do than its turn allows is put behind the others in
 * worker.ready. If it dies there, its memory is freed when its turn comes.
 */
#include "relay/core/flow.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/service_http.h"
#include "common/util.h"
#include "relay/core/access_log.h"
#include "relay/core/admit.h"
#include "relay/core/lifetime.h"
#include "relay/core/listener.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

/* With room to align it. */
#define CLIENT_BYTES (sizeof(struct flow_client) + _Alignof(struct flow_client))

/* How long the peers may take nothing of what was said to them after one of
 * them, or both, said their last. */
#define DRAIN_TIMEOUT_US (30 * USEC_PER_SEC)

static_assert(offsetof(struct flow, grave) == 0, "worker_bury() frees it");

/* Deadlines */

static uint64_t open_deadline(const struct flow *flow)
{
	uint64_t idle_us = flow->active_us + flow->serving->idle_timeout_us;
	uint64_t stalled_us = flow->ops->stalled_until
				      ? flow->ops->stalled_until(flow)
				      : TIMERS_NEVER;

	return stalled_us < idle_us ? stalled_us : idle_us;
}

/* When the lifetime is over. One that ends already is not cut for that. */
static uint64_t lifetime_deadline(const struct flow *flow)
{
	if (flow->state == FLOW_DRAINING || flow->state == FLOW_ENDING)
		return TIMERS_NEVER;
	return flow->entry.began_us +
	       lifetime_us(flow->serving->max_lifetime_us, flow->entry.number);
}

/* When the time of its state is up. */
static uint64_t state_deadline(const struct flow *flow)
{
	const struct service_http *http = flow->serving->http;

	switch ((enum flow_state)flow->state) {
	case FLOW_READING:
		return flow->since_us +
		       http->request_timeout_ms * USEC_PER_MSEC;
	case FLOW_CONNECTING:
	case FLOW_WAITING:
		return flow->active_us + flow->serving->connect_timeout_us;
	case FLOW_ASKED:
		return flow->since_us +
		       http->response_timeout_ms * USEC_PER_MSEC;
	case FLOW_OPEN:
		return open_deadline(flow);
	case FLOW_DRAINING:
	case FLOW_ENDING:
		return flow->since_us + DRAIN_TIMEOUT_US;
	}
	return flow->since_us;
}

static uint64_t flow_deadline(const struct flow *flow)
{
	uint64_t of_lifetime = lifetime_deadline(flow);
	uint64_t of_state = state_deadline(flow);

	return of_lifetime < of_state ? of_lifetime : of_state;
}

/* The kernel tells nobody what a peer takes while there is room for more
 * anyway. So the kernel is asked when the time is up, and not before.
 * Return: is there time again? */
static bool flow_may_go_on(struct worker *worker, struct flow *flow)
{
	bool progressed = flow->ops->progressed(worker, flow);

	if (progressed && flow->state == FLOW_OPEN)
		flow->active_us = worker->now_us;
	else if (progressed)
		flow->since_us = worker->now_us;
	return flow_deadline(flow) > worker->now_us;
}

/* Its time is up: for what? */
static enum berth_ending overdue(const struct worker *worker,
				 const struct flow *flow)
{
	if (flow->ending == BERTH_ENDING_LIFETIME)
		return BERTH_ENDING_LIFETIME; /* its end was too slow */
	return flow->state == FLOW_OPEN &&
			       flow->active_us +
					       flow->serving->idle_timeout_us <=
				       worker->now_us
		       ? BERTH_ENDING_IDLE
		       : BERTH_ENDING_STALLED;
}

static void flow_expire(struct worker *worker, struct flow *flow)
{
	if (flow->state != FLOW_OPEN || !flow->ops->expire) {
		flow_reset_for(worker, flow, BERTH_ENDING_LIFETIME);
		return;
	}
	flow_note_failure(flow, BERTH_ENDING_LIFETIME);
	flow->ops->expire(worker, flow);
}

static void flow_timer_handler(struct timer *timer, void *user_data)
{
	struct flow *flow = container_of(timer, struct flow, timer);
	struct worker *worker = user_data;
	bool connects = flow->state == FLOW_CONNECTING ||
			flow->state == FLOW_WAITING;
	bool awaits = flow->state == FLOW_READING || flow->state == FLOW_ASKED;

	if (lifetime_deadline(flow) <= worker->now_us)
		flow_expire(worker, flow);
	else if (flow_deadline(flow) > worker->now_us ||
		 (!connects && !awaits && flow_may_go_on(worker, flow)))
		timer_set(&worker->timers, timer, flow_deadline(flow));
	else if (connects)
		flow->ops->connect_timeout(worker, flow);
	else if (awaits)
		flow->ops->late(worker, flow);
	else
		flow_reset_for(worker, flow, overdue(worker, flow));
}

void flow_set_state(struct worker *worker, struct flow *flow,
		    enum flow_state state)
{
	flow->state = (uint8_t)state;
	flow->since_us = worker->now_us;
	/* Also when it is later: many that were connected at one time would
	 * each wake an idle relay for nothing. */
	timer_set(&worker->timers, &flow->timer, flow_deadline(flow));
}

void flow_hasten(struct worker *worker, struct flow *flow)
{
	timer_set_earlier(&worker->timers, &flow->timer, flow_deadline(flow));
}

/* In the roster */

static struct flow *flow_of(struct roster_entry *entry)
{
	return container_of(entry, struct flow, entry);
}

static const char *state_name(enum flow_state state)
{
	switch (state) {
	case FLOW_READING:
		return "reading";
	case FLOW_CONNECTING:
		return "connecting";
	case FLOW_WAITING:
		return "waiting";
	case FLOW_ASKED:
		return "asked";
	case FLOW_OPEN:
		return "open";
	case FLOW_DRAINING:
	case FLOW_ENDING:
		return "closing";
	}
	return "";
}

static void flow_describe(const struct worker *worker,
			  const struct roster_entry *entry,
			  struct roster_record *record)
{
	const struct flow *flow = container_of(entry, const struct flow, entry);

	record->listener = flow->share->listener->id;
	record->serving = serving_ref(flow->serving);
	record->backend = flow->upstream.index;
	record->state = state_name((enum flow_state)flow->state);
	record->idle_us = worker->now_us - flow->active_us;
	flow->ops->describe(flow, record);
	if (flow->client && flow->client->addr.family != AF_UNSPEC) {
		record->client = flow->client->addr;
		record->client_port = flow->client->port;
	}
}

void flow_remember_client(struct flow *flow)
{
	struct roster_record record = { .listener = 0 };

	if (!flow->client)
		return;
	flow->ops->describe(flow, &record);
	flow->client->addr = record.client;
	flow->client->port = record.client_port;
}

static void flow_end_listed(struct worker *worker, struct roster_entry *entry)
{
	flow_reset_for(worker, flow_of(entry), BERTH_ENDING_CLOSED_BY_HAND);
}

static const struct roster_ops roster_ops = {
	.describe = flow_describe,
	.end = flow_end_listed,
};

/* Beginning and end */

/* The client's address follows what the protocol has. */
static size_t client_offset(const struct flow_ops *ops)
{
	const size_t align = _Alignof(struct flow_client);

	return (ops->size + align - 1) / align * align;
}

struct flow *flow_new(struct worker *worker, struct share *share,
		      const struct flow_ops *ops)
{
	bool logged = share->serving->log != SERVICE_LOG_NONE;
	struct flow *flow = calloc(1, ops->size + (logged ? CLIENT_BYTES : 0));

	if (!flow || timers_reserve(&worker->timers) < 0) {
		free(flow);
		return NULL;
	}
	if (logged)
		flow->client = (void *)((char *)flow + client_offset(ops));
	flow->timer.handler = flow_timer_handler;
	flow->ops = ops;
	flow->share = share;
	flow->serving = serving_ref(share->serving);
	flow->active_us = worker->now_us;
	flow->n_fds = (uint8_t)admit_fds(share);
	share_accepted(share);
	load_add_conns(&worker->load, 1);
	DL_APPEND(share->flows, flow);
	roster_add(&worker->rosters[ROSTER_FLOWS], &roster_ops, &flow->entry,
		   worker->now_us);
	return flow;
}

void flow_renew(struct worker *worker, struct flow *flow)
{
	struct roster *roster = &worker->rosters[ROSTER_FLOWS];

	roster_remove(roster, &flow->entry);
	flow->entry = (struct roster_entry){ .number = 0 };
	roster_add(roster, &roster_ops, &flow->entry, worker->now_us);
	flow->ending = BERTH_ENDING_ERROR; /* none yet */
	share_accepted(flow->share);
}

void flow_count(const struct flow *flow, enum counter which, uint64_t n)
{
	counters_add(share_counters(flow->share), which, n);
}

void flow_count_dropped(const struct flow *flow, enum berth_drop why)
{
	counters_dropped(share_counters(flow->share), why, 1);
}

void flow_count_in(struct flow *flow, uint64_t n)
{
	flow->entry.bytes_in += n;
	flow_count(flow, COUNTER_BYTES_IN, n);
}

void flow_count_out(struct flow *flow, uint64_t n)
{
	flow->entry.bytes_out += n;
	flow_count(flow, COUNTER_BYTES_OUT, n);
}

void flow_end(struct worker *worker, struct flow *flow, bool reset)
{
	struct share *share = flow->share;

	if (access_log_wants(flow->serving, flow->ending))
		access_log_note(worker, ROSTER_FLOWS, &flow->entry, share,
				flow->ending);
	flow->ops->close(worker, flow, reset);
	timers_unreserve(&worker->timers, &flow->timer);
	flow->serving = serving_unref(flow->serving);
	counters_ended(share_counters(share), flow->ending);
	admit_give(share, flow->n_fds);
	load_add_conns(&worker->load, -1);
	DL_DELETE(share->flows, flow);
	roster_remove(&worker->rosters[ROSTER_FLOWS], &flow->entry);
	if (!flow->queued)
		worker_bury(worker, &flow->grave);
	if (share->withdrawn)
		share_end_if_idle(worker, share);
	else
		share_unpark(worker, share);
}

void flow_reset(struct worker *worker, struct flow *flow)
{
	flow_end(worker, flow, /* reset= */ true);
}

void flow_reset_for(struct worker *worker, struct flow *flow,
		    enum berth_ending ending)
{
	flow_note_failure(flow, ending);
	flow_reset(worker, flow);
}

void flow_give_fd(struct flow *flow)
{
	flow->n_fds--;
	admit_give_fds(flow->share, 1);
}

bool flow_shed(struct worker *worker)
{
	struct roster_entry *oldest = worker->rosters[ROSTER_FLOWS].entries;
	struct roster_entry *victim = oldest ? oldest->prev : NULL; /* a ring */

	while (victim && flow_of(victim)->n_fds == 0)
		victim = victim == oldest ? NULL : victim->prev;
	if (!victim)
		return false;
	counters_limited(share_counters(flow_of(victim)->share),
			 BERTH_LIMIT_DESCRIPTORS);
	flow_reset_for(worker, flow_of(victim), BERTH_ENDING_LIMIT);
	return true;
}

void flow_reset_all(struct worker *worker)
{
	struct roster_entry *entry;

	while ((entry = worker->rosters[ROSTER_FLOWS].entries))
		flow_reset_for(worker, flow_of(entry), BERTH_ENDING_RELAY_END);
}

void flow_share_abort(struct worker *worker, struct share *share)
{
	struct flow *flow, *next;

	DL_FOREACH_SAFE (share->flows, flow, next)
		flow_reset_for(worker, flow, share->ending);
}

/* Turns */

static void flow_again(struct worker *worker, struct flow *flow)
{
	if (flow->queued)
		return;
	flow->queued = true;
	DL_APPEND2(worker->ready, flow, ready_prev, ready_next);
}

void flow_run(struct worker *worker, struct flow *flow)
{
	enum flow_result result;

	if (admit_turn_is_over(worker, flow->share)) {
		flow_again(worker, flow);
		return;
	}
	result = flow->ops->step(worker, flow);
	if (flow_is_dead(flow))
		return;
	switch (result) {
	case FLOW_WAITS:
		return;
	case FLOW_AGAIN:
		flow_again(worker, flow);
		return;
	case FLOW_FAILED:
		flow_reset(worker, flow);
		return;
	}
}

/* What can still be read is passed on first. After EPOLLERR the reset is, even
 * if the other side is too slow to let us read as far as to it. */
void flow_handle(struct worker *worker, struct flow *flow, const int *fd,
		 uint32_t events, enum berth_ending ending)
{
	flow_run(worker, flow);
	if (!flow_is_dead(flow) && *fd >= 0 && (events & EPOLLERR))
		flow_reset_for(worker, flow, ending);
}

void flow_run_ready(struct worker *worker)
{
	struct flow *ready = TAKE_PTR(worker->ready), *flow;

	while ((flow = ready)) {
		DL_DELETE2(ready, flow, ready_prev, ready_next);
		flow->queued = false;
		if (flow_is_dead(flow))
			worker_bury(worker, &flow->grave);
		else
			flow_run(worker, flow);
	}
}

void flow_open(struct worker *worker, struct flow *flow)
{
	flow_set_state(worker, flow, FLOW_OPEN);
	flow_run(worker, flow);
}
