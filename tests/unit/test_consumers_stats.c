// SPDX-License-Identifier: Apache-2.0
/* test_consumers_stats.c - what consumers are asked to count, and answer */
#include "consumers_fixture.h"

static void expect_request(struct fixture *fixture, json_int_t request)
{
	struct arrival arrival;

	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, "stats");
	assert_int_equal(arrival.id, request);
}

/* Only ids that the consumer has count, of the request that was asked last. */
static void test_counts(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 3);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 3);
	close_listener(fixture, 2);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "withdraw"), 1);
	answer(fixture, "{\"type\":\"stats\",\"request\":0,\"listeners\":"
			"[{\"id\":1}]}");
	assert_int_equal(fixture->n_counted, 0); /* nobody asked */

	consumers_ask_stats(fixture->consumers, 7);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 1);
	expect_request(fixture, 7);
	answer(fixture, "{\"type\":\"stats\",\"request\":6,\"listeners\":"
			"[{\"id\":1}]}");
	assert_int_equal(fixture->n_counted, 0);
	answer(fixture, "{\"type\":\"stats\",\"request\":7,\"more\":true,"
			"\"listeners\":[{\"id\":2,\"accepted\":5,"
			"\"errors\":{\"111\":3}},{\"id\":9},{\"id\":-1}]}");
	assert_int_equal(fixture->n_counted, 1);
	assert_int_equal(fixture->counted_id, 2);
	assert_int_equal(fixture->counted.accepted, 5);
	assert_int_equal(fixture->counted.errors[0].error, 111);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 1);
	assert_true(info(fixture).silent);
	/* One that is going is still the consumer's. */
	answer(fixture, "{\"type\":\"stats\",\"request\":7,\"listeners\":"
			"[{\"id\":3,\"active\":1}]}");
	assert_int_equal(fixture->counted_id, 3);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 7), 0);
	assert_false(info(fixture).silent);
	answer(fixture, "{\"type\":\"released\",\"id\":3,\"bytes_in\":8}");
	assert_int_equal(fixture->n_final, 1);
	assert_int_equal(fixture->counted.bytes_in, 8);
	answer(fixture, "{\"type\":\"released\",\"id\":3,\"bytes_in\":8}");
	assert_int_equal(fixture->n_final, 1); /* once */
	assert_int_equal(fixture->lost, 0);
}

/* It has one request to read, however often somebody wants to know. */
static void test_silent_consumer_is_asked_once(void **state)
{
	struct fixture *fixture = *state;

	attach(fixture);
	for (uint64_t request = 1; request < 5; request++) {
		consumers_ask_stats(fixture->consumers, request);
		assert_int_equal(consumers_stats_waiting(fixture->consumers,
							 request),
				 request == 1);
		run(fixture);
	}
	assert_true(info(fixture).silent);
	assert_int_equal(arrive_all(fixture, "stats"), 1);
	answer(fixture, "{\"type\":\"stats\",\"request\":1,\"listeners\":[]}");
	assert_false(info(fixture).silent);
	consumers_ask_stats(fixture->consumers, 5);
	expect_request(fixture, 5);
	/* Another connection is another consumer. */
	attach(fixture);
	assert_false(info(fixture).silent);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 5), 0);
	consumers_ask_stats(fixture->consumers, 6);
	expect_request(fixture, 6);
}

static void expect_changed(struct fixture *fixture, uint64_t request,
			   bool changed)
{
	char expected[128], text[128];
	ssize_t n;

	consumers_ask_stats(fixture->consumers, request);
	run(fixture);
	n = recv(fixture->peer_fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"stats\",\"request\":%d%s}", (int)request,
		       changed ? ",\"changed\":true" : "");
	assert_string_equal(text, expected);
}

