// SPDX-License-Identifier: Apache-2.0
/* test_varlink.c - framing, dispatch and limits of the control socket
 *
 * Server and clients share one real loop: a client is a socketpair's other
 * end, whose handler collects what arrives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "daemon/varlink_internal.h"

#define WATCHDOG_S 30

struct client {
	int fd;
	struct loop_source *source;
	char *data;
	size_t len;
	size_t capacity;
	size_t replies; /* NULs in data */
	bool eof;
};

struct bench {
	struct loop *loop;
	struct varlink_server *server;
	struct loop_timer *timer;
	bool timer_fired;
	size_t elements_made;
	size_t lists_freed;
	bool (*done)(struct bench *bench);
	struct client *client;
	size_t wanted;
};

static struct bench bench;

/* --- the interface under test --- */

static void test_echo(struct varlink_call *call, void *user_data)
{
	const char *text = varlink_call_string(call, "text");

	(void)user_data;
	varlink_reply(call, json_pack("{s:s?}", "text", text));
}

static void test_fail(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_error(call, "Failed", json_pack("{s:i}", "code", 7));
}

static void test_starve(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_reply(call, NULL);
}

static void test_silent(struct varlink_call *call, void *user_data)
{
	(void)call;
	(void)user_data;
}

struct numbers {
	int next, end;
	bool fail;
};

static int numbers_next(void *state, json_t **ret_element)
{
	struct numbers *numbers = state;

	if (numbers->next == numbers->end)
		return numbers->fail ? -ENOMEM : 0;
	bench.elements_made++;
	*ret_element = json_pack("{s:i}", "n", numbers->next++);
	return 1;
}

static void numbers_free(void *state)
{
	bench.lists_freed++;
	free(state);
}

static void test_count(struct varlink_call *call, void *user_data)
{
	const char *end = varlink_call_string(call, "end");
	struct numbers *numbers = calloc(1, sizeof(*numbers));
	struct varlink_list list = {
		.member = "numbers",
		.next = numbers_next,
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

static const struct varlink_parameter echo_parameters[] = { { "text", false } };
static const struct varlink_parameter count_parameters[] = {
	{ "end", true },
	{ "fail", false },
	{ "head", false },
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
};
static const struct varlink_interface interface = {
	.name = "org.example.test",
	.description = "interface org.example.test\n",
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};

/* --- the bench --- */

static bool after_handler(void *user_data)
{
	(void)user_data;
	if (bench.done && bench.done(&bench))
		loop_quit(bench.loop, 0);
	return false;
}

static void timer_handler(void *user_data)
{
	(void)user_data;
	bench.timer_fired = true;
}

static int setup(void **state)
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
	assert_int_equal(varlink_server_new(bench.loop, &interface, NULL,
					    &bench.server),
			 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	varlink_server_free(bench.server);
	loop_timer_free(bench.timer);
	loop_free(bench.loop);
	return 0;
}

static void run_until(bool (*done)(struct bench *bench))
{
	bench.done = done;
	bench.timer_fired = false;
	/* Wakes the loop at least once, if only to find that it is done. */
	loop_timer_set(bench.timer, monotonic_us());
	assert_int_equal(loop_run(bench.loop), 0);
	bench.done = NULL;
}

static bool done_timer(struct bench *b)
{
	return b->timer_fired;
}

/* Lets everything happen that needs no waiting, and a little more. */
static void run_for_us(uint64_t us)
{
	bench.done = done_timer;
	bench.timer_fired = false;
	loop_timer_set(bench.timer, monotonic_us() + us);
	assert_int_equal(loop_run(bench.loop), 0);
}

static void client_handler(uint32_t events, void *user_data)
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

/* Return: what varlink_server_attach() said. */
static int client_open(struct client *client, bool reads)
{
	int pair[2], r;

	*client = (struct client){ .fd = -1 };
	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, pair),
			 0);
	client->fd = pair[0];
	assert_int_equal(loop_add(bench.loop, client->fd, reads ? EPOLLIN : 0,
				  client_handler, client, "test client",
				  &client->source),
			 0);
	r = varlink_server_attach(bench.server, pair[1]);
	bench.client = client;
	return r;
}

static void client_close(struct client *client)
{
	loop_source_free(client->source);
	(void)close(client->fd);
	free(client->data);
	client->data = NULL;
}

