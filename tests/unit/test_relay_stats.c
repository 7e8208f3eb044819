// SPDX-License-Identifier: Apache-2.0
/* test_relay_stats.c - what the relay answers when berthd asks for its
 * counters
 *
 * The test takes berthd's place. There is one worker: then the numbers that it
 * counts by itself are exact.
 */
#include "relay_fixture.h"

#include <jansson.h>

#define N_MANY 700 /* listeners; their counts take several datagrams */

/* The kernel doubles it; two datagrams fit. */
#define NARROW_BYTES 12000

static int setup(void **state)
{
	(void)state;
	relay_start(1, 0);
	return 0;
}

static int setup_narrow(void **state)
{
	(void)state;
	relay_start(1, NARROW_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_stop();
	return 0;
}

static void ask(uint64_t request)
{
	char text[64];

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"stats\",\"request\":%llu}",
		       (unsigned long long)request);
	berthd_says(text, -1);
}

static json_t *hear(void)
{
	static char text[BERTH_MESSAGE_MAX + 1];
	json_t *message;

	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	message = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(message);
	return message;
}

static bool is_about(const json_t *message, const char *type, uint64_t request)
{
	const json_t *number = json_object_get(message, "request");

	return strcmp(json_string_value(json_object_get(message, "type")),
		      type) == 0 &&
	       (uint64_t)json_integer_value(number) == request;
}

/* Puts a part of the answer to @request into @all; any other message is none.
 * Return: is it the last part? */
static bool answer_part(json_t *all, const json_t *message, uint64_t request)
{
	if (!is_about(message, "stats", request))
		return false;
	json_array_extend(all, json_object_get(message, "listeners"));
	return !json_is_true(json_object_get(message, "more"));
}

/* *ret_n is the number of parts, or NULL. */
static json_t *answer(uint64_t request, unsigned int *ret_n)
{
	json_t *all = json_array();
	unsigned int n = 0;
	bool last = false;

	while (!last) {
		json_t *message = hear();

		last = answer_part(all, message, request);
		json_decref(message);
		n++;
	}
	if (ret_n)
		*ret_n = n;
	return all;
}

static json_t *counts_now(void)
{
	static uint64_t request = 1000;

	ask(++request);
	return answer(request, NULL);
}

/* "accepted" and the like, of the only listener that has counts. */
static long long count(const char *key)
{
	json_t *all = counts_now();
	long long n = json_integer_value(
		json_object_get(json_array_get(all, 0), key));

	assert_in_range(json_array_size(all), 0, 1);
	json_decref(all);
	return n;
}

/* The worker's part of it comes a moment after what clients see. */
static void wait_count(const char *key, long long wanted)
{
	uint64_t end_us = monotonic_us() + WAIT_S * USEC_PER_SEC;

	while (count(key) != wanted) {
		if (monotonic_us() > end_us)
			fail_msg("%s is %lld, not %lld", key, count(key),
				 wanted);
	}
}

static void expect_answer(const char *expected)
{
	json_t *all = counts_now();
	char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, expected);
	free(text);
	json_decref(all);
}

/* Tests */

static void test_nothing_to_tell(void **state)
{
	uint64_t id;
	int listener;

	(void)state;
	expect_answer("[]");
	listener = open_listener("tcp", "\"action\":\"echo\"", &id);
	expect_answer("[]");
	withdraw(id, /* abort= */ false);
	expect_answer("[]");
	(void)close(listener);
}

