// SPDX-License-Identifier: Apache-2.0
/* share.c - a worker's part in a listener: from its beginning to its release
 *
 * Other workers share the listening socket, and berthd has a copy of it: so
 * close(2) takes it out of no epoll set, and it is always taken out first.
 *
 * A share rests ("parked") while accepting makes no sense, see accept.c, and it
 * joins and leaves a listener as spread.c says.
 */
#include "relay/core/share.h"

#include <assert.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "common/stream.h"
#include "common/util.h"
#include "relay/core/admit.h"
#include "relay/core/outbox.h"
#include "relay/core/own_sockets.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/spread.h"
#include "relay/core/worker.h"

/* How long accepting rests when descriptors or memory are short. Nobody tells
 * when others free some. */
#define PARK_US (100 * USEC_PER_MSEC)

/* How long a worker that joined a listener stays before it looks whether it
 * still helps. */
#define LEAVE_US (100 * USEC_PER_MSEC)

static void share_register(struct worker *worker, struct share *share)
{
	uint32_t events = spread_events(share->listener->n_shares);
	int r;

	r = worker_watch(worker, share->listener->fd, events, &share->poll);
	if (r < 0) {
		if (worker_may_log(worker, share->listener, NULL))
			log_warning_errno(r, "cannot poll %s; retrying",
					  share->listener->label);
		share_park(worker, share);
		return;
	}
	share->registered = true;
}

static void share_unregister(struct worker *worker, struct share *share)
{
	if (!share->registered)
		return;
	(void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, share->listener->fd,
			NULL); /* it is there */
	share->registered = false;
}

void share_park(struct worker *worker, struct share *share)
{
	if (share->parked || !share->attached || share->draining)
		return;
	share_unregister(worker, share);
	share->parked = true;
	DL_APPEND2(worker->parked, share, parked_prev, parked_next);
	timer_set_earlier(&worker->timers, &worker->resume,
			  worker->now_us + PARK_US);
}

static void share_leave_park(struct worker *worker, struct share *share)
{
	if (!share->parked)
		return;
	share->parked = false;
	DL_DELETE2(worker->parked, share, parked_prev, parked_next);
}

/* There is room for one more client, but this worker does not accept. */
static void tell_first(struct share *share)
{
	struct share *first = spread_first(share->listener);

	if (first != share &&
	    atomic_load_explicit(&first->parked, memory_order_relaxed))
		inbox_ask(&first->worker->inbox, first, SHARE_RESUME);
}

void share_unpark(struct worker *worker, struct share *share)
{
	if (share && !share->parked)
		tell_first(share);
	if (!share || !share->parked)
		share = worker->parked;
	if (!share || worker->stopping)
		return;
	share_leave_park(worker, share);
	share_register(worker, share);
}

/* A share that cannot be registered is parked again, behind those tried here.
 */
void share_resume(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;
	struct share *share;
	size_t n;

	(void)timer;
	DL_COUNT2(worker->parked, share, n, parked_next);
	while (n-- > 0)
		share_unpark(worker, NULL);
}

/* Clients */

struct serving *share_newest_serving(struct share *share)
{
	struct inbox *inbox = &share->worker->inbox;
	struct serving *serving;

	pthread_mutex_lock(&inbox->lock);
	serving = serving_ref(share->wanted_serving ? share->wanted_serving
						    : share->serving);
	pthread_mutex_unlock(&inbox->lock);
	return serving;
}

void share_limited(struct share *share, enum berth_limit limit)
{
	if (share->limited)
		return;
	share->limited = true;
	counters_limited(share_counters(share), limit);
}

