// SPDX-License-Identifier: Apache-2.0
/* test_varlink_conns.c - framing, limits and deadlines of Varlink connections
 */
#include "tests/unit/varlink_fixture.h"

/* --- framing --- */

static void test_byte_by_byte(void **state)
{
	static const char call[] = "{\"method\": \"org.example.test.Echo\", "
				   "\"parameters\": {\"text\": \"x\"}}";
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	for (size_t i = 0; i < sizeof(call); i++) {
		assert_int_equal(client.replies, 0);
		client_send(&client, &call[i], 1);
		run_for_us(0);
	}
	client_await(&client, 1);
	assert_reply(&client, 0, "{\"parameters\": {\"text\": \"x\"}}");
	client_close(&client);
}

static void test_pipelining(void **state)
{
	enum { CALLS = 500 };
	char text[CALLS * 96], expected[64];
	struct client client;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < CALLS; i++)
		len += (size_t)sprintf(text + len,
				       "{\"method\":\"org.example.test.Echo\","
				       "\"parameters\":{\"text\":\"%d\"}}",
				       i) +
		       1;
	assert_int_equal(client_open(&client, true), 0);
	client_send(&client, text, len);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	client_await_eof(&client);
	assert_int_equal(client.replies, CALLS);
	for (int i = 0; i < CALLS; i++) {
		(void)sprintf(expected, "{\"parameters\":{\"text\":\"%d\"}}",
			      i);
		assert_reply(&client, (size_t)i, expected);
	}
	client_close(&client);
}

/* A call with @len bytes in all, its NUL included. */
static void send_call_of(struct client *client, size_t len)
{
	static const char head[] = "{\"method\": \"org.example.test.Echo\"";
	char *text = malloc(len);

	memset(text, ' ', len);
	memcpy(text, head, sizeof(head) - 1);
	text[len - 2] = '}';
	text[len - 1] = '\0';
	client_send(client, text, len);
	free(text);
}

static void test_longest_call(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	send_call_of(&client, VARLINK_REQUEST_MAX);
	send_call_of(&client, VARLINK_REQUEST_MAX);
	client_await(&client, 2);
	assert_reply(&client, 1, "{\"parameters\": {\"text\": null}}");
	send_call_of(&client, VARLINK_REQUEST_MAX + 1);
	client_await_eof(&client);
	assert_int_equal(client.replies, 3);
	assert_reply(&client, 2,
		     "{\"error\": \"org.example.test.InvalidRequest\", "
		     "\"parameters\": {\"message\": \"the call is longer than "
		     "64 KiB\"}}");
	client_close(&client);
}

static void test_half_call_then_gone(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_send(&client, "{\"method", 8);
	run_for_us(0);
	client_close(&client);
	run_until(done_no_conns);
}

/* --- lists, and clients that do not read --- */

/* Runs until the server has filled the socket of a client that does not read:
 * then a batch passes in which it makes nothing. */
static void run_until_stalled(void)
{
	size_t before;

	do {
		before = bench.elements_made;
		run_for_us(0);
	} while (bench.elements_made == 0 || bench.elements_made != before);
}

static bool done_list_freed(struct bench *b)
{
	return b->lists_freed > 0;
}

static void test_slow_reader(void **state)
{
	struct client client;
	json_t *reply, *numbers;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
	run_until_stalled();
	/* What fits into the socket and one piece, of 2.4 MB in all. */
	assert_in_range(bench.elements_made, 1, 100000);
	assert_int_equal(loop_source_set_events(client.source, EPOLLIN), 0);
	client_await(&client, 2);
	reply = client_reply(&client, 0);
	numbers = json_object_get(json_object_get(reply, "parameters"),
				  "numbers");
	assert_int_equal(json_array_size(numbers), 200000);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(numbers, 199999), "n")),
			 199999);
	json_decref(reply);
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

/* The same in several replies: each is made when there is room for it. */
static void test_slow_reader_of_more(void **state)
{
	struct client client, other;
	size_t made;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT_MORE("200000"));
	run_until_stalled();
	made = bench.elements_made;
	assert_in_range(made, 1, 100000);
	/* Others do not wait for the reader. */
	assert_int_equal(client_open(&other, true), 0);
	client_call(&other, "{\"method\": \"org.example.test.Echo\"}");
	client_await(&other, 1);
	assert_int_equal(bench.elements_made, made);
	assert_int_equal(loop_source_set_events(client.source, EPOLLIN), 0);
	bench.client = &client;
	run_until(done_list_freed);
	assert_int_equal(bench.elements_made, 200000);
	client_close(&other);
	client_close(&client);
	run_until(done_no_conns);
}

