// SPDX-License-Identifier: Apache-2.0
/* worker.c - a thread with its epoll set, its timers and its mailbox
 *
 * Theory of operation: a worker serves what epoll_wait(2) returned, then the
 * timers that are due, then connections whose work was cut short to let others
 * have their turn. Only after all that, memory is freed and shares are given
 * back, because an event later in the same batch may point to what an earlier
 * one ended: such a thing has no handler any more and is skipped.
 *
 * The listening socket is shared with other workers, and berthd holds a copy:
 * closing it removes it from no epoll set. So it is always taken out first.
 *
 * The mailbox. What the main thread wants of a share is written into the share
 * itself, under the worker's lock, and the share is queued once. So telling a
 * worker to let go needs no memory. Each mail is a user of the listener until
 * the worker is done with it; the main thread frees a listener when the last
 * user is gone, so that neither side can find a dead one.
 */
#include "relay/worker.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <utlist.h>

#include "common/util.h"
#include "relay/handover.h"
#include "relay/sctp.h"
#include "relay/serving.h"
#include "relay/spread.h"
#include "relay/tcp.h"
#include "relay/udp.h"

#define BATCH_EVENTS 128

/* Mails per turn: some hundred microseconds, then traffic has its turn. */
#define MAIL_BATCH 64

/* Enough for the batch, TLS and glibc; checked by running the tests. */
#define STACK_BYTES (256u * 1024)

/* How long accepting rests when descriptors or memory are short; what frees
 * some elsewhere is not told to us. */
#define PARK_US (100 * USEC_PER_MSEC)

/* @resume, @trim, @leave */
#define WORKER_TIMERS 3

/* How long a pipe rests in the pool before it is closed. */
#define TRIM_US USEC_PER_SEC

/* How long a listener that it joined is kept before it is asked whether it
 * still needs help. */
#define LEAVE_US (100 * USEC_PER_MSEC)

/* SCTP messages of one worker that wait: hundreds of the largest. */
#define SCTP_BUDGET_BYTES (64u * 1024 * 1024)

#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 5

static void eventfd_kick(int fd)
{
	uint64_t one = 1;

	/* Fails only when it is readable already. */
	(void)!write(fd, &one, sizeof(one));
}

static void eventfd_drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count)); /* says nothing of use */
}

/* The outbox */

int outbox_init(struct outbox *outbox)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	outbox->fd = fd;
	outbox->released = NULL;
	(void)pthread_mutex_init(&outbox->lock, NULL); /* cannot fail: Linux */
	return 0;
}

struct listener *outbox_take(struct outbox *outbox)
{
	struct listener *released;

	eventfd_drain(outbox->fd);
	pthread_mutex_lock(&outbox->lock);
	released = outbox->released;
	outbox->released = NULL;
	pthread_mutex_unlock(&outbox->lock);
	return released;
}

void outbox_kick(struct outbox *outbox)
{
	eventfd_kick(outbox->fd);
}

void outbox_done(struct outbox *outbox)
{
	(void)close(outbox->fd); /* an eventfd */
	(void)pthread_mutex_destroy(&outbox->lock);
}

void worker_unuse(struct worker *worker, struct listener *listener)
{
	struct outbox *outbox = worker->outbox;
	bool first;

	if (!listener_put(listener))
		return;
	pthread_mutex_lock(&outbox->lock);
	first = !outbox->released;
	listener->next_released = outbox->released;
	outbox->released = listener;
	pthread_mutex_unlock(&outbox->lock);
	if (first)
		eventfd_kick(outbox->fd);
}

/* Parking */