static void test_counts(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, client, server;
	char expected[256];
	uint64_t id;

	(void)state;
	listener = open_listener("tcp", forward_to(backend, ""), &id);
	client = connect_listener(listener);
	server = accept_from(backend);
	say(client, "ask");
	expect(server, "ask");
	say(server, "answer");
	expect(client, "answer");
	wait_count("bytes_out", 6);
	(void)snprintf(expected, sizeof(expected),
		       "[{\"accepted\":1,\"active\":1,\"bytes_in\":3,"
		       "\"bytes_out\":6,\"id\":%llu}]",
		       (unsigned long long)id);
	expect_answer(expected);
	/* Ended ones, and two that find no backend. */
	(void)close(server);
	expect_end(client);
	(void)close(backend);
	expect_no_backend(listener);
	expect_no_backend(listener);
	wait_count("active", 0);
	(void)snprintf(expected, sizeof(expected),
		       "[{\"accepted\":3,\"bytes_in\":3,\"bytes_out\":6,"
		       "\"ended\":{\"backend-end\":1,\"backend-refused\":2},"
		       "\"errors\":{\"%d\":2},\"id\":%llu}]",
		       ECONNREFUSED, (unsigned long long)id);
	expect_answer(expected);
	withdraw(id, /* abort= */ false);
	expect_answer("[]");
	(void)close(listener);
}

static void test_released_counts(void **state)
{
	char text[512], expected[512];
	uint64_t id;
	int listener, client;

	(void)state;
	listener = open_listener("udp", "\"action\":\"echo\"", &id);
	client = connect_to(SOCK_DGRAM, "127.0.0.1", port_of(listener));
	say(client, "ask");
	expect(client, "ask");
	(void)close(client);
	send_withdraw(id, /* abort= */ false);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"released\",\"id\":%llu,\"bytes_in\":3,"
		       "\"bytes_out\":3,\"messages_in\":1,\"messages_out\":1}",
		       (unsigned long long)id);
	assert_string_equal(text, expected);
	(void)close(listener);
}

/* Each has counted one datagram. Return: the first one's id. */
static uint64_t open_many(void)
{
	uint64_t id = 0, first = last_id + 1;

	for (int i = 0; i < N_MANY; i++) {
		int listener = open_listener(
			"udp", "\"action\":\"respond\",\"text\":\"x\"", &id);
		int client =
			connect_to(SOCK_DGRAM, "127.0.0.1", port_of(listener));

		say(client, "?");
		expect(client, "x");
		(void)close(client);
		(void)close(listener); /* the relay has it */
	}
	return first;
}

/* Does @seen say of each that it is there, @wanted times? @from, @to: which */
static void expect_seen(const unsigned int *seen, size_t from, size_t to,
			unsigned int wanted)
{
	for (size_t i = from; i < to; i++) {
		if (seen[i] != wanted)
			fail_msg("listener %zu: %u times, not %u", i, seen[i],
				 wanted);
	}
}

static void note_seen(unsigned int *seen, const json_t *all, uint64_t first)
{
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		uint64_t id = (uint64_t)json_integer_value(
			json_object_get(one, "id"));

		assert_in_range(id, first, first + N_MANY - 1);
		assert_int_equal(
			json_integer_value(json_object_get(one, "messages_in")),
			1);
		seen[id - first]++;
	}
}

static void test_answer_in_parts(void **state)
{
	uint64_t first = open_many();
	unsigned int seen[N_MANY] = { 0 }, n;
	json_t *all;

	(void)state;
	ask(1);
	all = answer(1, &n);
	assert_true(n > 2);
	note_seen(seen, all, first);
	expect_seen(seen, 0, N_MANY, 1);
	json_decref(all);
}

static size_t told_changed(uint64_t request)
{
	char text[96];
	json_t *all;
	size_t n;

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"stats\",\"request\":%llu,"
		       "\"changed\":true}",
		       (unsigned long long)request);
	berthd_says(text, -1);
	all = answer(request, NULL);
	n = json_array_size(all);
	json_decref(all);
	return n;
}

/* Workers count a moment after what clients see: asks until nothing changes. */
static void settle(uint64_t *request)
{
	for (int i = 0; told_changed(++*request) > 0; i++)
		assert_in_range(i, 0, 1000);
}

