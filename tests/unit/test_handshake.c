// SPDX-License-Identifier: Apache-2.0
/* test_handshake.c - who gets past the first words, and what the others hear */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/consumers/handshake.h"

/**
 * struct fixture - the daemon's side
 * @fd:		of the last hello
 * @peer, @hello: of it
 */
struct fixture {
	struct loop *loop;
	struct handshakes *handshakes;
	int fd;
	int n_hellos;
	struct consumer_peer peer;
	struct consumer_hello hello;
};

static void said_hello(const char *consumer, int fd,
		       const struct consumer_peer *peer,
		       const struct consumer_hello *hello, void *user_data)
{
	struct fixture *fixture = user_data;

	assert_string_equal(consumer, "web");
	cleanup_close(&fixture->fd);
	fixture->fd = fd;
	fixture->peer = *peer;
	fixture->hello = *hello;
	fixture->n_hellos++;
}

static int setup(void **state)
{
	static const struct handshakes_ops ops = { .hello = said_hello };
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	log_init("test", LOG_LEVEL_ERROR);
	*state = fixture;
	fixture->fd = -1;
	return loop_new(&fixture->loop) < 0 ||
	       handshakes_new(fixture->loop, &ops, fixture,
			      &fixture->handshakes) < 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	handshakes_free(fixture->handshakes);
	cleanup_close(&fixture->fd);
	loop_free(fixture->loop);
	free(fixture);
	return 0;
}

static bool quit_now(void *user_data)
{
	struct fixture *fixture = user_data;

	loop_quit(fixture->loop, 0);
	return false;
}

static void run(struct fixture *fixture)
{
	loop_set_after(fixture->loop, quit_now, fixture);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_run(fixture->loop), 0);
}

/* Return: the consumer's end of a new connection. */
static int come(struct fixture *fixture)
{
	static const struct consumer_peer peer = { .pid = 7, .uid = 8 };
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(
		handshakes_add(fixture->handshakes, "web", fds[0], &peer), 0);
	return fds[1];
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* The connection ends with `denied`, @reason, and a text for people. */
static void expect_denied(int fd, const char *reason)
{
	const char *type, *said, *error;
	char text[1024];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	int version;
	json_t *json;

	assert_true(n > 0);
	json = json_loadb(text, (size_t)n, 0, NULL);
	assert_int_equal(json_unpack(json, "{s:s, s:i, s:s, s:s}", "type",
				     &type, "version", &version, "reason",
				     &said, "error", &error),
			 0);
	assert_string_equal(type, "denied");
	assert_int_equal(version, 1);
	assert_string_equal(said, reason);
	assert_true(strlen(error) > 10);
	json_decref(json);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 0);
	(void)close(fd);
}

static void test_hello(void **state)
{
	struct fixture *fixture = *state;
	int fd = come(fixture);

	say(fd, "{\"type\":\"hello\",\"version\":1,\"name\":\"me\"}");
	say(fd, "{\"type\":\"released\",\"id\":1}");
	run(fixture);
	assert_int_equal(fixture->n_hellos, 1);
	assert_int_equal(fixture->peer.pid, 7);
	assert_int_equal(fixture->peer.uid, 8);
	assert_string_equal(fixture->peer.name, "me");
	assert_int_equal(fixture->hello.version, 1);
	(void)close(fd);
}

static void test_denied(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{ "{\"type\":\"hello\",\"version\":2}", "version" },
		{ "{\"type\":\"hello\",\"version\":-1}", "version" },
		{ "{\"type\":\"hello\"}", "version" },
		{ "{\"type\":\"hello\",\"version\":\"1\"}", "protocol" },
		{ "{\"type\":\"released\",\"id\":1}", "protocol" },
		{ "{\"type\":\"later\"}", "protocol" },
		{ "GET / HTTP/1.1\r\n\r\n", "protocol" },
		{ "\xff", "protocol" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = come(fixture);

		say(fd, cases[i].text);
		say(fd, "more that is never read");
		run(fixture);
		expect_denied(fd, cases[i].reason);
	}
	assert_int_equal(fixture->n_hellos, 0);
}

static void test_long_hello(void **state)
{
	struct fixture *fixture = *state;
	int fd = come(fixture);
	char text[8192];

	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "{\"type\":\"hello\",\"version\":1}", 28);
	say(fd, text);
	run(fixture);
	expect_denied(fd, "protocol");
}

static void test_peer_that_goes(void **state)
{
	struct fixture *fixture = *state;

	(void)close(come(fixture));
	run(fixture);
	assert_int_equal(fixture->n_hellos, 0);
}

/* The oldest make way, and whoever speaks is heard however many are silent. */
static void test_silent_ones_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	int fds[3 * HANDSHAKES_MAX];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = come(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(fds) - HANDSHAKES_MAX; i++)
		expect_denied(fds[i], "limit");
	fd = come(fixture);
	say(fd, "{\"type\":\"hello\",\"version\":1}");
	run(fixture);
	assert_int_equal(fixture->n_hellos, 1);
	handshakes_end(fixture->handshakes, "other");
	say(fds[ARRAY_SIZE(fds) - 1], "{}");
	handshakes_end(fixture->handshakes, "web");
	run(fixture);
	for (size_t i = ARRAY_SIZE(fds) - HANDSHAKES_MAX + 1;
	     i < ARRAY_SIZE(fds); i++) {
		char byte;

		assert_true(recv(fds[i], &byte, 1, MSG_DONTWAIT) <= 0);
		assert_int_not_equal(errno, EAGAIN);
		errno = 0;
		(void)close(fds[i]);
	}
	(void)close(fds[ARRAY_SIZE(fds) - HANDSHAKES_MAX]);
	(void)close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hello),
		TEST(test_denied),
		TEST(test_long_hello),
		TEST(test_peer_that_goes),
		TEST(test_silent_ones_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