static void share_register(struct worker *worker, struct share *share)
{
	uint32_t events = spread_events(share->listener->n_shares);
	int r;

	r = worker_watch(worker, share->listener->fd, events, &share->poll);
	if (r < 0) {
		if (log_ratelimit_ok(&worker->log_limit))
			log_warning_errno(r, "cannot poll %s; retrying",
					  share->listener->label);
		worker_park(worker, share);
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

void worker_park(struct worker *worker, struct share *share)
{
	if (share->parked || !share->attached)
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

void worker_unpark(struct worker *worker, struct share *share)
{
	if (!share || !share->parked)
		share = worker->parked;
	if (!share || worker->stopping)
		return;
	share_leave_park(worker, share);
	share_register(worker, share);
}

/* Those that cannot be registered park again, behind the ones tried here. */
static void worker_resume(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;
	struct share *share;
	size_t n;

	(void)timer;
	DL_COUNT2(worker->parked, share, n, parked_next);
	while (n-- > 0)
		worker_unpark(worker, NULL);
}

/* Shares */

static void (*const listener_handlers[PROTOCOL_COUNT])(struct worker *,
						       struct pollable *,
						       uint32_t) = {
	[PROTOCOL_TCP] = tcp_listener_handler,
	[PROTOCOL_MPTCP] = tcp_listener_handler,
	[PROTOCOL_UDP] = udp_listener_handler,
	[PROTOCOL_SCTP] = sctp_listener_handler,
	[PROTOCOL_SCTP_SEQPACKET] = sctp_shared_handler,
};

static bool share_is_empty(const struct share *share)
{
	return !share->conns && !share->sctp_conns;
}

static void share_set_serving(struct worker *worker, struct share *share,
			      struct serving *serving)
{
	struct serving *old = share->serving;

	share->serving = serving;
	if (old && share->udp)
		udp_share_changed(worker, share, old);
	(void)serving_unref(old);
}

/* Return: 0 or a negative errno; it may have begun in part. */
static int share_begin(struct worker *worker, struct share *share)
{
	enum protocol protocol = share->listener->protocol;
	int r = 0;

	share->attached = true;
	atomic_store_explicit(&share->open, true, memory_order_relaxed);
	share->poll.handler = listener_handlers[protocol];
	if (protocol == PROTOCOL_UDP)
		r = udp_share_open(worker, share);
	if (r == 0 && spread_is_first(share))
		share_register(worker, share);
	if (protocol == PROTOCOL_SCTP_SEQPACKET)
		r = sctp_shared_open(worker, share);
	return r;
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
	if (!share->attached || share->joined) {
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

/* Leaves the listeners at which there was nothing to do. */
static void worker_leave(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;
	struct share *share, *next;

	DL_FOREACH_SAFE2 (worker->joined, share, next, joined_next) {
		if (!share->useful ||
		    !spread_needs_help(share, worker->now_us)) {
			share_stop(worker, share);
			atomic_store_explicit(&share->asked, false,
					      memory_order_relaxed);
		}
		share->useful = false;
	}
	if (worker->joined)
		timer_set(&worker->timers, timer, worker->now_us + LEAVE_US);
}

static void share_withdraw(struct worker *worker, struct share *share)
{
	share->withdrawn = true;
	atomic_store_explicit(&share->open, false, memory_order_relaxed);
	share->poll.handler = NULL;
	share_stop(worker, share);
	if (share->udp)
		udp_share_close(worker, share);
	if (share->sctp)
		sctp_shared_close(worker, share);
	listener_put_fd(share->listener);
	share->attached = false;
}

void worker_share_ended(struct worker *worker, struct share *share)
{
	assert(share->withdrawn && share_is_empty(share));
	if (share->released)
		return;
	share->released = true;
	share->next_done = worker->done;
	worker->done = share;
}

/* Without memory it ends, although it is not withdrawn: by that the main
 * thread knows to refuse it to berthd. What can fail has one share only. */
static void share_failed(struct worker *worker, struct share *share, int error)
{
	bool refuse = error == -ENOMEM || error == -ENOBUFS;

	if (log_ratelimit_ok(&worker->log_limit))
		log_error_errno(error, "%s: it is not served%s",
				share->listener->label,
				refuse ? " until berthd offers it again" : "");
	if (!refuse)
		return;
	share_withdraw(worker, share);
	if (share_is_empty(share))
		worker_share_ended(worker, share);
}

static void share_apply(struct worker *worker, struct share *share,
			unsigned int wanted, struct serving *serving)
{
	bool begin = !share->serving;
	int r = 0;

	if (share->released) {
		(void)serving_unref(serving);
		return;
	}
	if (wanted & SHARE_SERVE)
		share_set_serving(worker, share, serving);
	if (wanted & SHARE_WITHDRAW) {
		if (!share->withdrawn)
			share_withdraw(worker, share);
		if (wanted & SHARE_ABORT) {
			tcp_share_abort(worker, share);
			sctp_share_abort(worker, share);
		}
		if (share_is_empty(share))
			worker_share_ended(worker, share);
		return;
	}
	if (begin && (wanted & SHARE_SERVE))
		r = share_begin(worker, share);
	if (r < 0)
		share_failed(worker, share, r);
	else if (wanted & SHARE_JOIN)
		share_join(worker, share);
}

/* The inbox */

/* Return: may it have been empty? */
static bool inbox_put(struct share *share, unsigned int wanted,
		      struct serving *serving)
{
	struct inbox *inbox = &share->worker->inbox;
	struct serving *old = NULL;
	bool first;

	if (!listener_get(share->listener))
		return false;
	pthread_mutex_lock(&inbox->lock);
	first = !inbox->first;
	if (serving) {
		old = share->wanted_serving;
		share->wanted_serving = serving_ref(serving);
	}
	share->wanted |= wanted;
	if (!share->mailed) {
		share->mailed = true;
		share->next_mail = NULL;
		if (inbox->last)
			inbox->last->next_mail = share;
		else
			inbox->first = share;
		inbox->last = share;
	} else {
		/* The queued mail is a user already, and this not the last. */
		(void)listener_put(share->listener);
	}
	pthread_mutex_unlock(&inbox->lock);
	(void)serving_unref(old);
	return first;
}

void worker_tell(struct share *share, unsigned int wanted,
		 struct serving *serving)
{
	(void)inbox_put(share, wanted, serving);
	share->worker->inbox.told = true;
}

void worker_ask_to_join(struct share *share)
{
	if (inbox_put(share, SHARE_JOIN, NULL))
		worker_wake(share->worker);
}

void worker_wake(struct worker *worker)
{
	eventfd_kick(worker->inbox.fd);
}

void worker_kick(struct worker *worker)
{
	if (!worker->inbox.told)
		return;
	worker->inbox.told = false;
	eventfd_kick(worker->inbox.fd);
}

/* Takes one share's mail out. */
static struct share *inbox_take(struct inbox *inbox, unsigned int *ret_wanted,
				struct serving **ret_serving)
{
	struct share *share;

	pthread_mutex_lock(&inbox->lock);
	share = inbox->first;
	if (share) {
		inbox->first = share->next_mail;
		if (!inbox->first)
			inbox->last = NULL;
		*ret_wanted = share->wanted;
		*ret_serving = TAKE_PTR(share->wanted_serving);
		share->wanted = 0;
		share->mailed = false;
	}
	pthread_mutex_unlock(&inbox->lock);
	return share;
}

/* A share's mail is a user; it goes after the batch, like the share's own. */
static void inbox_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events)
{
	struct inbox *inbox = &worker->inbox;
	struct serving *serving;
	struct share *share;
	unsigned int wanted, shed;

	(void)pollable;
	(void)events;
	eventfd_drain(inbox->fd);
	mint_mails_handle(worker);
	for (int i = 0; i < MAIL_BATCH; i++) {
		struct listener *listener;

		share = inbox_take(inbox, &wanted, &serving);
		if (!share)
			break;
		listener = share->listener;

		share_apply(worker, share, wanted, serving);
		/* Never the last one while the share itself is a user; and a
		 * released share is referred to by no event of this batch. */
		worker_unuse(worker, listener);
	}
	handover_take(worker);
	pthread_mutex_lock(&inbox->lock);
	if (inbox->first)
		eventfd_kick(inbox->fd); /* the rest after other events */
	worker->stopping = inbox->stop;
	shed = inbox->shed;
	inbox->shed = 0;
	pthread_mutex_unlock(&inbox->lock);
	while (shed > 0 &&
	       (tcp_shed(worker) || sctp_shed(worker) || udp_shed(worker)))
		shed--;
}

void worker_shed(struct worker *worker, unsigned int n)
{
	pthread_mutex_lock(&worker->inbox.lock);
	worker->inbox.shed = n;
	pthread_mutex_unlock(&worker->inbox.lock);
	eventfd_kick(worker->inbox.fd);
}

void worker_ask_to_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->inbox.lock);
	worker->inbox.stop = true;
	pthread_mutex_unlock(&worker->inbox.lock);
	eventfd_kick(worker->inbox.fd);
}

/* The loop */

int worker_watch(struct worker *worker, int fd, uint32_t events,
		 struct pollable *pollable)
{
	struct epoll_event event = { .events = events, .data.ptr = pollable };

	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

int worker_watch_more(struct worker *worker, int fd, uint32_t events,
		      struct pollable *pollable)
{
	struct epoll_event event = { .events = events, .data.ptr = pollable };

	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0)
		return -errno;
	return 0;
}

void worker_unwatch(struct worker *worker, int fd)
{
	(void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, fd,
			NULL); /* it is there */
}

struct pipe *worker_take_pipe(struct worker *worker)
{
	return pipe_take(&worker->pipes);
}

struct pipe *worker_put_pipe(struct worker *worker, struct pipe *pipe)
{
	pipe = pipe_put(&worker->pipes, pipe);
	timer_set_earlier(&worker->timers, &worker->trim,
			  worker->now_us + TRIM_US);
	return pipe;
}

static void worker_trim(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;

	if (pipe_pool_trim(&worker->pipes))
		timer_set(&worker->timers, timer, worker->now_us + TRIM_US);
}

void worker_bury(struct worker *worker, struct grave *grave)
{
	grave->next = worker->graves;
	worker->graves = grave;
}

void worker_again(struct worker *worker, struct conn *conn)
{
	*tcp_conn_next_ready(conn) = NULL;
	if (worker->ready)
		*tcp_conn_next_ready(worker->last_ready) = conn;
	else
		worker->ready = conn;
	worker->last_ready = conn;
}

/* Each once: those that need another turn queue again. */
static void worker_run_ready(struct worker *worker)
{
	struct conn *conn = TAKE_PTR(worker->ready), *next;

	for (; conn; conn = next) {
		next = *tcp_conn_next_ready(conn);
		tcp_conn_run(worker, conn);
	}
}

static void worker_after_batch(struct worker *worker)
{
	struct share *share;
	struct grave *grave;

	while ((share = worker->done)) {
		worker->done = share->next_done;
		(void)serving_unref(TAKE_PTR(share->serving));
		worker_unuse(worker, share->listener);
	}
	while ((grave = worker->graves)) {
		worker->graves = grave->next;
		free(grave);
	}
}

/* It did what it is for by waking us. */
static void alarm_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events)
{
	(void)pollable;
	(void)events;
	worker->alarm_us = TIMERS_NEVER;
}

/* Sees to it that the first timer wakes us. The alarm is moved only when it
 * would be too late; mostly it is early by what activity postponed, and setting
 * it costs more than one wake-up in an hour.
 * Return: how long to wait, for epoll_wait(2). */
static int worker_set_alarm(struct worker *worker)
{
	uint64_t first_us = timers_first_us(&worker->timers);
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(first_us / USEC_PER_SEC),
			      .tv_nsec =
				      (long)(first_us % USEC_PER_SEC * 1000) },
	};

	if (worker->ready || worker->sctp_ready || first_us <= worker->now_us)
		return 0;
	if (first_us < worker->alarm_us) {
		/* Cannot fail: the time is a valid one. */
		(void)timerfd_settime(worker->alarm_fd, TFD_TIMER_ABSTIME,
				      &spec, NULL);
		worker->alarm_us = first_us;
	}
	return -1;
}

