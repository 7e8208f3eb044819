// SPDX-License-Identifier: Apache-2.0
/* worker.c - a thread with its epoll set and its timers
 *
 * Theory of operation: a worker serves what epoll_wait(2) returned, then the
 * timers that are due, then connections whose work was cut short to let others
 * have their turn. Only after all that, memory is freed and shares are given
 * back, because an event later in the same batch may point to what an earlier
 * one ended: such a thing has no handler any more and is skipped.
 */
#include "relay/core/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "common/util.h"
#include "relay/core/handover.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/protocol.h"

#define BATCH_EVENTS 128

/* Enough for the batch, TLS and glibc; checked by running the tests. */
#define STACK_BYTES (256u * 1024)

/* @resume, @trim, @leave, @log_tell */
#define WORKER_TIMERS 4

/* How long a pipe rests in the pool before it is closed. */
#define TRIM_US USEC_PER_SEC

/* Messages of one worker that wait: hundreds of the largest. */
#define MESSAGES_BYTES (64u * 1024 * 1024)

#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 5

/* Ends the name of a rule in a label. */
#define RULE_END "': "

/* A label begins with its rule, see control.c: how many of its bytes. */
static int rule_bytes(const char *label)
{
	const char *end = strstr(label, RULE_END);

	return (int)(end ? (size_t)(end - label) + 1 : strlen(label));
}

bool worker_may_log(struct worker *worker, const struct listener *listener,
		    const char *about)
{
	char subject[LOG_SUBJECT_TEXT_MAX];

	/* Cut where it is long, which makes it less exact. */
	(void)snprintf(subject, sizeof(subject), "%.*s%s%s%s",
		       rule_bytes(listener->label), listener->label,
		       about ? ": '" : "", about ? about : "",
		       about ? "'" : "");
	if (log_subject_ok(&worker->log_limits, subject, worker->now_us))
		return true;
	timer_set_earlier(&worker->timers, &worker->log_tell,
			  worker->now_us + worker->log_limits.interval_us);
	return false;
}

static void worker_log_tell(struct timer *timer, void *user_data)
{
	struct worker *worker = user_data;
	uint64_t next_us =
		log_subjects_tell(&worker->log_limits, worker->now_us);

	if (next_us != LOG_SUBJECTS_NEVER)
		timer_set(&worker->timers, timer, next_us);
}

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

/* What each protocol has to do, in the order of enum protocol. */

static void worker_flush(struct worker *worker)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->flush)
			worker->protocols[i]->flush(worker);
	}
}

static void worker_run_ready(struct worker *worker)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->run_ready)
			worker->protocols[i]->run_ready(worker);
	}
}

static void worker_stop(struct worker *worker)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->stop)
			worker->protocols[i]->stop(worker);
	}
}

static void worker_after_batch(struct worker *worker)
{
	struct share *share;
	struct grave *grave;

	while ((share = worker->done)) {
		worker->done = share->next_done;
		(void)serving_unref(TAKE_PTR(share->serving));
		outbox_unuse(worker->outbox, share->listener);
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
		worker_flush(worker);
		timers_run(&worker->timers, worker->now_us, worker);
		worker_run_ready(worker);
		worker_after_batch(worker);
	}
	worker_stop(worker);
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
	worker->resume.handler = share_resume;
	worker->trim.handler = worker_trim;
	worker->leave.handler = share_leave_idle;
	worker->log_tell.handler = worker_log_tell;
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
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (worker->protocols[i]->forget)
			worker->protocols[i]->forget(worker);
	}
	timers_done(&worker->timers);
	buffer_pool_done(&worker->buffers);
	pipe_pool_done(&worker->pipes);
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

int worker_start(struct worker *worker, size_t index, struct outbox *outbox,
		 const struct relay_protocol *const *protocols)
{
	int r;

	*worker = (struct worker){
		.epoll_fd = -1,
		.alarm_fd = -1,
		.alarm_us = TIMERS_NEVER,
		.index = index,
		.protocols = protocols,
		.outbox = outbox,
		.inbox.fd = -1,
		.messages.limit_bytes = MESSAGES_BYTES,
		.log_limits = { .interval_us = LOG_INTERVAL_US,
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
	const struct relay_protocol *ops = share->listener->ops;

	if (ops->close)
		ops->close(share->worker, share);
	share->serving = serving_unref(share->serving);
}

void worker_done(struct worker *worker)
{
	worker_after_batch(worker);
	mint_mails_drop(worker);
	handover_drop(worker);
	worker_close(worker);
}
