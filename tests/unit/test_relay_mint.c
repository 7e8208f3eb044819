// SPDX-License-Identifier: Apache-2.0
/* test_relay_mint.c - backends whose sockets come from berthd, in whose place
 * this test is
 *
 * Each test has a relay of its own, with one worker, in a child process.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/control.h"
#include "relay/limits.h"

#define WAIT_S 10 /* for what must come; a loaded machine is slow */
#define SOON_MS 300 /* for what must not come */
#define LISTENER_ID 7

static int berthd_fd = -1;
static int listener_fd = -1;
static int backend_fd = -1;
static pid_t relay_pid;

static void relay_main(int fd)
{
	struct relay_control *control;
	struct berth *berth;
	struct loop *loop;
	int r;

	/* cmocka's handlers would run the other tests in this process. */
	for (int number = 1; number < SIGRTMIN; number++)
		(void)signal(number, SIG_DFL); /* two cannot be set, and are */
	log_init("relay", LOG_LEVEL_ERROR);
	if (limits_init(16, 1) < 0 || loop_new(&loop) < 0 ||
	    berth_new(fd, "test", &berth) < 0 ||
	    relay_control_new(loop, berth, 1, &control) < 0)
		_exit(99);
	r = loop_run(loop);
	control = relay_control_free(control);
	loop = loop_free(loop);
	berth = berth_free(berth);
	_exit(r < 0 ? 98 : 0);
}

static void set_wait(int fd, int wait_ms)
{
	struct timeval tv = { .tv_sec = wait_ms / 1000,
			      .tv_usec = wait_ms % 1000 * 1000 };

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

static void berthd_says(const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
				 .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text,
			     .iov_len = strlen(text) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	assert_true(sendmsg(berthd_fd, &header, 0) > 0);
}

static int listening(uint16_t *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 512), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	set_wait(fd, WAIT_S * 1000);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static uint16_t listener_port;

static int setup(void **state)
{
	char text[512];
	uint16_t port;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	relay_pid = fork();
	if (relay_pid == 0) {
		(void)close(fds[0]);
		relay_main(fds[1]);
	}
	(void)close(fds[1]);
	berthd_fd = fds[0];
	set_wait(berthd_fd, WAIT_S * 1000);
	assert_true(recv(berthd_fd, text, sizeof(text), 0) > 0); /* hello */
	backend_fd = listening(&port);
	listener_fd = listening(&listener_port);
	assert_int_equal(fcntl(listener_fd, F_SETFL, O_NONBLOCK), 0);
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"listener\",\"id\":7,\"netns\":{\"id\":1},"
		       "\"protocol\":\"tcp\",\"address\":\"*\",\"port\":1,"
		       "\"rule\":\"r\",\"action\":\"forward\","
		       "\"to\":[\"127.0.0.1:%u\"],\"backend_namespace\":\"b\"}",
		       port);
	berthd_says(text, listener_fd);
	return 0;
}

/* The relay's end must be clean: sanitizers make it another one. */
static int teardown(void **state)
{
	int status;

	(void)state;
	cleanup_close(&berthd_fd);
	cleanup_close(&listener_fd);
	cleanup_close(&backend_fd);
	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	assert_int_equal(status, 0);
	return 0;
}

