// SPDX-License-Identifier: Apache-2.0
/* test_lifecycle.c - what the service manager hears, when it reads and when it
 * does not
 *
 * The manager is a socket of the test. What must not come is looked for behind
 * a message that must, never by waiting.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/loop.h"
#include "common/util.h"
#include "daemon/lifecycle.h"
#include "daemon/notify.h"

#define GUARD_US (30 * USEC_PER_SEC)
#define INTERVAL "20000" /* of the watchdog, in microseconds */
#define INTERVALS_MS 50 /* more than two of them */
#define TEXT_MAX 256
#define RELOADING "RELOADING=1\nMONOTONIC_USEC="

/**
 * struct fixture - a manager, and a loop that runs until it has heard enough
 * @until:	the loop ends when this was read
 * @left:	so many times
 * @heard:	the last message
 */
struct fixture {
	struct loop *loop;
	struct loop_source *source;
	struct loop_timer *guard;
	struct lifecycle *lifecycle;
	const char *until;
	int left;
	int manager_fd;
	char heard[TEXT_MAX];
};

/* Return: was there a message? */
static bool hear(struct fixture *f)
{
	ssize_t n = recv(f->manager_fd, f->heard, sizeof(f->heard) - 1,
			 MSG_DONTWAIT);

	f->heard[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

static void heard(uint32_t events, void *user_data)
{
	struct fixture *f = user_data;

	(void)events;
	if (hear(f) && strcmp(f->heard, f->until) == 0 && --f->left == 0)
		loop_quit(f->loop, 0);
}

static void guard(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, -ETIMEDOUT);
}

static void run_until(struct fixture *f, const char *text, int times)
{
	f->until = text;
	f->left = times;
	loop_timer_set(f->guard, monotonic_us() + GUARD_US);
	assert_int_equal(loop_run(f->loop), 0);
}

/* An abstract name that the kernel chooses. */
static void open_manager(struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	char name[sizeof(sa.sun_path) + 1];

	f->manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->manager_fd, (struct sockaddr *)&sa,
			      sizeof(sa.sun_family)),
			 0);
	assert_int_equal(
		getsockname(f->manager_fd, (struct sockaddr *)&sa, &len), 0);
	(void)snprintf(name, sizeof(name), "@%.*s",
		       (int)(len - sizeof(sa.sun_family) - 1), sa.sun_path + 1);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	open_manager(&f);
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(loop_timer_new(f.loop, guard, &f, &f.guard), 0);
	assert_int_equal(loop_add(f.loop, f.manager_fd, EPOLLIN, heard, &f,
				  &f.source),
			 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lifecycle_free(f->lifecycle);
	loop_source_free(f->source);
	loop_timer_free(f->guard);
	loop_free(f->loop);
	close(f->manager_fd);
	return unsetenv("NOTIFY_SOCKET");
}

static void expect(struct fixture *f, const char *text)
{
	assert_true(hear(f));
	assert_string_equal(f->heard, text);
}

static void test_start_reload_stop(void **state)
{
	struct fixture *f = *state;
	uint64_t before_us = monotonic_us(), said_us;

	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_reloading(f->lifecycle); /* before it is ready: not said */
	assert_false(lifecycle_is_reloading(f->lifecycle));
	lifecycle_ready(f->lifecycle);
	expect(f, "READY=1");
	lifecycle_reloading(f->lifecycle);
	assert_true(lifecycle_is_reloading(f->lifecycle));
	assert_true(hear(f));
	assert_memory_equal(f->heard, RELOADING, strlen(RELOADING));
	said_us = strtoull(f->heard + strlen(RELOADING), NULL, 10);
	assert_true(said_us >= before_us && said_us <= monotonic_us());
	lifecycle_ready(f->lifecycle);
	assert_false(lifecycle_is_reloading(f->lifecycle));
	expect(f, "READY=1");
	lifecycle_stopping(f->lifecycle);
	expect(f, "STOPPING=1");
	assert_false(hear(f));
}

static void test_watchdog_comes_from_the_loop(void **state)
{
	struct fixture *f = *state;
	struct pollfd manager = { .fd = f->manager_fd, .events = POLLIN };

	assert_int_equal(setenv("WATCHDOG_USEC", INTERVAL, 1), 0);
	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_ready(f->lifecycle);
	run_until(f, "WATCHDOG=1", 3);
	while (hear(f))
		;
	/* The loop does not run: no more of them. */
	assert_int_equal(poll(&manager, 1, INTERVALS_MS), 0);
}

/* The loop runs, and the first that is heard is that berthd is ready. */
static void test_watchdog_waits_until_ready(void **state)
{
	struct fixture *f = *state;
	uint64_t later_us;

	assert_int_equal(setenv("WATCHDOG_USEC", "2", 1), 0);
	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	f->until = "";
	later_us = monotonic_us() + 10 * USEC_PER_MSEC;
	loop_timer_set(f->guard, later_us);
	assert_int_equal(loop_run(f->loop), -ETIMEDOUT);
	assert_string_equal(f->heard, "");
	lifecycle_ready(f->lifecycle);
	expect(f, "READY=1");
	run_until(f, "WATCHDOG=1", 1);
}

/* It is asked of another process: the one that started this one. */
static void test_watchdog_of_another_process(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(setenv("WATCHDOG_USEC", "2", 1), 0);
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_ready(f->lifecycle);
	expect(f, "READY=1");
	f->until = "";
	loop_timer_set(f->guard, monotonic_us() + 10 * USEC_PER_MSEC);
	assert_int_equal(loop_run(f->loop), -ETIMEDOUT);
	assert_string_equal(f->heard, "READY=1");
}

static void fill(void)
{
	int fd = -1, r;

	assert_int_equal(notify_open(&fd), 0);
	while ((r = notify_send(fd, "FULL=1", NULL, 0)) == 0)
		;
	assert_int_equal(r, -EAGAIN);
	close(fd);
}

/* It blocks nobody, and hears in the end that the reload is complete. */
static void test_manager_that_does_not_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_ready(f->lifecycle);
	expect(f, "READY=1");
	fill();
	lifecycle_reloading(f->lifecycle);
	lifecycle_ready(f->lifecycle);
	run_until(f, "READY=1", 1);
	assert_false(hear(f));
}

/* What is owed of one reload does not end the next. */
static void test_reload_before_the_last_one_was_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_ready(f->lifecycle);
	fill();
	lifecycle_ready(f->lifecycle);
	while (hear(f))
		;
	lifecycle_reloading(f->lifecycle);
	f->until = "READY=1";
	f->left = 1;
	loop_timer_set(f->guard, monotonic_us() + 300 * USEC_PER_MSEC);
	assert_int_equal(loop_run(f->loop), -ETIMEDOUT);
	assert_non_null(strstr(f->heard, "RELOADING=1"));
}

static void test_no_manager(void **state)
{
	struct fixture *f = *state;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(lifecycle_new(f->loop, &f->lifecycle), 0);
	lifecycle_ready(f->lifecycle);
	lifecycle_reloading(f->lifecycle);
	lifecycle_ready(f->lifecycle);
	lifecycle_stopping(f->lifecycle);
	assert_false(hear(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_reload_stop, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_watchdog_comes_from_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog_waits_until_ready,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_watchdog_of_another_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_manager_that_does_not_read,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_reload_before_the_last_one_was_told, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_no_manager, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