static void client_send(struct client *client, const char *text, size_t len)
{
	assert_int_equal(send(client->fd, text, len, MSG_NOSIGNAL),
			 (ssize_t)len);
}

/* A call with its NUL. */
static void client_call(struct client *client, const char *text)
{
	client_send(client, text, strlen(text) + 1);
}

static bool done_replies(struct bench *b)
{
	return b->client->eof || b->client->replies >= b->wanted;
}

static bool done_eof(struct bench *b)
{
	return b->client->eof;
}

static bool done_no_conns(struct bench *b)
{
	return varlink_server_connections(b->server) == 0;
}

static void client_await(struct client *client, size_t replies)
{
	bench.client = client;
	bench.wanted = replies;
	run_until(done_replies);
	assert_int_equal(client->replies, replies);
}

static void client_await_eof(struct client *client)
{
	bench.client = client;
	run_until(done_eof);
}

static json_t *client_reply(const struct client *client, size_t index)
{
	const char *p = client->data;
	json_t *reply;

	for (size_t i = 0; i < index; i++)
		p += strlen(p) + 1;
	reply = json_loads(p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(reply);
	return reply;
}

static void assert_reply(const struct client *client, size_t index,
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

/* --- dispatch --- */

#define SERVICE "org.varlink.service."
#define INVALID(p)                                      \
	"{\"error\": \"" SERVICE "InvalidParameter\", " \
	"\"parameters\": {\"parameter\": \"" p "\"}}"

static void test_dispatch(void **state)
{
	static const struct {
		const char *call, *reply;
	} cases[] = {
		{ "{\"method\": \"org.example.test.Echo\"}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": \"a\\u0001\xc3\xa4\"}}",
		  "{\"parameters\": {\"text\": \"a\\u0001\xc3\xa4\"}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "null, \"more\": true, \"org.example\": {}}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": null}, \"oneway\": false, \"upgrade\": null}",
		  "{\"parameters\": {\"text\": null}}" },
		{ "{\"method\": \"org.example.test.Fail\"}",
		  "{\"error\": \"org.example.test.Failed\", \"parameters\": "
		  "{\"code\": 7}}" },
		{ "{\"method\": \"org.example.test.Starve\"}",
		  "{\"error\": \"org.example.test.OutOfMemory\", "
		  "\"parameters\": {}}" },
		{ "{\"method\": \"org.example.test.Silent\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotImplemented\", \"parameters\": {\"method\": "
		  "\"org.example.test.Silent\"}}" },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": \"3\"}}",
		  "{\"parameters\": {\"numbers\": [{\"n\": 0}, {\"n\": 1}, "
		  "{\"n\": 2}]}}" },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": \"0\", \"head\": \"yes\"}}",
		  "{\"parameters\": {\"head\": true, \"numbers\": []}}" },
		{ "{\"method\": \"" SERVICE "GetInfo\"}",
		  "{\"parameters\": {\"vendor\": \"berth\", \"product\": "
		  "\"berthd\", \"version\": \"" BERTH_VERSION
		  "\", \"url\": \"\", \"interfaces\": "
		  "[\"org.varlink.service\", \"org.example.test\"]}}" },
		{ "{\"method\": \"" SERVICE
		  "GetInterfaceDescription\", \"parameters\": "
		  "{\"interface\": \"org.example.test\"}}",
		  "{\"parameters\": {\"description\": \"interface "
		  "org.example.test\\n\"}}" },
		{ "{\"method\": \"" SERVICE
		  "GetInterfaceDescription\", \"parameters\": "
		  "{\"interface\": \"org.example.other\"}}",
		  "{\"error\": \"" SERVICE
		  "InterfaceNotFound\", \"parameters\": {\"interface\": "
		  "\"org.example.other\"}}" },
		{ "{\"method\": \"" SERVICE "GetInterfaceDescription\"}",
		  INVALID("interface") },
		{ "{\"method\": \"org.example.other.Echo\"}",
		  "{\"error\": \"" SERVICE
		  "InterfaceNotFound\", \"parameters\": {\"interface\": "
		  "\"org.example.other\"}}" },
		{ "{\"method\": \"org.example.test.Nothing\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"org.example.test.Nothing\"}}" },
		{ "{\"method\": \"Echo\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"Echo\"}}" },
		{ "{\"method\": \"\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": \"\"}}" },
		{ "{\"method\": \"org.example.test.\"}",
		  "{\"error\": \"" SERVICE
		  "MethodNotFound\", \"parameters\": {\"method\": "
		  "\"org.example.test.\"}}" },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"txt\": \"a\"}}",
		  INVALID("txt") },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "{\"text\": 5}}",
		  INVALID("text") },
		{ "{\"method\": \"org.example.test.Count\", \"parameters\": "
		  "{\"end\": null}}",
		  INVALID("end") },
		{ "{\"method\": \"org.example.test.Fail\", \"parameters\": "
		  "{\"code\": 1}}",
		  INVALID("code") },
		{ "{\"method\": \"org.example.test.Echo\", \"parameters\": "
		  "[]}",
		  INVALID("parameters") },
		{ "{\"method\": \"org.example.test.Echo\", \"more\": 1}",
		  INVALID("more") },
		{ "{\"method\": \"org.example.test.Echo\", \"upgrade\": true}",
		  INVALID("upgrade") },
	};
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		client_call(&client, cases[i].call);
		client_await(&client, i + 1);
		assert_reply(&client, i, cases[i].reply);
	}
	client_close(&client);
}