static void test_gone_in_list(void **state)
{
	static const char *const calls[] = { COUNT("200000"),
					     COUNT_MORE("200000") };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct client client;

		bench.elements_made = 0;
		assert_int_equal(client_open(&client, false), 0);
		client_call(&client, calls[i]);
		run_until_stalled();
		assert_int_equal(bench.lists_freed, i);
		client_close(&client);
		run_until(done_no_conns);
		assert_int_equal(bench.lists_freed, i + 1);
	}
}

static void test_freed_in_list(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	run_until_stalled();
	bench.conns = varlink_conns_free(bench.conns);
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

static void test_list_without_memory(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Count\", "
			     "\"parameters\": {\"end\": \"3000\", \"fail\": "
			     "\"yes\"}}");
	client_await_eof(&client);
	assert_int_equal(client.replies, 0); /* a reply without its end */
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

/* A client that sends and never reads fills its socket, not our memory. */
static void test_calls_without_reading(void **state)
{
	static const char call[] = "{\"method\": \"org.example.test.Nothing\"}";
	struct client client;
	size_t sent = 0;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	for (int i = 0; i < 100; i++) {
		while (send(client.fd, call, sizeof(call), MSG_NOSIGNAL) ==
		       (ssize_t)sizeof(call))
			sent++;
		assert_int_equal(errno, EAGAIN);
		run_for_us(0);
	}
	assert_in_range(sent, 100, 100000);
	client_close(&client);
	run_until(done_no_conns);
}

/* --- deadlines and limits --- */

static void test_deadline_of_half_call(void **state)
{
	struct client idle, half;

	(void)state;
	varlink_conns_set_timeout(bench.conns, 50 * USEC_PER_MSEC);
	assert_int_equal(client_open(&idle, true), 0);
	client_call(&idle, "{\"method\": \"org.example.test.Echo\"}");
	client_await(&idle, 1);
	assert_int_equal(client_open(&half, true), 0);
	client_send(&half, "{", 1);
	client_await_eof(&half);
	client_close(&half);
	/* Between two calls there is no deadline. */
	run_for_us(100 * USEC_PER_MSEC);
	assert_false(idle.eof);
	client_call(&idle, "{\"method\": \"org.example.test.Echo\"}");
	client_await(&idle, 2);
	client_close(&idle);
}

/* More bytes do not buy more time. */
static void test_deadline_is_for_the_call(void **state)
{
	struct client client;
	uint64_t begin_us = monotonic_us();

	(void)state;
	varlink_conns_set_timeout(bench.conns, 100 * USEC_PER_MSEC);
	assert_int_equal(client_open(&client, true), 0);
	client_send(&client, "{", 1);
	while (!client.eof && monotonic_us() - begin_us < 10 * USEC_PER_SEC) {
		(void)send(client.fd, " ", 1, MSG_NOSIGNAL);
		run_for_us(10 * USEC_PER_MSEC);
	}
	assert_true(client.eof);
	client_close(&client);
}

static void test_deadline_of_reader(void **state)
{
	struct client client;

	(void)state;
	varlink_conns_set_timeout(bench.conns, 50 * USEC_PER_MSEC);
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	run_until(done_no_conns);
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

static void test_too_many(void **state)
{
	static struct client clients[VARLINK_CONNECTIONS_MAX + 2];
	const size_t max = VARLINK_CONNECTIONS_MAX;

	(void)state;
	for (size_t i = 0; i < max; i++)
		assert_int_equal(client_open(&clients[i], true), 0);
	/* All but the second have half a call under way. */
	for (size_t i = 0; i < max; i++) {
		if (i != 1)
			client_send(&clients[i], "{", 1);
	}
	run_for_us(10 * USEC_PER_MSEC);
	assert_int_equal(client_open(&clients[max], true), 0);
	assert_int_equal(varlink_conns_count(bench.conns), max);
	client_await_eof(&clients[1]);
	client_send(&clients[max], "{", 1);
	run_for_us(10 * USEC_PER_MSEC);
	assert_int_equal(client_open(&clients[max + 1], true), -EBUSY);
	client_await_eof(&clients[max + 1]);
	for (size_t i = 0; i < max + 2; i++)
		client_close(&clients[i]);
	run_until(done_no_conns);
}

/* --- users --- */

/* None of its connections is idle: each has half a call under way. */
static void busy(struct client *clients, size_t n)
{
	for (size_t i = 0; i < n; i++)
		client_send(&clients[i], "{", 1);
	run_for_us(10 * USEC_PER_MSEC);
}

static void test_users_share(void **state)
{
	static struct client clients[2 * VARLINK_CONNECTIONS_MAX];
	const size_t each = VARLINK_USER_CONNECTIONS_MAX;
	const size_t all = VARLINK_USERS_CONNECTIONS_MAX;
	uid_t uid = 1000;
	size_t n = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* One user: when none of its connections is idle there is no other. */
	for (; n < each; n++)
		assert_int_equal(client_open_as(&clients[n], uid), 0);
	busy(clients, n - 1);
	assert_int_equal(client_open_as(&clients[n++], uid), 0);
	client_await_eof(&clients[each - 1]);
	busy(&clients[each], 1);
	assert_int_equal(client_open_as(&clients[n++], uid), -EBUSY);
	/* Others are served, up to their share, and do not displace each
	 * other's idle connections. */
	for (; varlink_conns_count(bench.conns) < all; n++)
		assert_int_equal(client_open_as(&clients[n],
						(uid_t)(uid + 1 + n / each)),
				 0);
	assert_int_equal(client_open_as(&clients[n++], uid + 4711), -EBUSY);
	assert_int_equal(varlink_conns_count(bench.conns), all);
	/* Root always is; at the limit an idle user makes way, not root. */
	while (varlink_conns_count(bench.conns) < VARLINK_CONNECTIONS_MAX)
		assert_int_equal(client_open(&clients[n++], true), 0);
	run_for_us(10 * USEC_PER_MSEC);
	assert_int_equal(client_open(&clients[n++], true), 0);
	assert_int_equal(varlink_conns_count(bench.conns),
			 VARLINK_CONNECTIONS_MAX);
	client_await_eof(&clients[each + 2]);
	while (n > 0)
		client_close(&clients[--n]);
	run_until(done_no_conns);
}

/* --- deferred replies --- */

#define ECHO "{\"method\": \"org.example.test.Echo\"}"

/* The calls of one client wait behind it, those of others do not. */
static void test_deferred_reply(void **state)
{
	struct client one, other;

	(void)state;
	assert_int_equal(client_open(&one, true), 0);
	assert_int_equal(client_open(&other, true), 0);
	client_call(&one, LATER);
	client_call(&one, ECHO);
	await_deferred(1);
	client_call(&other, ECHO);
	client_await(&other, 1);
	run_for_us(1000);
	assert_int_equal(one.replies, 0);
	varlink_reply(bench.deferred[0], json_pack("{s:i}", "n", 1));
	client_await(&one, 2);
	assert_reply(&one, 0, "{\"parameters\": {\"n\": 1}}");
	assert_reply(&one, 1, "{\"parameters\": {\"text\": null}}");
	client_call(&one, LATER);
	await_deferred(2);
	varlink_error(bench.deferred[1], "Failed", json_object());
	client_await(&one, 3);
	client_call(&one, LATER);
	await_deferred(3);
	varlink_reply(bench.deferred[2], NULL);
	client_await(&one, 4);
	assert_reply(&one, 3,
		     "{\"error\": \"org.example.test.OutOfMemory\", "
		     "\"parameters\": {}}");
	assert_int_equal(bench.cancelled, 0);
	client_close(&one);
	client_close(&other);
}

static void test_deferred_list(void **state)
{
	struct numbers *numbers = calloc(1, sizeof(*numbers));
	struct varlink_list list = {
		.arrays = numbers_arrays,
		.n_arrays = 1,
		.free = numbers_free,
		.state = numbers,
	};
	struct client client;

	(void)state;
	numbers->end = 2;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER);
	await_deferred(1);
	varlink_reply_list(bench.deferred[0], json_object(), &list);
	client_await(&client, 1);
	assert_reply(&client, 0,
		     "{\"parameters\": {\"numbers\": "
		     "[{\"n\": 0}, {\"n\": 1}]}}");
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

static void test_deferred_oneway(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Later\", "
			     "\"oneway\": true}");
	client_call(&client, ECHO);
	await_deferred(1);
	varlink_reply(bench.deferred[0], json_object());
	client_await(&client, 1);
	assert_reply(&client, 0, "{\"parameters\": {\"text\": null}}");
	/* With nothing behind it the connection goes on as well. */
	client_call(&client, "{\"method\": \"org.example.test.Later\", "
			     "\"oneway\": true}");
	await_deferred(2);
	varlink_reply(bench.deferred[1], json_object());
	run_for_us(1000);
	client_call(&client, ECHO);
	client_await(&client, 2);
	client_close(&client);
}

static void test_deferred_client_gone(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER);
	await_deferred(1);
	client_close(&client);
	run_until(done_no_conns);
	assert_int_equal(bench.cancelled, 1);
	/* And when it is the server that goes: teardown, and the sanitizer. */
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER);
	await_deferred(2);
	bench.conns = varlink_conns_free(bench.conns);
	assert_int_equal(bench.cancelled, 2);
	client_close(&client);
}

