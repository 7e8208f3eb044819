/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_fixture.h - a Varlink server, its clients and their loop, for tests
 *
 * Server and clients share one real loop: a client is the other end of a
 * socket pair, and its handler collects all replies.
 */
#ifndef TESTS_UNIT_VARLINK_FIXTURE_H
#define TESTS_UNIT_VARLINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "daemon/control/varlink.h"
#include "daemon/control/varlink_conns.h"

#define WATCHDOG_S 30

/**
 * struct client - one end of a connection
 * @replies:	NULs in @data
 */
struct client {
	int fd;
	struct loop_source *source;
	char *data;
	size_t len;
	size_t capacity;
	size_t replies;
	bool eof;
};

/**
 * struct bench - the connections and what happened to them
 * @elements_made, @lists_freed: by Count
 * @feed:	what Follow waits for
 * @deferred:	the calls of Later that are not replied to
 * @cancelled:	how many of them were given up
 * @connection:	the one that called Take last
 * @disconnected: the last one that is over
 * @done:	ends run_until()
 * @client, @wanted: which one @done looks at, and for how many replies
 */
struct bench {
	struct loop *loop;
	struct varlink_conns *conns;
	struct loop_timer *timer;
	bool timer_fired;
	size_t elements_made;
	size_t lists_freed;
	struct feed *feed;
	struct varlink_call *deferred[8];
	size_t n_deferred;
	size_t cancelled;
	uint64_t connection;
	uint64_t disconnected;
	bool (*done)(struct bench *bench);
	struct client *client;
	size_t wanted;
};

static struct bench bench;

/* --- the interface under test --- */

static inline void test_echo(struct varlink_call *call, void *user_data)
{
	const char *text = varlink_call_string(call, "text");

	(void)user_data;
	varlink_reply(call, json_pack("{s:s?}", "text", text));
}

static inline void test_fail(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_error(call, "Failed", json_pack("{s:i}", "code", 7));
}

static inline void test_starve(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_reply(call, NULL);
}

static inline void test_silent(struct varlink_call *call, void *user_data)
{
	(void)call;
	(void)user_data;
}

struct numbers {
	int next, end;
	bool fail;
};

static inline int numbers_next(void *state, json_t **ret_element)
{
	struct numbers *numbers = state;

	if (numbers->next == numbers->end)
		return numbers->fail ? -ENOMEM : 0;
	bench.elements_made++;
	*ret_element = json_pack("{s:i}", "n", numbers->next++);
	return 1;
}

static inline int numbers_none(void *state, json_t **ret_element)
{
	(void)state;
	(void)ret_element;
	return 0;
}

static const struct varlink_array numbers_arrays[] = {
	{ "numbers", numbers_next },
};

static inline void numbers_free(void *state)
{
	bench.lists_freed++;
	free(state);
}

static inline void test_count(struct varlink_call *call, void *user_data)
{
	const char *end = varlink_call_string(call, "end");
	struct numbers *numbers = calloc(1, sizeof(*numbers));
	struct varlink_list list = {
		.arrays = numbers_arrays,
		.n_arrays = 1,
		.free = numbers_free,
		.state = numbers,
	};
	json_t *head = json_object();

	(void)user_data;
	numbers->end = atoi(end);
	numbers->fail = varlink_call_string(call, "fail") != NULL;
	if (varlink_call_string(call, "head"))
		json_object_set_new(head, "head", json_true());
	varlink_reply_list(call, head, &list);
}

/* Each of the numbers in a reply of its own. */
static inline void test_each(struct varlink_call *call, void *user_data)
{
	struct numbers *numbers = calloc(1, sizeof(*numbers));
	struct varlink_list list = {
		.arrays = numbers_arrays,
		.n_arrays = 1,
		.each_alone = true,
		.free = numbers_free,
		.state = numbers,
	};

	(void)user_data;
	if (!varlink_call_more(call)) {
		free(numbers);
		varlink_expected_more(call);
		return;
	}
	numbers->end = atoi(varlink_call_string(call, "end"));
	numbers->fail = varlink_call_string(call, "fail") != NULL;
	varlink_reply_list(call, json_object(), &list);
}

/** struct feed - a list that goes on when the test says so */
struct feed {
	struct varlink_output *output;
	int next, known;
	bool ended;
	bool broken;
};

