// SPDX-License-Identifier: Apache-2.0
/* test_consumers_pins.c - consumers that do not let go of a dead namespace */
#include "tests/unit/consumers_fixture.h"

#include "daemon/consumers/handshake.h"

static size_t overdue(struct fixture *fixture)
{
	struct consumer_connection_info connection;

	assert_true(consumers_connection_info(fixture->consumers, 0, 0,
					      &connection));
	return connection.overdue;
}

static void set_release_timeout(struct fixture *fixture, uint64_t ms)
{
	const struct consumers_timeouts timeouts = {
		.orphan_ms = 1000,
		.drain_ms = 3600000,
		.release_ms = ms,
	};

	consumers_set_timeouts(fixture->consumers, &timeouts);
}

static bool until_lost(void *user_data)
{
	struct fixture *fixture = user_data;

	(void)consumers_step(fixture->consumers);
	if (fixture->lost)
		loop_quit(fixture->loop, 0);
	return false;
}

static void wait_lost(struct fixture *fixture)
{
	loop_set_after(fixture->loop, until_lost, fixture);
	assert_int_equal(loop_run(fixture->loop), 0);
}

/* Sockets for backends pin a namespace as listeners do. */
static void test_sockets(void **state)
{
	struct consumer_pin pins[CONSUMER_PINS_MAX];
	struct fixture *fixture = *state;

	attach(fixture);
	says(fixture, "{\"type\":\"held_netns\",\"netns\":5}");
	run(fixture);
	run(fixture);
	assert_int_equal(overdue(fixture), 0);
	assert_int_equal(consumers_pins(fixture->consumers, 6, pins), 0);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 1);
	assert_true(pins[0].pin.sockets);
	assert_int_equal(pins[0].pin.told_us, 0);
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_int_equal(overdue(fixture), 1);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 1);
	assert_true(pins[0].pin.told_us > 0 && pins[0].ended_us == 0);
	set_release_timeout(fixture, 1);
	wait_lost(fixture);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 1);
	assert_string_equal(pins[0].consumer, SERVICE_RELAY);
	assert_int_equal(pins[0].peer->pid, 42);
	assert_true(pins[0].pin.sockets && pins[0].ended_us > 0);
	assert_int_equal(pins[0].pin.n_listeners, 0);
	consumers_netns_freed(fixture->consumers, 5);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 0);
}

/* What it was never given it does not pin; what it did let go of neither. */
static void test_listeners(void **state)
{
	struct consumer_pin pins[CONSUMER_PINS_MAX];
	struct fixture *fixture = *state;

	attach(fixture);
	open_listeners(fixture, 4);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 4);
	for (int i = 0; i < 4; i++)
		close_listener(fixture, i);
	consumers_netns_gone(fixture->consumers, 5);
	consumers_netns_gone(fixture->consumers, 6);
	run(fixture);
	assert_int_equal(overdue(fixture), 4);
	for (int i = 1; i < 4; i += 2) /* those of 5 */
		release(fixture, fixture->listeners[i].id);
	run(fixture);
	run(fixture);
	assert_int_equal(overdue(fixture), 2);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 0);
	set_release_timeout(fixture, 1);
	wait_lost(fixture);
	assert_int_equal(consumers_pins(fixture->consumers, 5, pins), 0);
	assert_int_equal(consumers_pins(fixture->consumers, 6, pins), 1);
	assert_int_equal(pins[0].pin.n_listeners, 2);
	assert_int_equal(pins[0].pin.endpoints[1].port, 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sockets),
		TEST(test_listeners),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