/* It said all it has to say, and still reads. */
static void test_deferred_half_closed(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER);
	await_deferred(1);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	run_for_us(1000);
	assert_int_equal(bench.cancelled, 0);
	varlink_reply(bench.deferred[0], json_object());
	client_await_eof(&client);
	assert_reply(&client, 0, "{\"parameters\": {}}");
	client_close(&client);
}

/* Waiting is not idling: it makes way for nobody. */
static void test_deferred_is_not_idle(void **state)
{
	struct client waiting, others[VARLINK_CONNECTIONS_MAX];

	(void)state;
	assert_int_equal(client_open(&waiting, true), 0);
	client_call(&waiting, LATER);
	await_deferred(1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(client_open(&others[i], true), 0);
	run_for_us(1000);
	assert_int_equal(bench.cancelled, 0);
	varlink_reply(bench.deferred[0], json_object());
	client_await(&waiting, 1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		client_close(&others[i]);
	client_close(&waiting);
}

/* --- lists that go on later --- */

static bool done_following(struct bench *b)
{
	return b->feed != NULL;
}

static void follow(struct client *client)
{
	assert_int_equal(client_open(client, true), 0);
	client_call(client, FOLLOW);
	run_until(done_following);
}

/* One more element, or the end of all. */
static void feed_more(int more)
{
	bench.feed->known += more;
	bench.feed->ended = more == 0;
	varlink_output_wake(bench.feed->output);
}

static void test_replies_at_any_time(void **state)
{
	struct client client;

	(void)state;
	varlink_conns_set_timeout(bench.conns, 20 * USEC_PER_MSEC);
	follow(&client);
	client_await(&client, 1);
	assert_reply(&client, 0,
		     "{\"parameters\": {\"events\": []}, "
		     "\"continues\": true}");
	/* To wait for what may never come has no deadline. */
	run_for_us(60 * USEC_PER_MSEC);
	assert_int_equal(client.replies, 1);
	feed_more(1);
	client_await(&client, 2);
	assert_reply(&client, 1,
		     "{\"parameters\": {\"events\": [0]}, "
		     "\"continues\": true}");
	varlink_output_wake(bench.feed->output); /* for nothing */
	run_for_us(1000);
	assert_int_equal(client.replies, 2);
	feed_more(2);
	varlink_output_wake(bench.feed->output); /* it does not wait */
	client_await(&client, 3);
	client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
	run_for_us(1000);
	assert_int_equal(client.replies, 3);
	feed_more(0);
	client_await(&client, 5);
	assert_reply(&client, 3, "{\"parameters\": {\"events\": []}}");
	assert_int_equal(bench.lists_freed, 1);
	client_close(&client);
}

static void test_follower_goes(void **state)
{
	struct client client;

	(void)state;
	follow(&client);
	client_await(&client, 1);
	client_close(&client);
	run_until(done_no_conns);
	assert_null(bench.feed);
	/* One that only stopped sending still reads, until it goes. */
	follow(&client);
	client_await(&client, 1);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	run_for_us(1000);
	feed_more(1);
	client_await(&client, 2);
	run_for_us(1000);
	client_close(&client);
	run_until(done_no_conns);
	assert_null(bench.feed);
	/* And when it is the server that goes. */
	follow(&client);
	client_await(&client, 1);
	bench.conns = varlink_conns_free(bench.conns);
	assert_null(bench.feed);
	client_close(&client);
}

/* What it does not read stays with the list. */
static void test_follower_does_not_read(void **state)
{
	struct client client;

	(void)state;
	follow(&client);
	client_await(&client, 1);
	assert_int_equal(loop_source_set_events(client.source, 0), 0);
	feed_more(1000000);
	run_for_us(100 * USEC_PER_MSEC);
	assert_in_range(bench.feed->next, 1, 900000);
	client_close(&client);
	run_until(done_no_conns);
	assert_null(bench.feed);
}

/* The last reply is an error, and the connection goes on. */
static void test_follower_breaks_off(void **state)
{
	struct client client;

	(void)state;
	follow(&client);
	client_await(&client, 1);
	bench.feed->broken = true;
	feed_more(2);
	client_await(&client, 3);
	assert_reply(&client, 1,
		     "{\"parameters\": {\"events\": [0, 1]}, "
		     "\"continues\": true}");
	assert_reply(&client, 2,
		     "{\"error\": \"org.example.test.Broken\", "
		     "\"parameters\": {\"next\": 2}}");
	assert_null(bench.feed);
	client_call(&client, FOLLOW_PATIENT);
	run_until(done_following);
	client_await(&client, 4);
	/* With nothing before it. */
	bench.feed->broken = true;
	varlink_output_wake(bench.feed->output);
	client_await(&client, 5);
	assert_reply(&client, 4,
		     "{\"error\": \"org.example.test.Broken\", "
		     "\"parameters\": {\"next\": 0}}");
	assert_int_equal(bench.lists_freed, 2);
	client_close(&client);
}

static bool done_broken(struct bench *b)
{
	return b->feed == NULL;
}

static bool done_without_follower(struct bench *b)
{
	return b->feed == NULL;
}

/* A patient list waits for its reader, also for the one that breaks off; others
 * have a deadline. */
static void test_patient(void **state)
{
	static const char *const calls[] = { FOLLOW, FOLLOW_PATIENT };
	struct client client;
	json_t *last;

	(void)state;
	varlink_conns_set_timeout(bench.conns, 20 * USEC_PER_MSEC);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(client_open(&client, false), 0);
		client_call(&client, calls[i]);
		run_until(done_following);
		feed_more(1000000);
		if (i == 0) {
			run_until(done_without_follower);
			client_close(&client);
		}
	}
	run_for_us(60 * USEC_PER_MSEC);
	assert_non_null(bench.feed);
	if (!bench.feed)
		return; /* it was said above that there is one */
	bench.feed->known = bench.feed->next;
	bench.feed->broken = true;
	run_for_us(60 * USEC_PER_MSEC);
	assert_int_equal(loop_source_set_events(client.source, EPOLLIN), 0);
	run_until(done_broken);
	run_for_us(60 * USEC_PER_MSEC);
	assert_false(client.eof);
	last = client_reply(&client, client.replies - 1);
	assert_non_null(json_object_get(last, "error"));
	json_decref(last);
	client_close(&client);
}

static void test_follow_needs_more(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Follow\"}");
	client_await(&client, 1);
	assert_reply(&client, 0,
		     "{\"error\": \"org.varlink.service.ExpectedMore\", "
		     "\"parameters\": {}}");
	client_close(&client);
}

