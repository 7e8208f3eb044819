// SPDX-License-Identifier: Apache-2.0
/* test_varlink_fds.c - descriptors that come with calls, and who calls */
#include "tests/unit/varlink_fixture.h"

#include <fcntl.h>

#define TAKE "{\"method\": \"org.example.test.Take\", \"parameters\": {}}"
#define LEAVE "{\"method\": \"org.example.test.Take\"}"
#define TOOK "{\"parameters\": {\"took\": true, \"mine\": true}}"
#define TOOK_NONE "{\"parameters\": {\"took\": false, \"mine\": true}}"
#define REFUSED_FD                                              \
	"{\"error\": \"org.example.test.InvalidRequest\", "     \
	"\"parameters\": {\"message\": \"expected at most one " \
	"descriptor with a call\"}}"

enum { SENT_MAX = 2 };

/* Sends @len bytes with @n_fds copies of @fd. */
static void send_with(struct client *client, const char *text, size_t len,
		      int fd, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(SENT_MAX * sizeof(int))];
	} control = { .space = { 0 } };
	const int fds[SENT_MAX] = { fd, fd };
	struct iovec iov = { (char *)(uintptr_t)text, len };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(n_fds * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	assert_int_equal(sendmsg(client->fd, &message, MSG_NOSIGNAL),
			 (ssize_t)len);
}

/**
 * struct pipe - the read end tells when all copies of the write end are closed
 */
struct pipe {
	int fds[2];
};

static void pipe_open(struct pipe *pipe)
{
	assert_int_equal(pipe2(pipe->fds, O_CLOEXEC), 0);
}

/* Nobody has a copy any more; waits for a process that is to close it. */
static void pipe_assert_closed(struct pipe *pipe)
{
	char byte;

	(void)close(pipe->fds[1]);
	assert_int_equal(read(pipe->fds[0], &byte, 1), 0);
	(void)close(pipe->fds[0]);
}

static void test_fd_is_taken(void **state)
{
	struct client client;
	struct pipe pipe;

	(void)state;
	pipe_open(&pipe);
	assert_int_equal(client_open(&client, true), 0);
	send_with(&client, TAKE, sizeof(TAKE), pipe.fds[1], 1);
	client_call(&client, TAKE);
	client_await(&client, 2);
	assert_reply(&client, 0, TOOK);
	assert_reply(&client, 1, TOOK_NONE);
	pipe_assert_closed(&pipe);
	client_close(&client);
}

/* It is of the call that it was sent with, wherever reads begin and end. */
static void test_fd_of_its_call(void **state)
{
	struct client client;
	struct pipe pipe;

	(void)state;
	pipe_open(&pipe);
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, TAKE);
	send_with(&client, TAKE, sizeof(TAKE), pipe.fds[1], 1);
	client_call(&client, TAKE);
	client_await(&client, 3);
	assert_reply(&client, 0, TOOK_NONE);
	assert_reply(&client, 1, TOOK);
	assert_reply(&client, 2, TOOK_NONE);
	/* With the first byte, or with the last one. */
	send_with(&client, TAKE, 1, pipe.fds[1], 1);
	run_for_us(0);
	client_send(&client, &TAKE[1], sizeof(TAKE) - 1);
	client_await(&client, 4);
	assert_reply(&client, 3, TOOK);
	client_send(&client, TAKE, sizeof(TAKE) - 1);
	run_for_us(0);
	send_with(&client, "", 1, pipe.fds[1], 1);
	client_await(&client, 5);
	assert_reply(&client, 4, TOOK);
	pipe_assert_closed(&pipe);
	client_close(&client);
}

static void test_fd_that_nobody_takes(void **state)
{
	struct client client;
	struct pipe pipe;

	(void)state;
	pipe_open(&pipe);
	assert_int_equal(client_open(&client, true), 0);
	send_with(&client, LEAVE, sizeof(LEAVE), pipe.fds[1], 1);
	client_await(&client, 1);
	assert_reply(&client, 0, TOOK_NONE);
	pipe_assert_closed(&pipe);
	/* Of half a call. */
	pipe_open(&pipe);
	send_with(&client, "{", 1, pipe.fds[1], 1);
	run_for_us(0);
	client_close(&client);
	run_until(done_no_conns);
	pipe_assert_closed(&pipe);
}

static void test_too_many_fds(void **state)
{
	struct client client;
	struct pipe pipe;

	(void)state;
	pipe_open(&pipe);
	assert_int_equal(client_open(&client, true), 0);
	send_with(&client, TAKE, sizeof(TAKE), pipe.fds[1], 2);
	client_await_eof(&client);
	assert_reply(&client, 0, REFUSED_FD);
	client_close(&client);
	/* One after the other. */
	assert_int_equal(client_open(&client, true), 0);
	send_with(&client, TAKE, 1, pipe.fds[1], 1);
	run_for_us(0);
	send_with(&client, &TAKE[1], sizeof(TAKE) - 1, pipe.fds[1], 1);
	client_await_eof(&client);
	assert_reply(&client, 0, REFUSED_FD);
	client_close(&client);
	pipe_assert_closed(&pipe);
}