/* The descriptions are parsed by other people's programs. */
static void test_service_description(void **state)
{
	struct client client;
	const char *text;
	json_t *reply;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"" SERVICE
			     "GetInterfaceDescription\", \"parameters\": "
			     "{\"interface\": \"org.varlink.service\"}}");
	client_await(&client, 1);
	reply = client_reply(&client, 0);
	text = json_string_value(json_object_get(
		json_object_get(reply, "parameters"), "description"));
	assert_non_null(text);
	assert_non_null(strstr(text, "\ninterface org.varlink.service\n"));
	assert_non_null(strstr(text, "\nmethod GetInfo() -> ("));
	json_decref(reply);
	client_close(&client);
}

static void test_no_call(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "", 1 },
		{ "{", 2 },
		{ "[]", 3 },
		{ "17", 3 },
		{ "{}", 3 },
		{ "{\"method\": 1}", 14 },
		{ "{\"method\": \"a\", \"method\": \"b\"}", 31 },
		{ "{\"method\": \"\xff\"}", 15 },
		{ "{\"method\": \"\\u0000\"}", 21 },
		{ "GET / HTTP/1.1\r\n\r\n", 19 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client client;
		json_t *reply;

		assert_int_equal(client_open(&client, true), 0);
		client_send(&client, cases[i].text, cases[i].len);
		/* What follows is not looked at. */
		client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
		client_await_eof(&client);
		assert_int_equal(client.replies, 1);
		reply = client_reply(&client, 0);
		assert_string_equal(
			json_string_value(json_object_get(reply, "error")),
			"org.example.test.InvalidRequest");
		json_decref(reply);
		client_close(&client);
		run_until(done_no_conns);
	}
}

static void test_deep_nesting(void **state)
{
	char text[VARLINK_REQUEST_MAX];
	struct client client;

	(void)state;
	memset(text, '[', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(client_open(&client, true), 0);
	client_send(&client, text, sizeof(text));
	client_await_eof(&client);
	assert_int_equal(client.replies, 1);
	client_close(&client);
}

static void test_oneway(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, "{\"method\": \"org.example.test.Echo\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.test.Fail\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.none.Echo\", "
			     "\"oneway\": true}");
	client_call(&client, "{\"method\": \"org.example.test.Count\", "
			     "\"oneway\": true, \"parameters\": {\"end\": "
			     "\"5\"}}");
	client_call(&client, "{\"method\": \"org.example.test.Echo\", "
			     "\"parameters\": {\"text\": \"last\"}}");
	client_await(&client, 1);
	assert_reply(&client, 0, "{\"parameters\": {\"text\": \"last\"}}");
	assert_int_equal(bench.lists_freed, 1);
	assert_int_equal(bench.elements_made, 0);
	client_close(&client);
}

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

#define COUNT(n)                                                    \
	"{\"method\": \"org.example.test.Count\", \"parameters\": " \
	"{\"end\": \"" n "\"}}"