static void test_follower_is_not_idle(void **state)
{
	struct client waiting, others[VARLINK_CONNECTIONS_MAX];

	(void)state;
	follow(&waiting);
	client_await(&waiting, 1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(client_open(&others[i], true), 0);
	run_for_us(1000);
	feed_more(1);
	client_await(&waiting, 2);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		client_close(&others[i]);
	client_close(&waiting);
}

static void test_deferred_may_take_longer(void **state)
{
	struct client client;

	(void)state;
	varlink_conns_set_timeout(bench.conns, 10 * USEC_PER_MSEC);
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER_LONGER);
	await_deferred(1);
	run_for_us(30 * USEC_PER_MSEC);
	assert_int_equal(bench.cancelled, 0);
	varlink_reply(bench.deferred[0], json_object());
	client_await(&client, 1);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_byte_by_byte),
		BENCH_TEST(test_pipelining),
		BENCH_TEST(test_longest_call),
		BENCH_TEST(test_half_call_then_gone),
		BENCH_TEST(test_slow_reader),
		BENCH_TEST(test_slow_reader_of_more),
		BENCH_TEST(test_gone_in_list),
		BENCH_TEST(test_freed_in_list),
		BENCH_TEST(test_list_without_memory),
		BENCH_TEST(test_calls_without_reading),
		BENCH_TEST(test_deadline_of_half_call),
		BENCH_TEST(test_deadline_is_for_the_call),
		BENCH_TEST(test_deadline_of_reader),
		BENCH_TEST(test_too_many),
		BENCH_TEST(test_users_share),
		BENCH_TEST(test_deferred_reply),
		BENCH_TEST(test_deferred_list),
		BENCH_TEST(test_deferred_oneway),
		BENCH_TEST(test_deferred_client_gone),
		BENCH_TEST(test_deferred_half_closed),
		BENCH_TEST(test_deferred_is_not_idle),
		BENCH_TEST(test_replies_at_any_time),
		BENCH_TEST(test_follower_goes),
		BENCH_TEST(test_follower_does_not_read),
		BENCH_TEST(test_follower_breaks_off),
		BENCH_TEST(test_patient),
		BENCH_TEST(test_follow_needs_more),
		BENCH_TEST(test_follower_is_not_idle),
		BENCH_TEST(test_deferred_may_take_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
