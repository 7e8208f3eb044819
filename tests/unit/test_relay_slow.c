// SPDX-License-Identifier: Apache-2.0
/* test_relay_slow.c - peers that take what was said slowly, or not at all
 *
 * The relay's time runs faster than the kernel's: what it waits for half a
 * minute for takes a fraction of a second.
 */
#include "relay_fixture.h"

#include <sys/syscall.h>
#include <sys/timerfd.h>

/* On a machine whose tests have longer guards everything takes longer. */
#define FASTER 30
#define FASTER_WHERE_SLOW 10
#define GUARD_S 15
#define DRAIN_MS (30u * 1000 / faster) /* in the kernel's time */
#define MUCH (1024 * 1024) /* more than its peer's kernel takes in */
#define SLOW_ROUNDS 4
#define SLOW_BYTES (MUCH / SLOW_ROUNDS / 2)

static char chunk[MUCH];
static unsigned int faster = FASTER;

static uint64_t began_ns;

static uint64_t real_ns(void)
{
	struct timespec ts;

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
				  .tv_nsec = (long)(ns % 1000000000) };
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_MONOTONIC || relay_pid != 0 || !began_ns)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = timespec_of(began_ns + (real_ns() - began_ns) * faster);
	return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new_value,
		    struct itimerspec *old_value)
{
	uint64_t ns = (uint64_t)new_value->it_value.tv_sec * 1000000000 +
		      (uint64_t)new_value->it_value.tv_nsec;
	struct itimerspec real = { .it_value = new_value->it_value };

	if (ns > began_ns && relay_pid == 0)
		real.it_value =
			timespec_of(began_ns + (ns - began_ns) / faster);
	return (int)syscall(SYS_timerfd_settime, fd, flags, &real, old_value);
}

/* A client and its backend's end. @options: of the listener, or "". */
static int connect_pair(const char *options, int *ret_server)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1"), listener, client;
	char members[256];
	uint64_t id;

	(void)snprintf(members, sizeof(members),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\"]%s",
		       port_of(backend), options);
	listener = open_listener("tcp", members, &id);
	client = connect_listener(listener);
	*ret_server = accept(backend, NULL, NULL);
	assert_true(*ret_server >= 0);
	set_wait(*ret_server, WAIT_S * 1000);
	(void)close(backend);
	(void)close(listener);
	return client;
}

static void read_some(int fd, size_t size)
{
	assert_int_equal(recv(fd, chunk, size, MSG_WAITALL), size);
}

/* Everything, and each part after longer than half of what a peer has that
 * takes nothing. */
static void read_slowly(int fd)
{
	for (int i = 0; i < SLOW_ROUNDS; i++) {
		(void)usleep(DRAIN_MS * 600);
		read_some(fd, SLOW_BYTES);
	}
	read_some(fd, MUCH - SLOW_ROUNDS * SLOW_BYTES);
}

static void say_much(int fd)
{
	assert_int_equal(send(fd, chunk, MUCH, 0), MUCH);
}

/* It reads its peer's end, and can still speak. */
static void expect_half_close(int fd)
{
	assert_int_equal(recv(fd, chunk, 1, 0), 0);
}

static void test_slow_reader_after_both_ends(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair("", &server);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_half_close(server);
	say_much(server);
	(void)close(server);
	read_slowly(client);
	expect_end(client);
	relay_stop();
}

static void test_who_takes_nothing_is_reset(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair("", &server);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_half_close(server);
	say_much(server);
	(void)close(server);
	(void)usleep(DRAIN_MS * 3000);
	expect_reset(client);
	relay_stop();
}

/* Nothing passes through the relay meanwhile. @late: who reads late */
static void idle_while_read(bool client_reads)
{
	int server, client;

	relay_start(1, 0);
	client = connect_pair(",\"idle_timeout_ms\":30000", &server);
	say_much(client_reads ? server : client);
	read_slowly(client_reads ? client : server);
	say(client, "ping");
	expect(server, "ping");
	(void)close(client);
	(void)close(server);
	relay_stop();
}

static void test_idle_while_the_client_reads(void **state)
{
	(void)state;
	idle_while_read(/* client_reads= */ true);
}

static void test_idle_while_the_backend_reads(void **state)
{
	(void)state;
	idle_while_read(/* client_reads= */ false);
}

static void test_idle_with_a_client_that_takes_nothing(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair(",\"idle_timeout_ms\":30000", &server);
	say_much(server);
	expect_reset(server);
	expect_reset(client);
	relay_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_reader_after_both_ends),
		cmocka_unit_test(test_who_takes_nothing_is_reset),
		cmocka_unit_test(test_idle_while_the_client_reads),
		cmocka_unit_test(test_idle_while_the_backend_reads),
		cmocka_unit_test(test_idle_with_a_client_that_takes_nothing),
	};
	const char *guard = getenv("BERTH_GUARD");

	if (guard && atoi(guard) > GUARD_S)
		faster = FASTER_WHERE_SLOW;
	began_ns = real_ns();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
