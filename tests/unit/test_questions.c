// SPDX-License-Identifier: Apache-2.0
/* test_questions.c - what a consumer is asked about its clients, and answers */
#include "consumers_fixture.h"

#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/questions.h"

/* What was answered last. */
static struct heard {
	int n;
	int error;
	bool closed;
	uint64_t next;
	size_t n_connections;
} heard;

/* The answer to another one cancels it. */
static struct consumer_question *cancelled;

static void answered(const struct consumer_answer *answer, void *user_data)
{
	struct berth_connection client;

	assert_null(user_data);
	if (cancelled)
		consumers_cancel(TAKE_PTR(cancelled));
	heard.n++;
	heard.error = answer->error;
	heard.closed = answer->closed;
	heard.next = answer->next;
	heard.n_connections = json_array_size(answer->connections);
	if (heard.n_connections > 0)
		assert_int_equal(consumer_client_parse(
					 json_array_get(answer->connections, 0),
					 &client),
				 0);
}

static int last_number(const struct consumer_party *party, void *user_data)
{
	uint64_t *number = user_data;

	assert_string_equal(party->consumer, SERVICE_RELAY);
	*number = party->number;
	return 0;
}

static uint64_t party(struct fixture *fixture)
{
	uint64_t number = 0;

	assert_int_equal(consumers_each_connection(fixture->consumers,
						   last_number, &number),
			 0);
	return number;
}

static void expect(struct fixture *fixture, const char *type, int request)
{
	struct arrival arrival;

	run(fixture);
	assert_true(arrive(fixture, &arrival));
	assert_string_equal(arrival.type, type);
	assert_int_equal(arrival.id, request);
	assert_false(arrive(fixture, &arrival));
}

static void begin(struct fixture *fixture)
{
	heard = (struct heard){ .n = 0 };
	attach(fixture);
}

#define ONE "{\"id\":1,\"listener\":1,\"client\":\"c\"}"

static void test_one_after_the_other(void **state)
{
	struct fixture *fixture = *state;
	struct consumer_question list = { .answered = answered }, close = {
		.answered = answered, .closes = true, .number = 9
	};

	begin(fixture);
	assert_int_equal(
		consumers_ask(fixture->consumers, party(fixture), &list), 0);
	assert_int_equal(
		consumers_ask(fixture->consumers, party(fixture), &close), 0);
	expect(fixture, "connections", 1);
	answer(fixture, "{\"type\":\"closed\",\"request\":1,\"connection\":0,"
			"\"closed\":true}");
	answer(fixture,
	       "{\"type\":\"connections\",\"request\":2,\"connections\":[]}");
	assert_int_equal(heard.n, 0);
	answer(fixture, "{\"type\":\"connections\",\"request\":1,\"next\":5,"
			"\"connections\":[" ONE "]}");
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.error, 0);
	assert_int_equal(heard.next, 5);
	assert_int_equal(heard.n_connections, 1);
	expect(fixture, "close", 2);
	answer(fixture, "{\"type\":\"closed\",\"request\":2,\"connection\":8,"
			"\"closed\":true}");
	assert_int_equal(heard.n, 1);
	answer(fixture, "{\"type\":\"closed\",\"request\":2,\"connection\":9,"
			"\"closed\":true}");
	assert_int_equal(heard.n, 2);
	assert_true(heard.closed);
	answer(fixture, "{\"type\":\"closed\",\"request\":2,\"connection\":9,"
			"\"closed\":true}");
	assert_int_equal(heard.n, 2);
	assert_int_equal(fixture->lost, 0);
}

/* Cancelled before it is sent: nothing is. Afterwards: its answer is for
 * nobody, and the next one waits for it. */
static void test_cancelled(void **state)
{
	struct fixture *fixture = *state;
	struct consumer_question one = { .answered = answered },
				 two = { .answered = answered };
	struct arrival arrival;

	begin(fixture);
	assert_int_equal(
		consumers_ask(fixture->consumers, party(fixture), &one), 0);
	consumers_cancel(&one);
	run(fixture);
	assert_false(arrive(fixture, &arrival));

	assert_int_equal(
		consumers_ask(fixture->consumers, party(fixture), &one), 0);
	expect(fixture, "connections", 2);
	consumers_cancel(&one);
	assert_int_equal(
		consumers_ask(fixture->consumers, party(fixture), &two), 0);
	run(fixture);
	assert_false(arrive(fixture, &arrival));
	answer(fixture, "{\"type\":\"connections\",\"request\":2,"
			"\"connections\":[" ONE "]}");
	assert_int_equal(heard.n, 0);
	expect(fixture, "connections", 3);
	answer(fixture,
	       "{\"type\":\"connections\",\"request\":3,\"connections\":[]}");
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.n_connections, 0);
}

/* Whoever waits is told, from the loop; not who was cancelled meanwhile. */
static void test_connection_ends(void **state)
{
	struct fixture *fixture = *state;
	struct consumer_question one = { .answered = answered },
				 two = { .answered = answered },
				 three = { .answered = answered };
	uint64_t number;

	begin(fixture);
	number = party(fixture);
	assert_int_equal(consumers_ask(fixture->consumers, number, &one), 0);
	assert_int_equal(consumers_ask(fixture->consumers, number, &two), 0);
	assert_int_equal(consumers_ask(fixture->consumers, number, &three), 0);
	expect(fixture, "connections", 1);
	cancelled = &three;
	answer(fixture, "garbage");
	assert_int_equal(fixture->lost, 1);
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.error, -ENOTCONN);
	assert_int_equal(consumers_ask(fixture->consumers, number, &one),
			 -ENOTCONN);
}

static void test_what_a_connection_has(void **state)
{
	struct fixture *fixture = *state;
	struct consumer_held_listener held;
	uint64_t number;

	begin(fixture);
	number = party(fixture);
	open_listeners(fixture, 2);
	assert_false(consumers_find_held(fixture->consumers, number, 1, &held));
	run(fixture);
	assert_true(consumers_find_held(fixture->consumers, number, 1, &held));
	assert_int_equal(held.netns_id, 6);
	assert_false(held.draining);
	assert_ptr_equal(held.service, fixture->service);
	close_listener(fixture, 0);
	assert_true(consumers_find_held(fixture->consumers, number, 1, &held));
	assert_true(held.draining);
	assert_int_equal(held.endpoint->port, 80);
	assert_false(consumers_find_held(fixture->consumers, number, 3, &held));
	assert_false(
		consumers_find_held(fixture->consumers, number + 1, 2, &held));
}

static void test_texts(void **state)
{
	char text[CONSUMER_QUESTION_MAX];

	(void)state;
	consumer_connections_fmt(INT64_MAX, INT64_MAX, INT64_MAX, UINT64_MAX,
				 text);
	assert_string_equal(text, "{\"type\":\"connections\",\"request\":"
				  "9223372036854775807,\"after\":"
				  "9223372036854775807,\"min_age_ms\":"
				  "9223372036854775807,\"listener\":-1}");
	consumer_close_fmt(1, 2, text);
	assert_string_equal(text, "{\"type\":\"close\",\"request\":1,"
				  "\"connection\":2}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_the_other),
		TEST(test_cancelled),
		TEST(test_connection_ends),
		TEST(test_what_a_connection_has),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
