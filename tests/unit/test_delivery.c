// SPDX-License-Identifier: Apache-2.0
/* test_delivery.c - what consumers are sent of listeners, and when again */
#include "consumers_fixture.h"

/* More than the socket takes: the rest stays queued and follows. */
static void test_delivers_all(void **state)
{
	struct fixture *fixture = *state;
	int n = 0;

	open_listeners(fixture, LISTENERS);
	attach(fixture);
	run(fixture);
	assert_true(info(fixture).undelivered > 0);
	for (int i = 0; i < LISTENERS && info(fixture).undelivered > 0; i++) {
		n += arrive_all(fixture, "listener");
		run(fixture);
	}
	n += arrive_all(fixture, "listener");
	assert_int_equal(n, LISTENERS);
	assert_int_equal(info(fixture).delivered, LISTENERS);
}

static void test_delivers_again_after_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 3);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	close_listener(fixture, 0);
	close(TAKE_FD(fixture->peer_fd));
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->lost, 1);
	assert_false(info(fixture).connected);
	assert_int_equal(info(fixture).undelivered, 2);
	assert_int_equal(info(fixture).withdrawn, 0);
	attach(fixture);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "listener");
	assert_true(arrival.fd >= 0); /* with its descriptor once more */
	close(arrival.fd);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
}

static void test_withdraws_until_released(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 2);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 2);
	close_listener(fixture, 1);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "withdraw");
	assert_int_equal(arrival.id, 2);
	assert_false(arrival.abort);
	assert_int_equal(consumers_holds(fixture->consumers, 5), 1);

	/* Its namespace goes while its connections are finishing. */
	consumers_netns_gone(fixture->consumers, 5);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 2);
	assert_true(arrival.abort);

	release(fixture, 77); /* an id that nobody knows */
	release(fixture, 2);
	run(fixture);
	run(fixture);
	assert_int_equal(consumers_holds(fixture->consumers, 5), 0);
	assert_int_equal(fixture->released, 5);
	assert_int_equal(fixture->lost, 0);
}

/* Connections may finish, but not for ever. */
static void test_draining_ends(void **state)
{
	struct fixture *fixture = *state;
	static const struct consumers_timeouts timeouts = {
		.drain_ms = 20,
		.release_ms = 10000,
	};
	uint64_t begin_us = monotonic_us();
	struct arrival arrival;

	consumers_set_timeouts(fixture->consumers, &timeouts);
	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	close_listener(fixture, 0);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "withdraw");
	assert_false(arrival.abort);
	while (!arrive(fixture, &arrival) &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_string_equal(arrival.type, "withdraw");
	assert_int_equal(arrival.id, 1);
	assert_true(arrival.abort);
	assert_true(monotonic_us() - begin_us >= 20 * USEC_PER_MSEC);
	release(fixture, 1);
	run(fixture);
	run(fixture);
	assert_int_equal(info(fixture).withdrawn, 0);
	assert_int_equal(fixture->lost, 0);
}

/* Until it is released, a withdrawn listener's port is not free. */
static void test_holder(void **state)
{
	struct fixture *fixture = *state;
	const struct endpoint *endpoint = &fixture->listeners[0].endpoint;
	struct endpoint other = *endpoint;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_null(consumers_holder(fixture->consumers, 6, endpoint));
	close_listener(fixture, 0);
	assert_string_equal(consumers_holder(fixture->consumers, 6, endpoint),
			    SERVICE_RELAY);
	other.port++;
	assert_null(consumers_holder(fixture->consumers, 6, &other));
	assert_null(consumers_holder(fixture->consumers, 5, endpoint));
	run(fixture);
	release(fixture, 1);
	run(fixture);
	run(fixture);
	assert_null(consumers_holder(fixture->consumers, 6, endpoint));
}

/* What the consumer never saw needs no withdrawal. */
static void test_closed_before_delivery(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	open_listeners(fixture, 1);
	close_listener(fixture, 0);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).withdrawn, 0);
}

static void test_change_is_sent_without_descriptor(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "listener");
	assert_int_equal(arrival.id, 1);
	assert_int_equal(arrival.fd, -1);
}

/* The consumer's descriptor table is full: it is offered again, later. */
static void test_refused_is_offered_again(void **state)
{
	static const char refused[] = "{\"type\":\"refused\",\"id\":1}";
	struct fixture *fixture = *state;
	uint64_t begin_us;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_int_equal(send(fixture->peer_fd, refused, sizeof(refused) - 1,
			      0),
			 sizeof(refused) - 1);
	begin_us = monotonic_us();
	run(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).undelivered, 1);
	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	assert_true(monotonic_us() - begin_us >= USEC_PER_SEC / 2);
}