int share_arrival_hops(struct share *share, struct own_arrival *arrival)
{
	const struct listener *listener = share->listener;
	int hops;

	arrival->protocol = listener->protocol;
	arrival->to_port = listener->port;
	arrival->netns_id = listener->netns_id;
	arrival->listener_id = listener->id;
	hops = own_arrival_hops(arrival);
	if (hops >= 0)
		return hops;
	counters_add(share_counters(share), COUNTER_LOOPED, 1);
	if (worker_may_log(share->worker, listener, "circle"))
		log_warning_about(&listener->about,
				  "%s: the rules forward in a circle: what "
				  "berth sent to a backend came back to "
				  "berth's own listener; cutting it there",
				  listener->label);
	return hops;
}

void share_log_refused(struct share *share, int error)
{
	const struct listener *listener = share->listener;

	if (error == -ELOOP || !worker_may_log(share->worker, listener, NULL))
		return;
	(void)log_print_about_errno(LOG_LEVEL_WARNING, &listener->about, error,
				    "%s: %s", listener->label,
				    protocol_is_sctp(listener->protocol)
					    ? "aborting an association"
					    : "resetting a connection");
}

void share_refuse(struct share *share, int fd, unsigned int n_fds)
{
	stream_reset(fd);
	admit_give(share, n_fds);
}

void share_serve(struct worker *worker, struct share *share, int fd,
		 const struct sockaddr_storage *from)
{
	int r = share->listener->ops->accepted(worker, share, fd, from);

	if (r == 0)
		return;
	share_log_refused(share, r);
	share_refuse(share, fd, admit_fds(share));
}

/* Shares */

static void share_set_serving(struct worker *worker, struct share *share,
			      struct serving *serving)
{
	const struct relay_protocol *ops = share->listener->ops;
	struct serving *old = share->serving;

	share->serving = serving;
	if (old && share->attached && ops->changed)
		ops->changed(worker, share, old);
	(void)serving_unref(old);
}

/* Return: 0 or a negative errno; it may have begun in part. */
static int share_begin(struct worker *worker, struct share *share)
{
	const struct relay_protocol *ops = share->listener->ops;

	share->attached = true;
	atomic_store_explicit(&share->open, true, memory_order_relaxed);
	share->poll.handler = ops->readable;
	if (spread_is_first(share))
		share_register(worker, share);
	return ops->open ? ops->open(worker, share) : 0;
}

static void share_stop(struct worker *worker, struct share *share)
{
	share_leave_park(worker, share);
	share_unregister(worker, share);
	if (!share->joined)
		return;
	share->joined = false;
	DL_DELETE2(worker->joined, share, joined_prev, joined_next);
}

static void share_join(struct worker *worker, struct share *share)
{
	if (!share->attached || share->joined || share->draining) {
		atomic_store_explicit(&share->asked, share->joined,
				      memory_order_relaxed);
		return;
	}
	share->joined = true;
	share->useful = true; /* so it stays for a while at least */
	DL_APPEND2(worker->joined, share, joined_prev, joined_next);
	share_register(worker, share);
	timer_set_earlier(&worker->timers, &worker->leave,
			  worker->now_us + LEAVE_US);
}

/* The kernel wakes one worker for a client. That may have been this one, which
 * does not look any more (EPOLLEXCLUSIVE); so the first worker must look. */
static void share_leave(struct worker *worker, struct share *share)
{
	struct share *first = spread_first(share->listener);

	share_stop(worker, share);
	atomic_store_explicit(&share->asked, false, memory_order_relaxed);
	inbox_ask(&first->worker->inbox, first, SHARE_RESUME);
}

static void share_look_again(struct worker *worker, struct share *share)
{
	if (share->registered) {
		share_unregister(worker, share);
		share_register(worker, share);
	} else if (share->parked) {
		share_unpark(worker, share);
	}
}

/* Leaves the listeners at which there was nothing to do. */
void share_leave_idle(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;
	struct share *share, *next;

	DL_FOREACH_SAFE2 (worker->joined, share, next, joined_next) {
		if (!share->useful || !spread_needs_help(share, worker->now_us))
			share_leave(worker, share);
		share->useful = false;
	}
	if (worker->joined)
		timer_set(&worker->timers, timer, worker->now_us + LEAVE_US);
}

