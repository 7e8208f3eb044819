// SPDX-License-Identifier: Apache-2.0
/* test_client.c - a call of io.berth, its descriptor, and its deadline
 *
 * The server is this very thread, which takes no connection until the test says
 * so; where both must act at once it is a child.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "client/client.h"
#include "common/util.h"

/* Long enough to get there on a busy machine, if anybody answers at all. */
#define LONG_US (30 * USEC_PER_SEC)
#define SHORT_US (20 * USEC_PER_MSEC)

/* A call that does not heed its deadline ends the test by SIGALRM. */
#define GUARD_S 20

struct server {
	char dir[sizeof("/tmp/berth-client-XXXXXX")];
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_non_null(server);
	memcpy(server->dir, "/tmp/berth-client-XXXXXX", sizeof(server->dir));
	assert_non_null(mkdtemp(server->dir));
	(void)snprintf(server->path, sizeof(server->path), "%s/s", server->dir);
	memcpy(address.sun_path, server->path, sizeof(server->path));
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address,
			      sizeof(address)),
			 0);
	assert_int_equal(listen(server->fd, 0), 0);
	*state = server;
	(void)alarm(GUARD_S);
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;

	(void)alarm(0);
	close(server->fd);
	unlink(server->path);
	rmdir(server->dir);
	free(server);
	return 0;
}

static int call(const struct server *server, json_t *parameters, const int *fd,
		uint64_t limit_us, struct client **ret_client)
{
	struct client_call called = {
		.method = "org.example.Do",
		.parameters = parameters,
		.fd = fd,
		.deadline_us = limit_us ? monotonic_us() + limit_us : 0,
	};

	return client_call(server->path, &called, ret_client);
}

static void test_reply(void **state)
{
	static const char reply[] = "{\"parameters\":{\"n\":7}}";
	const struct server *server = *state;
	struct client_reply got;
	struct client *client;
	char text[256];
	int fd;

	assert_int_equal(call(server, json_object(), NULL, LONG_US, &client),
			 0);
	fd = accept(server->fd, NULL, NULL);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	assert_string_equal(text, "{\"method\":\"org.example.Do\","
				  "\"more\":true,\"parameters\":{}}");
	assert_int_equal(send(fd, reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(client_next(client, NULL, &got), 0);
	assert_int_equal(
		json_integer_value(json_object_get(got.parameters, "n")), 7);
	client_reply_done(&got);
	close(fd);
	assert_int_equal(client_next(client, NULL, &got), -ECONNRESET);
	client_free(client);
}

/* The second call goes the same way, with a deadline of its own. */
static void test_two_calls(void **state)
{
	static const char reply[] = "{\"parameters\":{}}";
	const struct server *server = *state;
	struct client_call again = {
		.method = "org.example.Again",
		.parameters = json_object(),
		.deadline_us = monotonic_us() + LONG_US,
	};
	struct client_reply got;
	struct client *client;
	char text[256];
	int fd;

	assert_int_equal(call(server, json_object(), NULL, LONG_US, &client),
			 0);
	fd = accept(server->fd, NULL, NULL);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	assert_int_equal(send(fd, reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(client_next(client, NULL, &got), 0);
	client_reply_done(&got);
	assert_int_equal(client_call_again(client, &again), 0);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	assert_non_null(strstr(text, "org.example.Again"));
	assert_int_equal(send(fd, reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(client_next(client, NULL, &got), 0);
	client_reply_done(&got);
	again.parameters = json_object();
	again.deadline_us = 1;
	assert_int_equal(client_call_again(client, &again), -ETIMEDOUT);
	/* Its descriptor says that it is over. */
	close(fd);
	assert_int_equal(recv(client_fd(client), text, sizeof(text), 0), 0);
	client_free(client);
}

static void test_descriptor_goes_along_once(void **state)
{
	const struct server *server = *state;
	union {
		struct cmsghdr align;
		char buffer[CMSG_SPACE(2 * sizeof(int))];
	} control = { .buffer = { 0 } };
	char text[256];
	struct iovec part = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.buffer,
				  .msg_controllen = sizeof(control.buffer) };
	struct stat sent, got;
	struct client *client;
	int fd, got_fd;

	assert_int_equal(
		call(server, json_object(), &server->fd, LONG_US, &client), 0);
	fd = accept(server->fd, NULL, NULL);
	assert_true(recvmsg(fd, &message, 0) > 0);
	assert_int_equal(control.align.cmsg_type, SCM_RIGHTS);
	assert_int_equal(control.align.cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&got_fd, CMSG_DATA(&control.align), sizeof(got_fd));
	assert_int_equal(fstat(server->fd, &sent), 0);
	assert_int_equal(fstat(got_fd, &got), 0);
	assert_int_equal(sent.st_ino, got.st_ino);
	close(got_fd);
	close(fd);
	client_free(client);
}

static void test_nobody_answers(void **state)
{
	struct client_reply got;
	struct client *client;

	assert_int_equal(call(*state, json_object(), NULL, SHORT_US, &client),
			 0);
	assert_int_equal(client_next(client, NULL, &got), -ETIMEDOUT);
	client_free(client);
}

static void test_nobody_accepts(void **state)
{
	struct client *first, *second = NULL;
	int r;

	/* A backlog of 0 has room for one. */
	assert_int_equal(call(*state, json_object(), NULL, LONG_US, &first), 0);
	r = call(*state, json_object(), NULL, SHORT_US, &second);
	assert_int_equal(r, -ETIMEDOUT);
	client_free(first);
}

static void test_nobody_reads(void **state)
{
	enum { BIG = 4 * 1024 * 1024 };
	char *text = calloc(1, BIG);
	struct client *client = NULL;
	int r;

	memset(text, 'a', BIG - 1);
	r = call(*state, json_pack("{s:s}", "text", text), NULL, SHORT_US,
		 &client);
	assert_int_equal(r, -ETIMEDOUT);
	free(text);
}

static void test_deadline_is_over(void **state)
{
	struct client_call called = { .method = "org.example.Do",
				      .parameters = json_object(),
				      .deadline_us = 1 };
	const struct server *server = *state;
	struct client *client = NULL;

	assert_int_equal(client_call(server->path, &called, &client),
			 -ETIMEDOUT);
}

/* Each byte is progress, but the reply never ends. */
static void test_reply_drips(void **state)
{
	const struct server *server = *state;
	struct client_reply got;
	struct client *client;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = accept(server->fd, NULL, NULL);

		while (send(fd, " ", 1, MSG_NOSIGNAL) == 1)
			(void)usleep(1000);
		_exit(0);
	}
	assert_int_equal(
		call(server, json_object(), NULL, 5 * SHORT_US, &client), 0);
	assert_int_equal(client_next(client, NULL, &got), -ETIMEDOUT);
	client_free(client);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_errors(void **state)
{
	static const char *const replies[] = {
		"", "[]", "7", "{", "{\"error\":7}", "{\"parameters\":[]}",
	};
	const struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct client_reply got;
		struct client *client;
		size_t len = strlen(replies[i]) + 1;
		int fd;

		assert_int_equal(
			call(server, json_object(), NULL, LONG_US, &client), 0);
		fd = accept(server->fd, NULL, NULL);
		assert_int_equal(send(fd, replies[i], len, 0), len);
		assert_int_equal(client_next(client, NULL, &got), -EPROTO);
		client_free(client);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_calls, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_descriptor_goes_along_once,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_answers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nobody_accepts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nobody_reads, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_deadline_is_over, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_reply_drips, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
