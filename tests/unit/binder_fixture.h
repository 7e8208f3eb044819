/* SPDX-License-Identifier: Apache-2.0 */
/* binder_fixture.h - a binder, its loop and what it told, for its unit tests
 *
 * The clock is the fixture's: it goes on while the loop waits for a timer, and
 * does so at once. What a test finds out does not depend on how quick the
 * machine is, and no test has to wait.
 */
#ifndef TESTS_UNIT_BINDER_FIXTURE_H
#define TESTS_UNIT_BINDER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "binder/binder.h"
#include "common/loop.h"
#include "common/util.h"

#define FIXTURE_RETRY_MIN_US (20 * USEC_PER_MSEC)
#define FIXTURE_RETRY_MAX_US (80 * USEC_PER_MSEC)
#define FIXTURE_TOLD_MAX 512
#define FIXTURE_BATCH_US 1 /* a loop that never waits gets on, too */

/**
 * struct fixture - see the file's head
 * @told:	"+80" opened, "-80" closing, "~80" changed, in their order
 * @opens:	calls of open_netns
 * @open_error:	what open_netns returns; or a descriptor is duplicated
 * @holder:	what holder returns
 * @awaits:	what awaits returns
 * @given:	what given returns
 * @netns_fd:	namespace 2; every other id is the process's own
 */
struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct binder *binder;
	char told[FIXTURE_TOLD_MAX];
	unsigned int opens;
	int open_error;
	const char *holder;
	bool awaits;
	bool given;
	int netns_fd;
	bool (*until)(struct fixture *fixture);
	bool timed_out;
};

static uint64_t fixture_clock_us = USEC_PER_SEC;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	*ret = (struct timespec){
		.tv_sec = (time_t)(fixture_clock_us / USEC_PER_SEC),
		.tv_nsec = (long)(fixture_clock_us % USEC_PER_SEC) * 1000,
	};
	return 0;
}

/* The binder has no descriptors in its loop: there are only timers. */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	(void)fd;
	(void)events;
	(void)max;
	assert_true(timeout_ms >= 0);
	fixture_clock_us +=
		FIXTURE_BATCH_US + (uint64_t)timeout_ms * USEC_PER_MSEC;
	return 0;
}

static inline int fixture_open_netns(uint64_t netns_id, int *ret_fd,
				     void *user_data)
{
	struct fixture *f = user_data;

	f->opens++;
	if (f->open_error)
		return f->open_error;
	*ret_fd = netns_id == 2 ? dup(f->netns_fd) : -1;
	return 0;
}

static inline void fixture_tell(struct fixture *f, char what,
				const struct listener *listener)
{
	size_t used = strlen(f->told);

	snprintf(f->told + used, sizeof(f->told) - used, "%s%c%u",
		 used ? " " : "", what, listener->endpoint.port);
}

static inline void fixture_opened(struct listener *listener, void *user_data)
{
	assert_true(listener->fd >= 0);
	assert_null(listener->user_data);
	fixture_tell(user_data, '+', listener);
}

static inline void fixture_changed(struct listener *listener, void *user_data)
{
	fixture_tell(user_data, '~', listener);
}

static inline void fixture_closing(struct listener *listener, void *user_data)
{
	assert_true(listener->fd >= 0);
	fixture_tell(user_data, '-', listener);
}

static inline const char *fixture_holder(uint64_t netns_id,
					 const struct endpoint *endpoint,
					 void *user_data)
{
	struct fixture *f = user_data;

	(void)netns_id;
	(void)endpoint;
	return f->holder;
}

static inline bool fixture_awaits(const struct listener *listener,
				  void *user_data)
{
	struct fixture *f = user_data;

	(void)listener;
	return f->awaits;
}

static inline bool fixture_given(const struct listener *listener,
				 void *user_data)
{
	struct fixture *f = user_data;

	(void)listener;
	return f->given;
}

static inline void fixture_timeout(void *user_data)
{
	struct fixture *f = user_data;

	f->timed_out = true;
	loop_quit(f->loop, 0);
}