static void test_slow_reader(void **state)
{
	struct client client;
	json_t *reply, *numbers;
	size_t made;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	client_call(&client, "{\"method\": \"org.example.test.Echo\"}");
	run_for_us(50 * USEC_PER_MSEC);
	/* What fits into the socket and one piece, of 2.4 MB in all. */
	made = bench.elements_made;
	assert_in_range(made, 1, 100000);
	run_for_us(50 * USEC_PER_MSEC);
	assert_int_equal(bench.elements_made, made);
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

static void test_gone_in_list(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	run_for_us(10 * USEC_PER_MSEC);
	assert_int_equal(bench.lists_freed, 0);
	client_close(&client);
	run_until(done_no_conns);
	assert_int_equal(bench.lists_freed, 1);
}

static void test_freed_in_list(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(client_open(&client, false), 0);
	client_call(&client, COUNT("200000"));
	run_for_us(10 * USEC_PER_MSEC);
	bench.server = varlink_server_free(bench.server);
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
	varlink_server_set_timeout(bench.server, 50 * USEC_PER_MSEC);
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
	varlink_server_set_timeout(bench.server, 100 * USEC_PER_MSEC);
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
	varlink_server_set_timeout(bench.server, 50 * USEC_PER_MSEC);
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
	assert_int_equal(varlink_server_connections(bench.server), max);
	client_await_eof(&clients[1]);
	client_send(&clients[max], "{", 1);
	run_for_us(10 * USEC_PER_MSEC);
	assert_int_equal(client_open(&clients[max + 1], true), -EBUSY);
	client_await_eof(&clients[max + 1]);
	for (size_t i = 0; i < max + 2; i++)
		client_close(&clients[i]);
	run_until(done_no_conns);
}

/* --- the socket --- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static bool done_one_conn(struct bench *b)
{
	return varlink_server_connections(b->server) == 1;
}

static void test_listen(void **state)
{
	char dir[] = "/tmp/berth-test-varlink-XXXXXX", path[64], other[64];
	mode_t saved = umask(0);
	struct varlink_server *stale;
	struct stat st;
	FILE *f;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)sprintf(path, "%s/control.sock", dir);
	(void)sprintf(other, "%s/file", dir);

	assert_int_equal(varlink_server_listen(bench.server, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(umask(0), 0);
	fd = connect_to(path);
	assert_true(fd >= 0);
	run_until(done_one_conn);
	(void)close(fd);
	run_until(done_no_conns);

	/* What a killed server left is replaced. */
	assert_int_equal(
		varlink_server_new(bench.loop, &interface, NULL, &stale), 0);
	assert_int_equal(varlink_server_listen(stale, path), 0);
	varlink_server_free(stale);
	assert_int_equal(access(path, F_OK), -1);

	/* Anything else is not. */
	f = fopen(other, "w");
	assert_non_null(f);
	(void)fclose(f);
	assert_int_equal(
		varlink_server_new(bench.loop, &interface, NULL, &stale), 0);
	assert_int_equal(varlink_server_listen(stale, other), -EADDRINUSE);
	varlink_server_free(stale);
	assert_int_equal(access(other, F_OK), 0);

	(void)unlink(other);
	(void)rmdir(dir);
	(void)umask(saved);
}

static void test_listen_fails(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(varlink_server_listen(bench.server, path),
			 -ENAMETOOLONG);
	assert_int_equal(varlink_server_listen(bench.server,
					       "/nonexistent/berth/sock"),
			 -ENOENT);
}

#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_dispatch),
		BENCH_TEST(test_service_description),
		BENCH_TEST(test_no_call),
		BENCH_TEST(test_deep_nesting),
		BENCH_TEST(test_oneway),
		BENCH_TEST(test_byte_by_byte),
		BENCH_TEST(test_pipelining),
		BENCH_TEST(test_longest_call),
		BENCH_TEST(test_half_call_then_gone),
		BENCH_TEST(test_slow_reader),
		BENCH_TEST(test_gone_in_list),
		BENCH_TEST(test_freed_in_list),
		BENCH_TEST(test_list_without_memory),
		BENCH_TEST(test_calls_without_reading),
		BENCH_TEST(test_deadline_of_half_call),
		BENCH_TEST(test_deadline_is_for_the_call),
		BENCH_TEST(test_deadline_of_reader),
		BENCH_TEST(test_too_many),
		BENCH_TEST(test_listen),
		BENCH_TEST(test_listen_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