/* What was said once is not said again, unless berthd does not remember it. */
static void test_only_what_has_changed(void **state)
{
	uint64_t request = 1, id;
	int listener, client;
	json_t *all;
	size_t n;

	(void)state;
	(void)open_many();
	listener = open_listener("udp", "\"action\":\"respond\",\"text\":\"x\"",
				 &id);
	assert_int_equal(told_changed(request), N_MANY); /* not the new one */
	settle(&request);
	client = connect_to(SOCK_DGRAM, "127.0.0.1", port_of(listener));
	say(client, "?");
	expect(client, "x");
	do
		n = told_changed(++request);
	while (n == 0);
	assert_int_equal(n, 1);
	settle(&request);
	ask(++request);
	all = answer(request, NULL);
	assert_int_equal(json_array_size(all), N_MANY + 1);
	json_decref(all);
	assert_int_equal(told_changed(++request), 0);
	(void)close(client);
	(void)close(listener);
}

static void note_released(unsigned int *released, const json_t *message,
			  uint64_t first)
{
	uint64_t id;

	if (strcmp(json_string_value(json_object_get(message, "type")),
		   "released") != 0)
		return;
	id = (uint64_t)json_integer_value(json_object_get(message, "id"));
	assert_in_range(id, first, first + N_MANY - 1);
	released[id - first]++;
}

/* berthd reads nothing while an answer is under way, so that it rests, and
 * withdraws what comes next in it and what is further on. */
static void test_connection_that_is_full(void **state)
{
	enum { KEPT = N_MANY / 3, LAST = N_MANY - 1 };
	uint64_t first = open_many();
	unsigned int seen[N_MANY] = { 0 }, released[N_MANY] = { 0 };
	unsigned int n_released = 0;
	json_t *all = json_array(), *message;
	bool last = false;

	(void)state;
	ask(1);
	for (size_t i = KEPT; i < LAST; i++)
		send_withdraw(first + i, /* abort= */ true);
	while (!last || n_released < LAST - KEPT) {
		message = hear();
		last = answer_part(all, message, 1) || last;
		note_released(released, message, first);
		json_decref(message);
		n_released = 0;
		for (size_t i = 0; i < N_MANY; i++)
			n_released += released[i];
	}
	expect_seen(released, KEPT, LAST, 1);
	/* Of the others some were told before they went. */
	note_seen(seen, all, first);
	expect_seen(seen, 0, KEPT, 1);
	expect_seen(seen, LAST, N_MANY, 1);
	json_decref(all);
	memset(seen, 0, sizeof(seen));
	ask(2);
	all = answer(2, NULL);
	note_seen(seen, all, first);
	expect_seen(seen, 0, KEPT, 1);
	expect_seen(seen, KEPT, LAST, 0);
	expect_seen(seen, LAST, N_MANY, 1);
	json_decref(all);
}

/* A limit counts once, however often the relay looks whether it still holds
 * (each 100 ms), and again when accepting stops again. */
static void test_limited(void **state)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1");
	int listener, clients[3], servers[3];
	char byte;
	uint64_t id;

	(void)state;
	listener = open_listener(
		"tcp", forward_to(backend, ",\"max_connections\":1"), &id);
	clients[0] = connect_listener(listener);
	servers[0] = accept_from(backend);
	for (long long i = 1; i < 3; i++) {
		clients[i] = connect_listener(listener);
		set_wait(clients[i], 500);
		assert_int_equal(recv(clients[i], &byte, 1, 0), -1);
		wait_count("limited", i);
		reset(clients[i - 1]);
		expect_reset(servers[i - 1]);
		servers[i] = accept_from(backend);
	}
	wait_count("accepted", 3);
	assert_int_equal(count("limited"), 2);
	withdraw(id, /* abort= */ true);
	expect_reset(clients[2]);
	(void)close(servers[2]);
	(void)close(listener);
	(void)close(backend);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing_to_tell),
		T(test_counts),
		T(test_released_counts),
		T(test_answer_in_parts),
		T(test_only_what_has_changed),
		T(test_limited),
		cmocka_unit_test_setup_teardown(test_connection_that_is_full,
						setup_narrow, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