static inline bool fixture_after(void *user_data)
{
	struct fixture *f = user_data;

	if (f->until && f->until(f))
		loop_quit(f->loop, 0);
	return false;
}

/* Runs the loop until @until holds. Returns false after @max_us. */
static inline bool fixture_run(struct fixture *f, uint64_t max_us,
			       bool (*until)(struct fixture *))
{
	f->until = until;
	f->timed_out = false;
	loop_timer_set(f->timer, monotonic_us() + max_us);
	assert_int_equal(loop_run(f->loop), 0);
	loop_timer_unset(f->timer);
	return !f->timed_out;
}

/* Reads the clock and handles what is due. */
static inline void fixture_tick(struct fixture *f, uint64_t us)
{
	(void)fixture_run(f, us, NULL);
}

static inline void fixture_init(struct fixture *f, size_t max_listeners,
				uint64_t retry_min_us)
{
	static const struct binder_ops ops = {
		.open_netns = fixture_open_netns,
		.opened = fixture_opened,
		.changed = fixture_changed,
		.closing = fixture_closing,
		.holder = fixture_holder,
		.awaits = fixture_awaits,
		.given = fixture_given,
	};
	struct binder_config config = {
		.max_listeners = max_listeners,
		.retry_min_us = retry_min_us,
		.retry_max_us = 4 * retry_min_us,
	};

	*f = (struct fixture){ .netns_fd = -1 };
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(loop_timer_new(f->loop, fixture_timeout, f, &f->timer),
			 0);
	loop_set_after(f->loop, fixture_after, f);
	assert_int_equal(binder_new(f->loop, &config, &ops, f, &f->binder), 0);
}

static inline void fixture_done(struct fixture *f)
{
	f->binder = binder_free(f->binder);
	f->timer = loop_timer_free(f->timer);
	f->loop = loop_free(f->loop);
}

/* What was told since the last time must be @expected. */
#define assert_told(f, expected)                          \
	do {                                              \
		assert_string_equal((f)->told, expected); \
		(f)->told[0] = '\0';                      \
	} while (0)

/* A spec for @text: "any", "any4", "any6" or an address. */
static inline struct listener_spec spec_make(enum protocol protocol,
					     const char *text, uint16_t port)
{
	struct listener_spec spec = { .service = service_new() };
	struct ip_addr addr = { .family = AF_UNSPEC };

	assert_non_null(spec.service);
	if (strcmp(text, "any4") == 0)
		addr.family = AF_INET;
	else if (strcmp(text, "any6") == 0)
		addr.family = AF_INET6;
	else if (strcmp(text, "any") != 0)
		assert_int_equal(ip_addr_parse(text, &addr), 0);
	spec.service->rule = strdup("test");
	spec.service->consumer = strdup("relay");
	spec.endpoint.protocol = (uint8_t)protocol;
	spec.endpoint.port = port;
	spec.endpoint.family = addr.family;
	memcpy(spec.endpoint.addr, addr.bytes, sizeof(addr.bytes));
	return spec;
}

/* Applies @n specs and lets go of them. */
static inline void apply(struct fixture *f, uint64_t netns_id,
			 struct listener_spec *specs, size_t n)
{
	assert_int_equal(binder_apply(f->binder, netns_id, specs, n), 0);
	for (size_t i = 0; i < n; i++)
		listener_spec_done(&specs[i]);
}

static inline void apply_one(struct fixture *f, uint64_t netns_id,
			     struct listener_spec spec)
{
	apply(f, netns_id, &spec, 1);
}

/* The first row of a namespace. */
static inline struct listener *first(struct fixture *f, uint64_t netns_id)
{
	struct listener *listener = binder_next_in(f->binder, netns_id, NULL);

	assert_non_null(listener);
	return listener;
}

static inline bool all_open(struct fixture *f)
{
	struct binder_stats stats;

	binder_get_stats(f->binder, &stats);
	return stats.waiting == 0;
}

#endif
