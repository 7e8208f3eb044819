// SPDX-License-Identifier: Apache-2.0
/* test_berth_connections.c - libberth: what a consumer says of its clients */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/util.h"
#include "lib/berth.h"

static struct fixture {
	struct berth *berth;
	int peer_fd;
} fixture;

static int setup(void **state)
{
	char hello[256];
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) < 0 ||
	    berth_new(fds[0], "test", &fixture.berth) < 0)
		return -1;
	fixture.peer_fd = fds[1];
	return recv(fds[1], hello, sizeof(hello), 0) > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fixture.berth = berth_free(fixture.berth);
	cleanup_close(&fixture.peer_fd);
	return 0;
}

/* berthd says @text. Return: the message, to be freed. */
static struct berth_message *say(const char *text)
{
	struct berth_message *message = NULL;

	assert_int_equal(send(fixture.peer_fd, text, strlen(text), 0),
			 strlen(text));
	assert_int_equal(berth_receive(fixture.berth, &message), 1);
	return message;
}

static void ask(uint64_t request)
{
	char text[96];

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"connections\",\"request\":%d}",
		       (int)request); /* fits */
	(void)berth_message_free(say(text));
}

static const char *heard(char *buffer, size_t size)
{
	ssize_t n = recv(fixture.peer_fd, buffer, size - 1, MSG_DONTWAIT);

	buffer[n > 0 ? n : 0] = '\0';
	return buffer;
}

static void test_messages(void **state)
{
	struct berth_message *message;

	(void)state;
	message = say("{\"type\":\"connections\",\"request\":7,\"after\":8,"
		      "\"min_age_ms\":9,\"listener\":-2}");
	assert_int_equal(message->type, BERTH_CONNECTIONS);
	assert_int_equal(message->request, 7);
	assert_int_equal(message->after, 8);
	assert_int_equal(message->min_age_ms, 9);
	assert_true(message->id == UINT64_MAX - 1);
	(void)berth_message_free(message);
	message = say("{\"type\":\"close\",\"request\":7,\"connection\":8}");
	assert_int_equal(message->type, BERTH_CLOSE);
	assert_int_equal(message->request, 7);
	assert_int_equal(message->connection, 8);
	(void)berth_message_free(message);
}

static void test_bad_messages(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"connections\"}",
		"{\"type\":\"connections\",\"request\":1,\"after\":-1}",
		"{\"type\":\"connections\",\"request\":1,\"min_age_ms\":\"\"}",
		"{\"type\":\"connections\",\"request\":1,\"listener\":\"1\"}",
		"{\"type\":\"close\",\"request\":1}",
		"{\"type\":\"close\",\"connection\":1}",
	};
	struct berth_message *message = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(berth_message_parse(texts[i], strlen(texts[i]),
						     &message),
				 -EBADMSG);
}

static void test_answers(void **state)
{
	static const struct berth_connection full = {
		.id = 3,
		.listener = UINT64_MAX,
		.client = "10.0.0.2:9",
		.local = "10.0.0.1:80",
		.backend = "unix:/\"x",
		.state = "closing",
		.age_ms = 4,
		.idle_ms = 2,
		.bytes_in = 1,
		.bytes_out = UINT64_MAX,
	};
	static const struct berth_connection least = { .id = 4, .listener = 1 };
	char text[1024];

	(void)state;
	ask(5);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &full), 0);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &least), 0);
	assert_int_equal(berth_connections_end(fixture.berth, 5, 4), 0);
	assert_string_equal(
		heard(text, sizeof(text)),
		"{\"type\":\"connections\",\"request\":5,\"connections\":["
		"{\"id\":3,\"listener\":-1,\"client\":\"10.0.0.2:9\","
		"\"local\":\"10.0.0.1:80\",\"backend\":\"unix:/\\\"x\","
		"\"state\":\"closing\",\"age_ms\":4,\"idle_ms\":2,"
		"\"bytes_in\":1,\"bytes_out\":9223372036854775807},"
		"{\"id\":4,\"listener\":1,\"client\":\"\",\"age_ms\":0,"
		"\"idle_ms\":0,\"bytes_in\":0,\"bytes_out\":0}],\"next\":4}");
	/* It is answered. */
	assert_int_equal(berth_connections_end(fixture.berth, 5, 0), 0);
	assert_string_equal(heard(text, sizeof(text)), "");
	ask(6);
	assert_int_equal(berth_connections_end(fixture.berth, 6, 0), 0);
	assert_string_equal(heard(text, sizeof(text)),
			    "{\"type\":\"connections\",\"request\":6,"
			    "\"connections\":[]}");
	assert_int_equal(berth_connection_closed(fixture.berth, 7, 8, true), 0);
	assert_string_equal(heard(text, sizeof(text)),
			    "{\"type\":\"closed\",\"request\":7,"
			    "\"connection\":8,\"closed\":true}");
}

