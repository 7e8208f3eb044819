// SPDX-License-Identifier: Apache-2.0
/* loop.c - one epoll loop with descriptors, timers and a step after each batch
 *
 * Theory of operation: a batch is what one epoll_wait(2) returned, then the
 * timers that are due, then the after-handler. A source or timer that is freed
 * inside a batch is only marked dead and unhooked; its memory goes when the
 * batch is over, because events that point to it may still lie in the array.
 *
 * Timers are few (one per module, not one per object), so they sit in a list
 * and the earliest is found by walking it.
 */
#include "common/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "common/util.h"

#define BATCH_EVENTS 64

struct loop_source {
	struct loop *loop;
	int fd;
	uint32_t events;
	bool dead;
	loop_fd_handler handler;
	void *user_data;
	struct loop_source *next;
};

struct loop_timer {
	struct loop *loop;
	uint64_t deadline_us; /* 0: not set */
	bool dead;
	loop_timer_handler handler;
	void *user_data;
	struct loop_timer *prev, *next;
};

struct loop {
	int epoll_fd;
	bool quit;
	int code;
	uint64_t now_us;
	loop_after_handler after;
	void *after_data;
	struct loop_timer *timers;
	struct loop_source *dead_sources;
};

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int r = -errno;

		free(loop);
		return r;
	}
	loop->now_us = monotonic_us();
	*ret_loop = loop;
	return 0;
}

static void loop_bury(struct loop *loop)
{
	struct loop_source *source, *next_source;
	struct loop_timer *timer, *next_timer;

	for (source = loop->dead_sources; source; source = next_source) {
		next_source = source->next;
		free(source);
	}
	loop->dead_sources = NULL;
	DL_FOREACH_SAFE (loop->timers, timer, next_timer) {
		if (timer->dead) {
			DL_DELETE(loop->timers, timer);
			free(timer);
		}
	}
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	loop_bury(loop);
	assert(!loop->timers);
	(void)close(loop->epoll_fd); /* holds nothing that could fail */
	free(loop);
	return NULL;
}

static int loop_timeout_ms(const struct loop *loop)
{
	const struct loop_timer *timer;
	uint64_t earliest_us = UINT64_MAX, now_us, wait_ms;

	DL_FOREACH (loop->timers, timer) {
		if (timer->deadline_us && timer->deadline_us < earliest_us)
			earliest_us = timer->deadline_us;
	}
	if (earliest_us == UINT64_MAX)
		return -1;
	now_us = monotonic_us();
	if (earliest_us <= now_us)
		return 0;
	/* Rounded up: a loop that wakes before the deadline would spin until
	 * it. */
	wait_ms = (earliest_us - now_us) / USEC_PER_MSEC + 1;
	return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

static void loop_dispatch_timers(struct loop *loop)
{
	struct loop_timer *timer;

	/* Handlers only mark timers dead, so the list is stable; timers they
	 * add go to its end and are seen, those they set are in the future or
	 * fire in the next batch. */
	DL_FOREACH (loop->timers, timer) {
		if (timer->dead || !timer->deadline_us ||
		    timer->deadline_us > loop->now_us)
			continue;
		timer->deadline_us = 0;
		timer->handler(timer->user_data);
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[BATCH_EVENTS];
	bool work_left = true; /* the after-handler may have some already */

	loop->quit = false;
	while (!loop->quit) {
		int n = epoll_wait(loop->epoll_fd, events, BATCH_EVENTS,
				   work_left ? 0 : loop_timeout_ms(loop));

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->now_us = monotonic_us();
		for (int i = 0; i < n; i++) {
			struct loop_source *source = events[i].data.ptr;

			if (!source->dead)
				source->handler(events[i].events,
						source->user_data);
		}
		loop_dispatch_timers(loop);
		work_left = loop->after && loop->after(loop->after_data);
		loop_bury(loop);
	}
	return loop->code;
}

void loop_quit(struct loop *loop, int code)
{
	loop->quit = true;
	loop->code = code;
}

uint64_t loop_now_us(const struct loop *loop)
{
	return loop->now_us;
}

void loop_set_after(struct loop *loop, loop_after_handler handler,
		    void *user_data)
{
	loop->after = handler;
	loop->after_data = user_data;
}

int loop_add(struct loop *loop, int fd, uint32_t events,
	     loop_fd_handler handler, void *user_data,
	     struct loop_source **ret_source)
{
	struct loop_source *source = malloc(sizeof(*source));
	int r;

	if (!source)
		return -ENOMEM;
	*source = (struct loop_source){
		.loop = loop,
		.fd = fd,
		.handler = handler,
		.user_data = user_data,
	};
	r = loop_source_set_events(source, events);
	if (r < 0) {
		free(source);
		return r;
	}
	*ret_source = source;
	return 0;
}

int loop_source_set_events(struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };
	int op = EPOLL_CTL_MOD;

	if (events == source->events)
		return 0;
	if (source->events == 0)
		op = EPOLL_CTL_ADD;
	else if (events == 0)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(source->loop->epoll_fd, op, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

struct loop_source *loop_source_free(struct loop_source *source)
{
	if (!source)
		return NULL;
	if (source->events)
		(void)epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL,
				source->fd, NULL); /* may be closed already */
	source->dead = true;
	source->next = source->loop->dead_sources;
	source->loop->dead_sources = source;
	return NULL;
}

int loop_timer_new(struct loop *loop, loop_timer_handler handler,
		   void *user_data, struct loop_timer **ret_timer)
{
	struct loop_timer *timer = malloc(sizeof(*timer));

	if (!timer)
		return -ENOMEM;
	*timer = (struct loop_timer){
		.loop = loop,
		.handler = handler,
		.user_data = user_data,
	};
	DL_APPEND(loop->timers, timer);
	*ret_timer = timer;
	return 0;
}

void loop_timer_set(struct loop_timer *timer, uint64_t deadline_us)
{
	timer->deadline_us = deadline_us ? deadline_us : 1;
}

void loop_timer_set_earlier(struct loop_timer *timer, uint64_t deadline_us)
{
	if (!timer->deadline_us || deadline_us < timer->deadline_us)
		loop_timer_set(timer, deadline_us);
}

void loop_timer_unset(struct loop_timer *timer)
{
	timer->deadline_us = 0;
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->deadline_us != 0;
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return NULL;
	timer->deadline_us = 0;
	timer->dead = true;
	return NULL;
}