/* Whose answer is complete is asked only for what has changed since. */
static void test_asked_for_changes(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 2);
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 2);
	expect_changed(fixture, 1, false);
	answer(fixture, "{\"type\":\"stats\",\"request\":1,\"listeners\":"
			"[{\"id\":1,\"accepted\":1}]}");
	expect_changed(fixture, 2, true);
	fixture->no_memory = true;
	answer(fixture, "{\"type\":\"stats\",\"request\":2,\"listeners\":"
			"[{\"id\":1,\"accepted\":2}]}");
	fixture->no_memory = false;
	expect_changed(fixture, 3, false);
	/* An id that is not known yet, or not any more. */
	answer(fixture, "{\"type\":\"stats\",\"request\":3,\"listeners\":"
			"[{\"id\":9,\"accepted\":2}]}");
	expect_changed(fixture, 4, false);
	answer(fixture, "{\"type\":\"stats\",\"request\":4,\"listeners\":[]}");
	expect_changed(fixture, 5, true);
	answer(fixture, "{\"type\":\"stats\",\"request\":5,\"listeners\":[]}");
	/* Another connection remembers nothing. */
	attach(fixture);
	run(fixture);
	assert_int_equal(arrive_all(fixture, "listener"), 2);
	expect_changed(fixture, 6, false);
}

/* What begins as libberth writes it, and goes on differently, counts as a
 * whole; blanks are no mistake. */
static void test_written_by_others(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 2);
	attach(fixture);
	run(fixture);
	consumers_ask_stats(fixture->consumers, 1);
	run(fixture);
	answer(fixture, "{\"type\":\"stats\",\"request\":1,\"listeners\":"
			"[{\"id\":1,\"accepted\":1},"
			"{\"accepted\": 5, \"id\": 2}],\"more\":true}");
	assert_int_equal(fixture->counted_id, 2);
	assert_int_equal(fixture->counted.accepted, 5);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 1), 1);
	answer(fixture, " {\"listeners\": [{\"id\": 1, \"active\": 3}], "
			"\"type\": \"stats\", \"request\": 1}");
	assert_int_equal(fixture->counted_id, 1);
	assert_int_equal(fixture->counted.active, 3);
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 1), 0);
	assert_int_equal(fixture->lost, 0);
}

static void test_wrong_counts_end_the_connection(void **state)
{
	static const char *const wrong[] = {
		"{\"type\":\"stats\",\"request\":1}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":{}}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[7]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[{}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"accepted\":-1}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"errors\":[]}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"errors\":{\"111\":\"3\"}}]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"accepted\":1},{\"id\":1,]}",
		"{\"type\":\"stats\",\"request\":1,\"listeners\":"
		"[{\"id\":1,\"active\":1,\"active\":1}]}",
		"{\"type\":\"released\",\"id\":1,\"active\":0.5}",
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		attach(fixture);
		consumers_ask_stats(fixture->consumers, 1);
		run(fixture);
		answer(fixture, wrong[i]);
		assert_int_equal(fixture->lost, i + 1);
		assert_int_equal(consumers_stats_waiting(fixture->consumers, 1),
				 0);
	}
}

/* It ends without reading what it was told last: the kernel says so before what
 * it had said itself. */
static void test_last_words(void **state)
{
	struct fixture *fixture = *state;

	open_listeners(fixture, 2);
	attach(fixture);
	run(fixture);
	close_listener(fixture, 0);
	run(fixture);
	says(fixture, "{\"type\":\"released\",\"id\":1,\"accepted\":7}");
	(void)close(TAKE_FD(fixture->peer_fd));
	close_listener(fixture, 1);
	consumers_step(fixture->consumers); /* cannot be sent any more */
	handle_ready(fixture);
	assert_int_equal(fixture->n_final, 1);
	assert_int_equal(fixture->counted.accepted, 7);
	assert_false(info(fixture).connected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_last_words),
		TEST(test_counts),
		TEST(test_silent_consumer_is_asked_once),
		TEST(test_asked_for_changes),
		TEST(test_written_by_others),
		TEST(test_wrong_counts_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