static inline int feed_next(void *state, json_t **ret_element)
{
	struct feed *feed = state;

	if (feed->next == feed->known && feed->broken)
		return -EOVERFLOW;
	if (feed->next == feed->known)
		return feed->ended ? 0 : -EAGAIN;
	*ret_element = json_integer(feed->next++);
	return 1;
}

static inline int feed_next_text(void *state, const char **ret_text,
				 size_t *ret_len)
{
	static char text[16];
	json_t *element = NULL;
	int r = feed_next(state, &element);

	if (r > 0)
		*ret_len = json_dumpb(element, text, sizeof(text),
				      JSON_ENCODE_ANY);
	*ret_text = text;
	json_decref(element);
	return r;
}

static inline json_t *feed_broken(void *state, const char **ret_error)
{
	const struct feed *feed = state;

	*ret_error = "org.example.test.Broken";
	return json_pack("{s:i}", "next", feed->next);
}

static inline void feed_free(void *state)
{
	bench.lists_freed++;
	bench.feed = NULL;
	free(state);
}

/* Of text, and patient, if the parameter is given. */
static inline void test_follow(struct varlink_call *call, void *user_data)
{
	bool patient = varlink_call_string(call, "patient") != NULL;
	static const struct varlink_array arrays[] = {
		{ "events", feed_next },
	};
	struct feed *feed = calloc(1, sizeof(*feed));
	struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = 1,
		.free = feed_free,
		.broken = feed_broken,
		.state = feed,
		.patient = patient,
	};

	(void)user_data;
	if (!varlink_call_more(call)) {
		free(feed);
		varlink_expected_more(call);
		return;
	}
	if (patient)
		list.next_text = feed_next_text;
	feed->output = varlink_call_output(call);
	bench.feed = feed;
	varlink_reply_list(call, json_object(), &list);
}

/* The numbers in two arrays, between others that are empty. */
static inline int low_next(void *state, json_t **ret_element)
{
	struct numbers *numbers = state;

	return numbers->next < numbers->end / 2
		       ? numbers_next(state, ret_element)
		       : 0;
}

static inline void test_halves(struct varlink_call *call, void *user_data)
{
	static const struct varlink_array arrays[] = {
		{ "none", numbers_none },
		{ "low", low_next },
		{ "nothing", numbers_none },
		{ "high", numbers_next },
	};
	struct numbers *numbers = calloc(1, sizeof(*numbers));
	struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = numbers_free,
		.state = numbers,
	};

	(void)user_data;
	numbers->end = atoi(varlink_call_string(call, "end"));
	varlink_reply_list(call,
			   json_pack("{s:i, s:[s]}", "n", numbers->end, "names",
				     "a"),
			   &list);
}

static inline void later_cancelled(void *state)
{
	(void)state;
	bench.cancelled++;
}

static inline void test_later(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	bench.deferred[bench.n_deferred++] =
		varlink_call_defer(call, later_cancelled, NULL);
}

static inline void test_later_longer(struct varlink_call *call, void *user_data)
{
	test_later(call, user_data);
	varlink_call_extend(bench.deferred[0], USEC_PER_SEC);
}

/* Takes the descriptor if there is a parameter; says whether there is one. */
static inline void test_take(struct varlink_call *call, void *user_data)
{
	bool takes = varlink_call_parameters(call) != NULL;
	int fd = takes ? varlink_call_take_fd(call) : -1;

	(void)user_data;
	bench.connection = varlink_call_connection(call);
	if (fd >= 0)
		(void)close(fd);
	varlink_reply(call, json_pack("{s:b, s:b}", "took", fd >= 0, "mine",
				      varlink_call_uid(call) == getuid()));
}

static inline void test_keep(struct varlink_call *call, void *user_data)
{
	int r = varlink_call_keep_connection(call);

	(void)user_data;
	varlink_reply(call, json_pack("{s:b}", "kept", r == 0));
}

static inline void test_disconnected(uint64_t connection, void *user_data)
{
	(void)user_data;
	bench.disconnected = connection;
}

static inline const char *test_refuse(const struct varlink_call *call,
				      const struct varlink_method *method,
				      void *user_data)
{
	(void)call;
	(void)user_data;
	return method->access ? "not for you" : NULL;
}

