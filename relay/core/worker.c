// SPDX-License-Identifier: Apache-2.0
/* worker.c - what a worker has, and what all that it serves makes use of */
#include "relay/core/worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/util.h"

/* @resume, @trim, @leave, @log_tell */
#define WORKER_TIMERS 4

/* How long a pipe may be unused in the pool before it is closed. */
#define TRIM_US USEC_PER_SEC

/* Messages of one worker that wait: hundreds of the largest. */
#define MESSAGES_BYTES (64u * 1024 * 1024)

#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 5

/* Ends the name of a rule in a label. */
#define RULE_END "': "

/* How many bytes of @label are its rule, which it begins with: see offers.c. */
static int rule_bytes(const char *label)
{
	const char *end = strstr(label, RULE_END);

	return (int)(end ? (size_t)(end - label) + 1 : strlen(label));
}

bool worker_may_log(struct worker *worker, const struct listener *listener,
		    const char *about)
{
	char subject[LOG_SUBJECT_TEXT_MAX];

	/* A long text is cut, so that similar ones share a limit. */
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

void worker_free_graves(struct worker *worker)
{
	struct grave *grave;

	while ((grave = worker->graves)) {
		worker->graves = grave->next;
		free(grave);
	}
}

/* A turn */

/* The alarm did what it is for by waking the worker. */
static void alarm_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events)
{
	(void)pollable;
	(void)events;
	worker->alarm_us = TIMERS_NEVER;
}

/* Sets the alarm, so that the first timer wakes the worker. The alarm is moved
 * only if it would be too late. Mostly it is too early, because activity
 * postponed a deadline; one wake-up now and then costs less than setting it
 * each time. Return: how long to wait, for epoll_wait(2). */
static int worker_set_alarm(struct worker *worker)
{
	uint64_t first_us = timers_first_us(&worker->timers);
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(first_us / USEC_PER_SEC),
			      .tv_nsec =
				      (long)(first_us % USEC_PER_SEC * 1000) },
	};

	if (worker->ready || first_us <= worker->now_us)
		return 0;
	if (first_us < worker->alarm_us) {
		/* Cannot fail: the time is a valid one. */
		(void)timerfd_settime(worker->alarm_fd, TFD_TIMER_ABSTIME,
				      &spec, NULL);
		worker->alarm_us = first_us;
	}
	return -1;
}

int worker_wait(struct worker *worker, struct epoll_event *events, int n_max)
{
	int n = epoll_wait(worker->epoll_fd, events, n_max,
			   worker_set_alarm(worker));

	worker->now_us = monotonic_us();
	load_note(&worker->load, worker->now_us);
	worker->turn++;
	return n;
}

/* Beginning and end */

static int open_alarm(struct worker *worker)
{
	worker->alarm_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->alarm_fd < 0)
		return -errno;
	worker->alarm.handler = alarm_handler;
	/* Edge-triggered, so that nobody must read it. */
	return worker_watch(worker, worker->alarm_fd, EPOLLIN | EPOLLET,
			    &worker->alarm);
}

static int open_all(struct worker *worker)
{
	int r = inbox_init(&worker->inbox);

	if (r < 0)
		return r;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	r = worker_watch(worker, worker->inbox.fd, EPOLLIN,
			 &worker->inbox.poll);
	if (r == 0)
		r = open_alarm(worker);
	for (int i = 0; i < WORKER_TIMERS && r == 0; i++)
		r = timers_reserve(&worker->timers);
	if (r < 0)
		return r;
	worker->scratch = malloc(BUFFER_MAX_BYTES);
	return worker->scratch ? 0 : -ENOMEM;
}

int worker_init(struct worker *worker, size_t index, struct outbox *outbox,
		const struct relay_protocol *const *protocols)
{
	*worker = (struct worker){
		.epoll_fd = -1,
		.alarm_fd = -1,
		.alarm_us = TIMERS_NEVER,
		.index = index,
		.protocols = protocols,
		.outbox = outbox,
		.trim.handler = worker_trim,
		.messages.limit_bytes = MESSAGES_BYTES,
		.log_limits = { .interval_us = LOG_INTERVAL_US,
				.burst = LOG_BURST },
		.log_tell.handler = worker_log_tell,
	};
	return open_all(worker);
}

void worker_done(struct worker *worker)
{
	timers_done(&worker->timers);
	buffer_pool_done(&worker->buffers);
	pipe_pool_done(&worker->pipes);
	free(TAKE_PTR(worker->scratch));
	cleanup_close(&worker->alarm_fd);
	cleanup_close(&worker->epoll_fd);
	inbox_done(&worker->inbox);
}