/* What is asked anew begins anew. */
static void test_asked_again(void **state)
{
	static const struct berth_connection one = { .id = 1, .listener = 1 };
	char text[1024];

	(void)state;
	ask(5);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &one), 0);
	ask(6);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &one), 0);
	assert_int_equal(berth_connections_end(fixture.berth, 5, 0), 0);
	assert_string_equal(heard(text, sizeof(text)), "");
	assert_int_equal(berth_connections_end(fixture.berth, 6, 0), 0);
	assert_string_equal(heard(text, sizeof(text)),
			    "{\"type\":\"connections\",\"request\":6,"
			    "\"connections\":[]}");
}

static void test_not_utf8(void **state)
{
	static const struct berth_connection bad = { .client = "\xff" };

	(void)state;
	ask(5);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &bad),
			 -EINVAL);
	assert_int_equal(berth_connections_end(fixture.berth, 5, 0), 0);
}

/* A part is one datagram that berthd reads quickly, and it is JSON however full
 * it is; with one text that is longer than it may be, too. */
static void test_full(void **state)
{
	static char backend[1024], text[65536];
	static const struct berth_connection one = {
		.client = "10.0.0.2:9",
		.backend = backend,
	};
	json_t *json;
	size_t n = 0;
	int r;

	(void)state;
	for (size_t len = 0; len < sizeof(backend); len += 41) {
		memset(backend, '"', len);
		ask(5);
		n = 0;
		while ((r = berth_connections_add(fixture.berth, 5, &one)) == 0)
			n++;
		assert_int_equal(r, -ENOSPC);
		assert_true(n > 5);
		assert_int_equal(
			berth_connections_end(fixture.berth, 5, INT64_MAX), 0);
		(void)heard(text, sizeof(text));
		assert_in_range(strlen(text), 1, 16384);
		json = json_loads(text, 0, NULL);
		assert_int_equal(
			json_array_size(json_object_get(json, "connections")),
			n);
		json_decref(json);
	}
}

/* A full connection takes the part later, as it is. */
static void test_no_room(void **state)
{
	static const struct berth_connection one = { .id = 1, .listener = 1 };
	static char text[65536];
	int r;

	(void)state;
	ask(5);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &one), 0);
	while ((r = berth_connection_closed(fixture.berth, 1, 1, true)) == 0)
		;
	assert_int_equal(r, -EAGAIN);
	while ((r = berth_connections_end(fixture.berth, 5, 0)) < 0) {
		assert_int_equal(r, -EAGAIN);
		assert_non_null(strstr(heard(text, sizeof(text)), "closed"));
	}
	while (strstr(heard(text, sizeof(text)), "closed"))
		;
	assert_non_null(strstr(text, "\"connections\":[{\"id\":1,"));
	assert_string_equal(heard(text, sizeof(text)), "");
}

/* Nobody asked over the connection that is over. */
static void test_over(void **state)
{
	static const struct berth_connection one = { .id = 1, .listener = 1 };
	struct berth_message *message;

	(void)state;
	ask(5);
	(void)close(TAKE_FD(fixture.peer_fd));
	assert_int_equal(berth_receive(fixture.berth, &message), -EPIPE);
	assert_int_equal(berth_connections_add(fixture.berth, 5, &one), 0);
	assert_int_equal(berth_connections_end(fixture.berth, 5, 0), 0);
	assert_int_equal(berth_connection_closed(fixture.berth, 1, 1, true), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages), TEST(test_bad_messages),
		TEST(test_answers),  TEST(test_asked_again),
		TEST(test_not_utf8), TEST(test_full),
		TEST(test_no_room),  TEST(test_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