static void share_withdraw(struct worker *worker, struct share *share)
{
	const struct relay_protocol *ops = share->listener->ops;

	share->withdrawn = true;
	atomic_store(&share->open, false); /* see handover.c for the order */
	share->poll.handler = NULL;
	share_stop(worker, share);
	if (ops->close)
		ops->close(worker, share);
	listener_put_fd(share->listener);
	share->attached = false;
}

void share_end_if_idle(struct worker *worker, struct share *share)
{
	assert(share->withdrawn);
	if (share->released || share->flows || atomic_load(&share->n_coming))
		return;
	share->released = true;
	share->next_done = worker->done;
	worker->done = share;
}

void share_drained(struct worker *worker, struct share *share)
{
	share->ending = BERTH_ENDING_DRAINED;
	share_withdraw(worker, share);
	share_end_if_idle(worker, share);
}

static void share_drain(struct worker *worker, struct share *share)
{
	const struct relay_protocol *ops = share->listener->ops;
	bool accepts = share->registered;

	share->draining = true;
	atomic_store(&share->open, false);
	share->poll.handler = NULL;
	share_stop(worker, share);
	/* A parked share keeps nobody else from accepting. */
	if (!accepts || !ops->drain || !ops->drain(worker, share))
		share_drained(worker, share);
}

/* If there is no memory, the share ends at once, even though berthd has not
 * withdrawn the listener; the main thread then refuses the listener. Only the
 * protocols with one share for each listener can fail. */
static void share_failed(struct worker *worker, struct share *share, int error)
{
	bool refuse = error == -ENOMEM || error == -ENOBUFS;

	if (worker_may_log(worker, share->listener, NULL))
		(void)log_print_about_errno(
			LOG_LEVEL_ERROR, &share->listener->about, error,
			"%s: it is not served%s", share->listener->label,
			refuse ? " until berthd offers it again" : "");
	if (!refuse)
		return;
	share->ending = BERTH_ENDING_ERROR;
	share_withdraw(worker, share);
	share_end_if_idle(worker, share);
}

void share_apply(struct worker *worker, struct share *share,
		 unsigned int wanted, struct serving *serving)
{
	const struct relay_protocol *ops = share->listener->ops;
	bool begin = !share->serving;
	int r = 0;

	if (share->released) {
		(void)serving_unref(serving);
		return;
	}
	if (wanted & SHARE_SERVE)
		share_set_serving(worker, share, serving);
	if (wanted & SHARE_WITHDRAW) {
		share->ending = wanted & SHARE_ABORT
					? share->listener->abort_ending
					: BERTH_ENDING_DRAINED;
		if (!share->withdrawn)
			share_withdraw(worker, share);
		if (wanted & SHARE_ABORT)
			share->aborted = true;
		if ((wanted & SHARE_ABORT) && ops->abort)
			ops->abort(worker, share);
	}
	if (share->withdrawn) {
		share_end_if_idle(worker, share);
		return;
	}
	if (begin && (wanted & SHARE_SERVE))
		r = share_begin(worker, share);
	if (r < 0)
		share_failed(worker, share, r);
	else if (wanted & SHARE_JOIN)
		share_join(worker, share);
	if (share->withdrawn)
		return;
	if ((wanted & SHARE_DRAIN) && !share->draining)
		share_drain(worker, share);
	else if (wanted & SHARE_RESUME)
		share_look_again(worker, share);
}

void share_release_done(struct worker *worker)
{
	struct share *share;

	while ((share = worker->done)) {
		worker->done = share->next_done;
		(void)serving_unref(TAKE_PTR(share->serving));
		outbox_unuse(worker->outbox, share->listener);
	}
}

void share_forget(struct share *share)
{
	const struct relay_protocol *ops = share->listener->ops;

	share->ending = BERTH_ENDING_RELAY_END;
	if (ops->close)
		ops->close(share->worker, share);
	share->serving = serving_unref(share->serving);
}