static const struct varlink_parameter echo_parameters[] = {
	{ .name = "text" }
};
static const struct varlink_parameter count_parameters[] = {
	{ .name = "end", .required = true },
	{ .name = "fail" },
	{ .name = "head" },
};
static const struct varlink_parameter halves_parameters[] = {
	{ .name = "end", .required = true }
};
static const struct varlink_parameter follow_parameters[] = {
	{ .name = "patient" },
};
static const struct varlink_method methods[] = {
	{ .name = "Echo",
	  .parameters = echo_parameters,
	  .n_parameters = ARRAY_SIZE(echo_parameters),
	  .handler = test_echo },
	{ .name = "Count",
	  .parameters = count_parameters,
	  .n_parameters = ARRAY_SIZE(count_parameters),
	  .handler = test_count },
	{ .name = "Fail", .handler = test_fail },
	{ .name = "Starve", .handler = test_starve },
	{ .name = "Silent", .handler = test_silent },
	{ .name = "Closed", .access = 1, .handler = test_silent },
	{ .name = "Later", .handler = test_later },
	{ .name = "LaterLonger", .handler = test_later_longer },
	{ .name = "Follow",
	  .parameters = follow_parameters,
	  .n_parameters = ARRAY_SIZE(follow_parameters),
	  .handler = test_follow },
	{ .name = "Take", .takes_any = true, .handler = test_take },
	{ .name = "Keep", .handler = test_keep },
	{ .name = "Halves",
	  .parameters = halves_parameters,
	  .n_parameters = ARRAY_SIZE(halves_parameters),
	  .handler = test_halves },
};
static const struct varlink_method second_methods[] = {
	{ .name = "Each",
	  .parameters = count_parameters,
	  .n_parameters = ARRAY_SIZE(count_parameters),
	  .handler = test_each },
	{ .name = "Closed", .access = 1, .handler = test_silent },
	{ .name = "Fail", .handler = test_fail },
};
static const struct varlink_interface second_interface = {
	.name = "org.example.second",
	.description = "interface org.example.second\n",
	.methods = second_methods,
	.n_methods = ARRAY_SIZE(second_methods),
	.refuse = test_refuse,
};
static const struct varlink_interface interface = {
	.name = "org.example.test",
	.description = "interface org.example.test\n",
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
	.refuse = test_refuse,
	.disconnected = test_disconnected,
	.next = &second_interface,
};

/* --- the bench --- */

static inline bool after_handler(void *user_data)
{
	(void)user_data;
	if (bench.done && bench.done(&bench))
		loop_quit(bench.loop, 0);
	return false;
}

static inline void timer_handler(void *user_data)
{
	(void)user_data;
	bench.timer_fired = true;
}

static inline int setup(void **state)
{
	(void)state;
	(void)alarm(WATCHDOG_S); /* a hang is a failure */
	log_init("test", LOG_LEVEL_ERROR);
	bench = (struct bench){ .loop = NULL };
	assert_int_equal(loop_new(&bench.loop), 0);
	loop_set_after(bench.loop, after_handler, NULL);
	assert_int_equal(loop_timer_new(bench.loop, timer_handler, NULL,
					&bench.timer),
			 0);
	assert_int_equal(varlink_conns_new(bench.loop, &interface, NULL,
					   &bench.conns),
			 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	varlink_conns_free(bench.conns);
	loop_timer_free(bench.timer);
	loop_free(bench.loop);
	return 0;
}

static inline void run_until(bool (*done)(struct bench *bench))
{
	bench.done = done;
	bench.timer_fired = false;
	/* Wakes the loop at least once, if only to find that it is done. */
	loop_timer_set(bench.timer, monotonic_us());
	assert_int_equal(loop_run(bench.loop), 0);
	bench.done = NULL;
}

static inline bool done_timer(struct bench *b)
{
	return b->timer_fired;
}

/* Lets everything happen that needs no waiting, and a little more. */
static inline void run_for_us(uint64_t us)
{
	bench.done = done_timer;
	bench.timer_fired = false;
	loop_timer_set(bench.timer, monotonic_us() + us);
	assert_int_equal(loop_run(bench.loop), 0);
}

static inline void client_handler(uint32_t events, void *user_data)
{
	struct client *client = user_data;
	char buffer[64 * 1024];
	ssize_t n = recv(client->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client->eof = true;
		(void)loop_source_set_events(client->source, 0);
		return;
	}
	if (client->len + (size_t)n > client->capacity) {
		client->capacity = 2 * client->capacity + sizeof(buffer);
		client->data = realloc(client->data, client->capacity);
	}
	memcpy(client->data + client->len, buffer, (size_t)n);
	client->len += (size_t)n;
	for (ssize_t i = 0; i < n; i++)
		client->replies += buffer[i] == '\0';
}

/* Return: what varlink_conns_add() said. */
static inline int client_open(struct client *client, bool reads)
{
	int pair[2], r;

	*client = (struct client){ .fd = -1 };
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, pair),
			 0);
	client->fd = pair[0];
	assert_int_equal(loop_add(bench.loop, client->fd, reads ? EPOLLIN : 0,
				  client_handler, client, &client->source),
			 0);
	r = varlink_conns_add(bench.conns, pair[1]);
	bench.client = client;
	return r;
}