/* The same, when a rule's change waits to be sent: the consumer lacks the
 * listener as a whole, and is sent its descriptor. */
static void test_refused_while_changed(void **state)
{
	static const char refused[] = "{\"type\":\"refused\",\"id\":1}";
	struct fixture *fixture = *state;
	struct arrival arrival;
	uint64_t begin_us;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	assert_int_equal(send(fixture->peer_fd, refused, sizeof(refused) - 1,
			      0),
			 sizeof(refused) - 1);
	begin_us = monotonic_us();
	run(fixture); /* reads before it sends */
	assert_int_equal(arrive_all(fixture, "listener"), 0);
	assert_int_equal(info(fixture).undelivered, 1);
	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 1);
	assert_true(arrival.fd >= 0);
	close(arrival.fd);
}

static void run_until_delivered(struct fixture *fixture)
{
	uint64_t begin_us = monotonic_us();

	while (info(fixture).undelivered > 0 &&
	       monotonic_us() - begin_us < 10 * USEC_PER_SEC)
		run(fixture);
	assert_int_equal(info(fixture).undelivered, 0);
}

/* The refusal may be of an earlier offer than the last, which was taken: what
 * was ever sent is withdrawn when it closes. */
static void test_refused_is_withdrawn(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	says(fixture, "{\"type\":\"refused\",\"id\":1}");
	run(fixture);
	assert_int_equal(info(fixture).undelivered, 1);
	close_listener(fixture, 0);
	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "withdraw");
	assert_int_equal(arrival.id, 1);
	release(fixture, 1);
	run(fixture);
	assert_int_equal(info(fixture).withdrawn, 0);
}

/* What an earlier connection was sent is not withdrawn from the next. */
static void test_sent_to_an_earlier_connection(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	attach(fixture);
	close_listener(fixture, 0);
	assert_int_equal(info(fixture).withdrawn, 0);
}

/* The consumer has it, but could not take its change. */
static void test_change_is_repeated(void **state)
{
	struct fixture *fixture = *state;
	struct arrival arrival;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	consumers_listener_changed(fixture->consumers, &fixture->listeners[0]);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 1);
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	run(fixture);
	assert_int_equal(info(fixture).undelivered, 1);
	run_until_delivered(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_int_equal(arrival.id, 1);
	assert_int_equal(arrival.fd, -1);

	/* It lacks the whole, and says so after that. */
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	says(fixture, "{\"type\":\"refused\",\"id\":1}");
	says(fixture, "{\"type\":\"repeat\",\"id\":1}");
	run(fixture);
	run_until_delivered(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_true(arrival.fd >= 0);
	close(arrival.fd);
}

/* What it was not sent it cannot refuse, and what is closed is gone: neither
 * makes the others wait. */
static void test_refused_what_it_does_not_have(void **state)
{
	static const char *const refused[] = {
		"{\"type\":\"refused\",\"id\":1}",
		"{\"type\":\"refused\",\"id\":2}",
		"{\"type\":\"refused\",\"id\":0}",
		"{\"type\":\"refused\",\"id\":-1}",
		"{\"type\":\"refused\",\"id\":9223372036854775807}",
	};
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	close_listener(fixture, 0);
	attach(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_true(send(fixture->peer_fd, refused[i],
				 strlen(refused[i]), 0) > 0);
	run(fixture);
	run(fixture);
	open_listeners(fixture, 3);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	assert_int_equal(fixture->lost, 0);
}

static void test_garbage_ends_the_connection(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 1);
	attach(fixture);
	run(fixture);
	assert_int_equal(send(fixture->peer_fd, "garbage", 7, 0), 7);
	run(fixture);
	run(fixture);
	assert_int_equal(fixture->lost, 1);
	assert_int_equal(info(fixture).undelivered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivers_all),
		TEST(test_delivers_again_after_a_loss),
		TEST(test_withdraws_until_released),
		TEST(test_draining_ends),
		TEST(test_holder),
		TEST(test_closed_before_delivery),
		TEST(test_change_is_sent_without_descriptor),
		TEST(test_refused_is_offered_again),
		TEST(test_refused_while_changed),
		TEST(test_refused_is_withdrawn),
		TEST(test_sent_to_an_earlier_connection),
		TEST(test_change_is_repeated),
		TEST(test_refused_what_it_does_not_have),
		TEST(test_garbage_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