static void *worker_main(void *user_data)
{
	struct worker *worker = user_data;
	struct epoll_event events[BATCH_EVENTS];

	while (!worker->stopping) {
		int n = epoll_wait(worker->epoll_fd, events, BATCH_EVENTS,
				   worker_set_alarm(worker));

		worker->now_us = monotonic_us();
		load_note(&worker->load, worker->now_us);
		worker->turn++;
		for (int i = 0; i < n; i++) {
			struct pollable *pollable = events[i].data.ptr;

			if (pollable->handler)
				pollable->handler(worker, pollable,
						  events[i].events);
		}
		if (worker->udp)
			udp_flush(worker);
		timers_run(&worker->timers, worker->now_us, worker);
		worker_run_ready(worker);
		sctp_run_ready(worker);
		worker_after_batch(worker);
	}
	while (tcp_shed(worker) || sctp_shed(worker))
		; /* what the kernel would end politely, and slowly */
	sctp_run_ready(worker); /* buries those that were in it */
	worker_after_batch(worker);
	return NULL;
}

static int worker_open(struct worker *worker)
{
	struct inbox *inbox = &worker->inbox;
	int r;

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	inbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (inbox->fd < 0)
		return -errno;
	inbox->poll.handler = inbox_handler;
	r = worker_watch(worker, inbox->fd, EPOLLIN, &inbox->poll);
	if (r < 0)
		return r;
	worker->alarm_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->alarm_fd < 0)
		return -errno;
	worker->alarm.handler = alarm_handler;
	/* Edge-triggered, so that nobody must read it. */
	r = worker_watch(worker, worker->alarm_fd, EPOLLIN | EPOLLET,
			 &worker->alarm);
	if (r < 0)
		return r;
	worker->resume.handler = worker_resume;
	worker->trim.handler = worker_trim;
	worker->leave.handler = worker_leave;
	for (int i = 0; i < WORKER_TIMERS; i++) {
		r = timers_reserve(&worker->timers);
		if (r < 0)
			return r;
	}
	worker->scratch = malloc(BUFFER_MAX_BYTES);
	return worker->scratch ? 0 : -ENOMEM;
}