/* A connection of a user other than root. */
static inline int client_open_as(struct client *client, uid_t uid)
{
	int r, pair[2];

	*client = (struct client){ .fd = -1 };
	assert_int_equal(seteuid(uid), 0);
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       pair);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, 0);
	client->fd = pair[0];
	assert_int_equal(loop_add(bench.loop, client->fd, EPOLLIN,
				  client_handler, client, &client->source),
			 0);
	return varlink_conns_add(bench.conns, pair[1]);
}

static inline void client_close(struct client *client)
{
	loop_source_free(client->source);
	(void)close(client->fd);
	free(client->data);
	client->data = NULL;
}

static inline void client_send(struct client *client, const char *text,
			       size_t len)
{
	assert_int_equal(send(client->fd, text, len, MSG_NOSIGNAL),
			 (ssize_t)len);
}

/* A call with its NUL. */
static inline void client_call(struct client *client, const char *text)
{
	client_send(client, text, strlen(text) + 1);
}

static inline bool done_replies(struct bench *b)
{
	return b->client->eof || b->client->replies >= b->wanted;
}

static inline bool done_eof(struct bench *b)
{
	return b->client->eof;
}

static inline bool done_no_conns(struct bench *b)
{
	return varlink_conns_count(b->conns) == 0;
}

static inline void client_await(struct client *client, size_t replies)
{
	bench.client = client;
	bench.wanted = replies;
	run_until(done_replies);
	assert_int_equal(client->replies, replies);
}

static inline void client_await_eof(struct client *client)
{
	bench.client = client;
	run_until(done_eof);
}

static inline bool done_deferred(struct bench *b)
{
	return b->n_deferred >= b->wanted;
}

static inline void await_deferred(size_t n)
{
	bench.wanted = n;
	run_until(done_deferred);
}

static inline json_t *client_reply(const struct client *client, size_t index)
{
	const char *p = client->data;
	json_t *reply;

	for (size_t i = 0; i < index; i++)
		p += strlen(p) + 1;
	reply = json_loads(p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(reply);
	return reply;
}

static inline void assert_reply(const struct client *client, size_t index,
				const char *expected)
{
	json_t *got = client_reply(client, index);
	json_t *want = json_loads(expected, 0, NULL);

	assert_non_null(want);
	if (!json_equal(got, want)) {
		char *text = json_dumps(got, 0);

		print_error("expected %s\ngot      %s\n", expected, text);
		free(text);
		fail();
	}
	json_decref(got);
	json_decref(want);
}

#define LATER "{\"method\": \"org.example.test.Later\"}"
#define LATER_LONGER "{\"method\": \"org.example.test.LaterLonger\"}"
#define SERVICE "org.varlink.service."
#define COUNT(n)                                                    \
	"{\"method\": \"org.example.test.Count\", \"parameters\": " \
	"{\"end\": \"" n "\"}}"
#define COUNT_MORE(n)                                               \
	"{\"method\": \"org.example.test.Count\", \"more\": true, " \
	"\"parameters\": {\"end\": \"" n "\"}}"
#define HALVES(n, more)                                             \
	"{\"method\": \"org.example.test.Halves\", \"more\": " more \
	", \"parameters\": {\"end\": \"" n "\"}}"
#define FOLLOW "{\"method\": \"org.example.test.Follow\", \"more\": true}"
#define FOLLOW_PATIENT                                               \
	"{\"method\": \"org.example.test.Follow\", \"more\": true, " \
	"\"parameters\": {\"patient\": \"yes\"}}"
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
