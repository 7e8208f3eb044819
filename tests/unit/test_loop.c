// SPDX-License-Identifier: Apache-2.0
/* test_loop.c - the event loop: lifetime inside a batch, timers, slices */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "common/loop.h"
#include "common/util.h"

struct fixture {
	struct loop *loop;
	struct loop_source *sources[2];
	struct loop_timer *timers[2];
	int fds[2];
	int calls;
	int slices;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	for (int i = 0; i < 2; i++)
		fixture.fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = &fixture;
	return loop_new(&fixture.loop);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		loop_source_free(fixture->sources[i]);
		loop_timer_free(fixture->timers[i]);
		close(fixture->fds[i]);
	}
	loop_free(fixture->loop);
	return 0;
}

/* Whichever of two ready sources comes first frees both: the other, whose
 * event lies in the same batch, must not be called, nor its memory be used. */
static void free_both(uint32_t events, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)events;
	fixture->calls++;
	for (int i = 0; i < 2; i++)
		fixture->sources[i] = loop_source_free(fixture->sources[i]);
	loop_quit(fixture->loop, 7);
}

static void test_freed_source_is_not_called(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_add(fixture->loop, fixture->fds[i],
					  EPOLLIN, free_both, fixture,
					  &fixture->sources[i]),
				 0);
	assert_int_equal(loop_run(fixture->loop), 7);
	assert_int_equal(fixture->calls, 1);
}

static void timer_quit(void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->calls++;
	loop_quit(fixture->loop, 0);
}

static void timer_free_other(void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->calls += 10;
	fixture->timers[1] = loop_timer_free(fixture->timers[1]);
	loop_quit(fixture->loop, 0);
}

static void test_timer_fires_after_its_deadline(void **state)
{
	struct fixture *fixture = *state;
	uint64_t deadline_us = monotonic_us() + 20 * USEC_PER_MSEC;

	assert_int_equal(loop_timer_new(fixture->loop, timer_quit, fixture,
					&fixture->timers[0]),
			 0);
	loop_timer_set(fixture->timers[0], deadline_us + USEC_PER_SEC);
	loop_timer_set_earlier(fixture->timers[0], deadline_us);
	loop_timer_set_earlier(fixture->timers[0], deadline_us + USEC_PER_SEC);
	assert_int_equal(loop_run(fixture->loop), 0);
	assert_true(loop_now_us(fixture->loop) >= deadline_us);
	assert_false(loop_timer_is_set(fixture->timers[0]));
}

static void test_freed_timer_does_not_fire(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(loop_timer_new(fixture->loop, timer_free_other,
					fixture, &fixture->timers[0]),
			 0);
	assert_int_equal(loop_timer_new(fixture->loop, timer_quit, fixture,
					&fixture->timers[1]),
			 0);
	loop_timer_set(fixture->timers[0], 1);
	loop_timer_set(fixture->timers[1], 1);
	assert_int_equal(loop_run(fixture->loop), 0);
	assert_int_equal(fixture->calls, 10);
}

static void count_call(uint32_t events, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)events;
	fixture->calls++;
}

static bool three_slices(void *user_data)
{
	struct fixture *fixture = user_data;

	if (++fixture->slices < 3)
		return true;
	loop_quit(fixture->loop, 0);
	return false;
}

/* A descriptor that is ready is served between two slices of a long job. */
static void test_events_between_slices(void **state)
{
	struct fixture *fixture = *state;

	loop_set_after(fixture->loop, three_slices, fixture);
	assert_int_equal(loop_add(fixture->loop, fixture->fds[0], EPOLLIN,
				  count_call, fixture, &fixture->sources[0]),
			 0);
	assert_int_equal(loop_run(fixture->loop), 0);
	assert_int_equal(fixture->slices, 3);
	assert_int_equal(fixture->calls, 3);
}

static void test_paused_source_is_silent(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(loop_add(fixture->loop, fixture->fds[0], EPOLLIN,
				  count_call, fixture, &fixture->sources[0]),
			 0);
	assert_int_equal(loop_source_set_events(fixture->sources[0], 0), 0);
	loop_set_after(fixture->loop, three_slices, fixture);
	assert_int_equal(loop_run(fixture->loop), 0);
	assert_int_equal(fixture->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_freed_source_is_not_called,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_timer_fires_after_its_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_timer_does_not_fire,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_between_slices,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused_source_is_silent,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