static void worker_close(struct worker *worker)
{
	timers_done(&worker->timers);
	buffer_pool_done(&worker->buffers);
	pipe_pool_done(&worker->pipes);
	worker->udp = udp_worker_free(worker->udp);
	free(TAKE_PTR(worker->scratch));
	cleanup_close(&worker->alarm_fd);
	cleanup_close(&worker->inbox.fd);
	cleanup_close(&worker->epoll_fd);
	(void)pthread_mutex_destroy(&worker->inbox.lock);
}

static int worker_run(struct worker *worker)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&attr); /* cannot fail: Linux */
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = -pthread_create(&worker->thread, &attr, worker_main, worker);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int worker_start(struct worker *worker, size_t index, struct outbox *outbox)
{
	int r;

	*worker = (struct worker){
		.epoll_fd = -1,
		.alarm_fd = -1,
		.alarm_us = TIMERS_NEVER,
		.index = index,
		.outbox = outbox,
		.inbox.fd = -1,
		.sctp_budget.limit_bytes = SCTP_BUDGET_BYTES,
		.log_limit = { .interval_us = LOG_INTERVAL_US,
			       .burst = LOG_BURST },
	};
	(void)pthread_mutex_init(&worker->inbox.lock, NULL);
	r = worker_open(worker);
	if (r == 0)
		r = worker_run(worker);
	if (r < 0)
		worker_close(worker);
	return r;
}

void worker_join(struct worker *worker)
{
	(void)pthread_join(worker->thread, NULL); /* it was started */
}

void worker_forget(struct share *share)
{
	if (share->udp)
		udp_share_close(share->worker, share);
	if (share->sctp)
		sctp_shared_close(share->worker, share);
	share->serving = serving_unref(share->serving);
}

void worker_done(struct worker *worker)
{
	worker_after_batch(worker);
	mint_mails_drop(worker);
	handover_drop(worker);
	worker_close(worker);
}