/* Behind a call whose reply is still to come. */
static void test_fd_that_is_not_read(void **state)
{
	struct client client;
	struct pipe pipe;

	(void)state;
	pipe_open(&pipe);
	assert_int_equal(client_open(&client, true), 0);
	client_call(&client, LATER);
	await_deferred(1);
	send_with(&client, TAKE, sizeof(TAKE), pipe.fds[1], 1);
	run_for_us(0);
	client_close(&client);
	run_until(done_no_conns);
	pipe_assert_closed(&pipe);
}

static bool done_disconnected(struct bench *b)
{
	return b->disconnected != 0;
}

static void test_disconnect_is_told(void **state)
{
	struct client first, second;

	(void)state;
	assert_int_equal(client_open(&first, true), 0);
	assert_int_equal(client_open(&second, true), 0);
	client_call(&first, TAKE);
	client_await(&first, 1);
	bench.connection = 0;
	client_call(&second, TAKE);
	client_await(&second, 1);
	assert_int_equal(bench.disconnected, 0);
	client_close(&second);
	run_until(done_disconnected);
	assert_int_equal(bench.disconnected, bench.connection);
	client_close(&first);
}

#define KEEP "{\"method\": \"org.example.test.Keep\"}"

/* However long they are idle, kept connections make way for nobody. */
static void test_kept(void **state)
{
	static struct client kept[VARLINK_KEPT_MAX];
	static struct client others[VARLINK_CONNECTIONS_MAX];
	struct client more;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		assert_int_equal(client_open(&kept[i], true), 0);
		client_call(&kept[i], KEEP);
		client_await(&kept[i], 1);
		assert_reply(&kept[i], 0, "{\"parameters\": {\"kept\": true}}");
	}
	assert_int_equal(client_open(&more, true), 0);
	client_call(&more, KEEP);
	client_call(&kept[0], KEEP);
	client_await(&more, 1);
	assert_reply(&more, 0, "{\"parameters\": {\"kept\": false}}");
	client_await(&kept[0], 2);
	assert_reply(&kept[0], 1, "{\"parameters\": {\"kept\": true}}");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(client_open(&others[i], true), 0);
	client_await_eof(&more);
	run_for_us(1000);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_false(kept[i].eof);
	/* One that ends makes room for another. */
	bench.disconnected = 0;
	client_close(&kept[0]);
	run_until(done_disconnected);
	client_call(&others[ARRAY_SIZE(others) - 1], KEEP);
	client_await(&others[ARRAY_SIZE(others) - 1], 1);
	assert_reply(&others[ARRAY_SIZE(others) - 1], 0,
		     "{\"parameters\": {\"kept\": true}}");
	for (size_t i = 1; i < ARRAY_SIZE(kept); i++)
		client_close(&kept[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		client_close(&others[i]);
	client_close(&more);
}

static void ask_to_keep(struct client *client, bool kept)
{
	client_call(client, KEEP);
	client_await(client, 1);
	assert_reply(client, 0,
		     kept ? "{\"parameters\": {\"kept\": true}}"
			  : "{\"parameters\": {\"kept\": false}}");
}

/* One user leaves room for others, and all of them for root. */
static void test_users_keep(void **state)
{
	static struct client clients[VARLINK_KEPT_MAX + 3];
	size_t n = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (; n < VARLINK_USERS_KEPT_MAX; n++) {
		uid_t uid = (uid_t)(1000 + n / VARLINK_USER_KEPT_MAX);

		if (n == VARLINK_USER_KEPT_MAX) {
			assert_int_equal(client_open_as(&clients[n], 1000), 0);
			ask_to_keep(&clients[n], false);
			client_close(&clients[n]);
		}
		assert_int_equal(client_open_as(&clients[n], uid), 0);
		ask_to_keep(&clients[n], true);
	}
	assert_int_equal(client_open_as(&clients[n], 4711), 0);
	ask_to_keep(&clients[n++], false);
	for (; n < VARLINK_KEPT_MAX + 1; n++) {
		assert_int_equal(client_open(&clients[n], true), 0);
		ask_to_keep(&clients[n], true);
	}
	assert_int_equal(client_open(&clients[n], true), 0);
	ask_to_keep(&clients[n++], false);
	while (n > 0)
		client_close(&clients[--n]);
	run_until(done_no_conns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_fd_is_taken),
		BENCH_TEST(test_fd_of_its_call),
		BENCH_TEST(test_fd_that_nobody_takes),
		BENCH_TEST(test_too_many_fds),
		BENCH_TEST(test_fd_that_is_not_read),
		BENCH_TEST(test_disconnect_is_told),
		BENCH_TEST(test_kept),
		BENCH_TEST(test_users_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