static int client(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(listener_port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_wait(fd, WAIT_S * 1000);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* Return: the number of the question that comes, or 0 when none does. */
static unsigned long long question(int wait_ms)
{
	unsigned long long request, id;
	unsigned int to;
	char text[256] = "";

	set_wait(berthd_fd, wait_ms);
	if (recv(berthd_fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	assert_int_equal(sscanf(text,
				"{\"type\":\"socket\",\"request\":%llu,"
				"\"id\":%llu,\"to\":%u}",
				&request, &id, &to),
			 3);
	assert_int_equal(id, LISTENER_ID);
	assert_int_equal(to, 0);
	return request;
}

/* Answers with a socket in namespace 5. Return: berthd's copy of it. */
static int answer(unsigned long long request)
{
	char text[128];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       request);
	berthd_says(text, fd);
	return fd;
}

static int accepted(void)
{
	int fd = accept(backend_fd, NULL, NULL);

	assert_true(fd >= 0);
	set_wait(fd, WAIT_S * 1000);
	return fd;
}

static void exchange(int client_fd, int server_fd)
{
	char byte = 0;

	assert_int_equal(send(client_fd, "?", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(server_fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '?');
	assert_int_equal(send(server_fd, "!", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(client_fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '!');
}

static void expect_reset(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(fd);
}

/* A connection that works: what went before it is over. Somebody else's that
 * ended may reach the backend before it. */
static void probe(void)
{
	int client_fd = client(), server_fd;
	char byte = 0;

	(void)close(answer(question(WAIT_S * 1000)));
	assert_int_equal(send(client_fd, "?", 1, MSG_NOSIGNAL), 1);
	do {
		server_fd = accepted();
		if (recv(server_fd, &byte, 1, 0) != 1)
			(void)close(TAKE_FD(server_fd));
	} while (server_fd < 0);
	assert_int_equal(byte, '?');
	exchange(client_fd, server_fd);
	(void)close(client_fd);
	(void)close(server_fd);
}

static void test_connects(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		probe();
}

/* berthd closes its copy a moment later than the relay: what happens to that
 * socket is none of the relay's business any more. */
static void test_copy_that_stays_open(void **state)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int client_fd = client(), copy_fd, server_fd;
	char byte;

	(void)state;
	copy_fd = answer(question(WAIT_S * 1000));
	server_fd = accepted();
	exchange(client_fd, server_fd);
	assert_int_equal(shutdown(client_fd, SHUT_WR), 0);
	assert_int_equal(recv(server_fd, &byte, 1, 0), 0);
	(void)close(server_fd);
	assert_int_equal(recv(client_fd, &byte, 1, 0), 0);
	(void)close(client_fd);
	probe();
	/* Wakes everybody who polls that socket. */
	assert_int_equal(connect(copy_fd, &nobody, sizeof(nobody)), 0);
	probe();
	(void)close(copy_fd);
}

static void test_refused_by_berthd(void **state)
{
	char text[128];
	int client_fd = client();

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"error\":2}",
		       question(WAIT_S * 1000));
	berthd_says(text, -1);
	expect_reset(client_fd);
	probe();
}

/* Neither an error nor a socket; an answer to nothing, with one. */
static void test_odd_answers(void **state)
{
	int client_fd = client();
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       question(WAIT_S * 1000));
	(void)close(answer(99));
	berthd_says(text, -1);
	expect_reset(client_fd);
	(void)close(answer(1)); /* that one was answered */
	probe();
}

static void test_client_that_left(void **state)
{
	struct linger linger = { .l_onoff = 1 };
	int client_fd = client();
	unsigned long long request = question(WAIT_S * 1000);

	(void)state;
	assert_int_equal(setsockopt(client_fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	(void)close(client_fd);
	(void)close(answer(request));
	probe();
}

static void test_namespace_goes(void **state)
{
	char text[128] = "";
	int clients[3], servers[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		clients[i] = client();
		(void)close(answer(question(WAIT_S * 1000)));
		servers[i] = accepted();
		exchange(clients[i], servers[i]);
	}
	berthd_says("{\"type\":\"netns_gone\",\"netns\":6}", -1);
	assert_true(recv(berthd_fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"type\":\"netns_closed\",\"netns\":6}");
	exchange(clients[0], servers[0]);
	berthd_says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	memset(text, 0, sizeof(text));
	assert_true(recv(berthd_fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"type\":\"netns_closed\",\"netns\":5}");
	for (int i = 0; i < 3; i++) {
		expect_reset(clients[i]);
		expect_reset(servers[i]);
	}
	probe();
}

/* Behind the socket comes at once that its namespace goes. */
static void test_namespace_goes_with_the_answer(void **state)
{
	char text[128] = "";
	int client_fd = client();

	(void)state;
	(void)close(answer(question(WAIT_S * 1000)));
	berthd_says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	assert_true(recv(berthd_fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"type\":\"netns_closed\",\"netns\":5}");
	expect_reset(client_fd);
}

static void test_no_more_questions_than_allowed(void **state)
{
	int clients[BERTH_SOCKETS_MAX + 20];
	unsigned long long request = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = client();
	for (unsigned int i = 1; i <= BERTH_SOCKETS_MAX; i++) {
		request = question(WAIT_S * 1000);
		assert_int_equal(request, i);
	}
	assert_int_equal(question(SOON_MS), 0);
	(void)close(answer(1));
	assert_int_equal(question(WAIT_S * 1000), BERTH_SOCKETS_MAX + 1);
	assert_int_equal(question(SOON_MS), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		(void)close(clients[i]);
	/* berthd goes while the others are on their way. */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_connects),
		T(test_copy_that_stays_open),
		T(test_refused_by_berthd),
		T(test_odd_answers),
		T(test_client_that_left),
		T(test_namespace_goes),
		T(test_namespace_goes_with_the_answer),
		T(test_no_more_questions_than_allowed),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
