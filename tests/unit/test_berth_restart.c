// SPDX-License-Identifier: Apache-2.0
/* test_berth_restart.c - libberth: berthd goes, and another one comes
 *
 * The test is berthd, at the other end of a socket in a folder of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"
#include "lib/berth.h"
#include "tests/send_fds.h"

#define WAIT_MS 60000 /* for what must come; a loaded machine is slow */
#define TEXT_MAX 1024
#define N_MANY 400

#define LISTENER(id)                                                        \
	"{\"type\":\"listener\",\"id\":" #id                                \
	",\"netns\":{\"id\":9},\"protocol\":\"tcp\",\"address\":\"127.0.0." \
	"1\","                                                              \
	"\"port\":80,\"interface\":\"lo\",\"rule\":\"r\"}"
#define WELCOME "{\"type\":\"welcome\",\"version\":1}"
#define HELD(id)                                                       \
	"{\"type\":\"held\",\"id\":" #id ",\"netns\":9,\"protocol\":"  \
	"\"tcp\",\"address\":\"127.0.0.1\",\"port\":80,\"interface\":" \
	"\"lo\",\"rule\":\"r\"}"
#define DRAINS(id)                                       \
	"{\"type\":\"held\",\"id\":" #id ",\"netns\":9," \
	"\"draining\":true,\"rule\":\"r\"}"

static char folder[] = "/tmp/berth-restart-XXXXXX";
static char path[64];
static struct berth *berth;
static int listen_fd = -1, peer_fd = -1;

/* berthd's part */

static void berthd_listens(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	memcpy(un.sun_path, path, strlen(path) + 1);
	(void)unlink(path); /* of the one before */
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(listen_fd, (const struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(listen_fd, 8), 0);
}

static void berthd_dies(void)
{
	cleanup_close(&peer_fd);
	cleanup_close(&listen_fd);
}

static void says(const char *text, int fd)
{
	assert_true(send_fd(peer_fd, text, strlen(text), fd, MSG_NOSIGNAL) > 0);
}

/* *ret_fd: that came along, or -1 */
static void hears_with_fd(const char *expected, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[TEXT_MAX];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(peer_fd, &header, 0);

	assert_true(n > 0);
	text[n] = '\0';
	if (expected)
		assert_string_equal(text, expected);
	*ret_fd = -1;
	if (CMSG_FIRSTHDR(&header))
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&header)),
		       sizeof(*ret_fd));
}

static void hears(const char *expected)
{
	int fd;

	hears_with_fd(expected, &fd);
	assert_int_equal(fd, -1);
}

static void hears_nothing(void)
{
	char text[TEXT_MAX];

	assert_true(recv(peer_fd, text, sizeof(text), MSG_DONTWAIT) < 0);
}

static void berthd_accepts(const char *hello)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };

	peer_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer_fd >= 0);
	assert_int_equal(setsockopt(peer_fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
				    sizeof(tv)),
			 0);
	hears(hello);
}

#define HELLO(more) \
	"{\"type\":\"hello\",\"version\":1,\"name\":\"test\"" more "}"

/* The consumer's part */

static int next(struct berth_message **ret_message)
{
	struct pollfd poll_fd = { .fd = berth_fd(berth), .events = POLLIN };
	int r;

	while ((r = berth_receive(berth, ret_message)) == 0)
		assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	return r;
}

static struct berth_message *expect(enum berth_message_type type)
{
	struct berth_message *message = NULL;

	assert_int_equal(next(&message), 1);
	assert_int_equal(message->type, type);
	return message;
}

static void pass(enum berth_message_type type)
{
	struct berth_message *message = expect(type);

	(void)berth_message_free(message);
}

/* Return: the listening socket, now the program's. */
static int take_listener(void)
{
	struct berth_message *message = expect(BERTH_LISTENER);
	int fd = TAKE_FD(message->fd);

	assert_true(fd >= 0);
	(void)berth_message_free(message);
	return fd;
}

static void expect_withdraw(uint64_t id, bool abort, int held_fd)
{
	struct berth_message *message = expect(BERTH_WITHDRAW);

	assert_int_equal(message->id, id);
	assert_int_equal(message->abort, abort);
	assert_int_equal(message->held_fd, held_fd);
	(void)berth_message_free(message);
}

static void expect_nothing(void)
{
	struct berth_message *message;

	assert_int_equal(berth_receive(berth, &message), 0);
}

static void expect_end(void)
{
	struct berth_message *message;

	assert_int_equal(next(&message), -EPIPE);
	assert_int_equal(berth_receive(berth, &message), -EPIPE);
}

static int open_tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len),
			 0);
	return cookie;
}

/* berthd gives listener 7. Return: the program's descriptor of it. */
static int give_listener(void)
{
	int fd = open_tcp();

	says(LISTENER(7), fd);
	(void)close(fd);
	return take_listener();
}

static int setup(void **state)
{
	(void)state;
	berthd_listens();
	assert_int_equal(berth_connect(path, "test", 0, &berth), 0);
	berthd_accepts(HELLO(""));
	says(WELCOME, -1);
	pass(BERTH_WELCOME);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	berth = berth_free(berth);
	berthd_dies();
	return 0;
}

/* The library connects when it is time, which its descriptor says. */
static void comes_back(const char *hello)
{
	struct pollfd fds[] = { { .fd = berth_fd(berth), .events = POLLIN },
				{ .fd = listen_fd, .events = POLLIN } };

	do {
		expect_nothing();
		assert_true(poll(fds, ARRAY_SIZE(fds), WAIT_MS) > 0);
	} while (!fds[1].revents);
	berthd_accepts(hello);
}

/* berthd dies, and the next one hears @hello, and says welcome. */
static void restart(const char *hello)
{
	berthd_dies();
	expect_end();
	berthd_listens();
	assert_int_equal(berth_reconnect(berth), 0);
	comes_back(hello);
	expect_nothing();
	hears_nothing();
	says(WELCOME, -1);
	pass(BERTH_WELCOME);
}

/* Tests */

static void test_hands_back(void **state)
{
	struct berth_message *message;
	int number = berth_fd(berth), fd, handed_fd;

	(void)state;
	fd = give_listener();
	restart(HELLO(",\"held\":1"));
	assert_int_equal(berth_fd(berth), number);
	hears_with_fd(HELD(7), &handed_fd);
	assert_true(handed_fd >= 0);
	assert_true(cookie_of(handed_fd) == cookie_of(fd));
	(void)close(handed_fd);
	says(LISTENER(7), -1); /* adopted */
	message = expect(BERTH_LISTENER);
	assert_int_equal(message->fd, -1);
	assert_int_equal(message->held_fd, fd);
	(void)berth_message_free(message);
	says("{\"type\":\"withdraw\",\"id\":7}", -1);
	expect_withdraw(7, /* abort= */ false, fd);
	(void)close(fd);
	assert_int_equal(berth_released(berth, 7), 0);
	hears("{\"type\":\"released\",\"id\":7}");
	restart(HELLO(""));
	hears_nothing();
}

/* berthd is away for a while, and it is not there all at once. */
static void test_tries_again(void **state)
{
	struct berth_message *message;
	struct pollfd poll_fd = { .fd = berth_fd(berth), .events = POLLIN };

	(void)state;
	berthd_dies();
	expect_end();
	assert_string_equal(berth_problem(berth),
			    "berthd closed the connection");
	assert_int_equal(berth_reconnect(berth), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
		expect_nothing();
	}
	assert_non_null(strstr(berth_problem(berth), path));
	berthd_listens();
	comes_back(HELLO(""));
	/* It goes again before it says anything. */
	cleanup_close(&peer_fd);
	assert_int_equal(next(&message), -EPIPE);
	assert_int_equal(berth_reconnect(berth), 0);
	comes_back(HELLO(""));
}

/* The number means another socket now, or none: nothing of it is handed back.
 */
static void test_borrows_descriptors(void **state)
{
	int fd, other_fd, kept_fd, handed_fd;

	(void)state;
	fd = give_listener();
	(void)close(fd);
	other_fd = open_tcp();
	assert_int_equal(other_fd, fd);
	restart(HELLO(",\"held\":1"));
	hears(DRAINS(7));
	(void)close(other_fd);
	says("{\"type\":\"withdraw\",\"id\":7}", -1);
	expect_withdraw(7, /* abort= */ false, -1);
	assert_int_equal(berth_released(berth, 7), 0);
	hears("{\"type\":\"released\",\"id\":7}");

	fd = give_listener();
	kept_fd = dup(fd);
	other_fd = open_tcp();
	assert_int_equal(berth_keep(berth, 8, kept_fd), -ENOENT);
	assert_int_equal(berth_keep(berth, 7, other_fd), -EBADF);
	assert_int_equal(berth_keep(berth, 7, kept_fd), 0);
	(void)close(fd);
	(void)close(other_fd);
	restart(HELLO(",\"held\":1"));
	hears_with_fd(HELD(7), &handed_fd);
	assert_true(cookie_of(handed_fd) == cookie_of(kept_fd));
	(void)close(handed_fd);
	(void)close(kept_fd);
}

static void test_drains_over_restarts(void **state)
{
	int fd = give_listener();

	(void)state;
	says("{\"type\":\"withdraw\",\"id\":7}", -1);
	expect_withdraw(7, /* abort= */ false, fd);
	(void)close(fd);
	restart(HELLO(",\"held\":1"));
	hears(DRAINS(7));
	/* It knows that already; but not that the namespace goes. */
	says("{\"type\":\"withdraw\",\"id\":7}", -1);
	expect_nothing();
	says("{\"type\":\"withdraw\",\"id\":7,\"abort\":true}", -1);
	expect_withdraw(7, /* abort= */ true, -1);
	assert_int_equal(berth_released(berth, 7), 0);
	hears("{\"type\":\"released\",\"id\":7}");
}

/* What ended while nobody heard it is told, with its counts. */
static void test_ends_while_away(void **state)
{
	static const struct berth_counts counts = { .accepted = 5 };
	int fd = give_listener();

	(void)state;
	(void)close(fd);
	berthd_dies();
	expect_end();
	assert_int_equal(berth_released_counts(berth, 7, &counts), 0);
	berthd_listens();
	assert_int_equal(berth_reconnect(berth), 0);
	comes_back(HELLO(",\"held\":1"));
	says(WELCOME, -1);
	pass(BERTH_WELCOME);
	hears(DRAINS(7));
	hears("{\"type\":\"released\",\"id\":7,\"accepted\":5}");
	/* berthd may have said this before it heard that. */
	says("{\"type\":\"withdraw\",\"id\":7}", -1);
	expect_nothing();
	hears("{\"type\":\"released\",\"id\":7}");
}

/* A listener in the queue of a berthd that died is not lost. */
static void test_reads_to_the_end(void **state)
{
	int fd = open_tcp(), held_fd;

	(void)state;
	says(LISTENER(7), fd);
	assert_int_equal(berth_repeat(berth, 1), 0); /* nobody reads it */
	berthd_dies();
	held_fd = take_listener();
	assert_true(cookie_of(held_fd) == cookie_of(fd));
	(void)close(fd);
	(void)close(held_fd);
	expect_end();
}

static void test_orphan_withdraws(void **state)
{
	struct berth_message *message;
	int fd;

	(void)state;
	says("{\"type\":\"welcome\",\"version\":1,\"orphan_timeout_ms\":1}",
	     -1);
	pass(BERTH_WELCOME);
	fd = give_listener();
	says("{\"type\":\"socket\",\"request\":1,\"netns\":5}", fd);
	pass(BERTH_SOCKET);
	berthd_dies();
	expect_end();
	assert_int_equal(berth_reconnect(berth), 0);
	expect_withdraw(7, /* abort= */ true, fd);
	message = expect(BERTH_NETNS_GONE);
	assert_int_equal(message->netns_id, 5);
	(void)berth_message_free(message);
	expect_nothing(); /* once is enough */
	(void)close(fd);
	assert_int_equal(berth_netns_closed(berth, 5), 0);
	assert_int_equal(berth_released(berth, 7), 0);
	expect_nothing();
}

/* The program does what it does with any withdrawal, and is done. */
static void test_taken_over(void **state)
{
	struct berth_message *message;
	int fd = give_listener();

	(void)state;
	says("{\"type\":\"taken_over\"}", -1);
	pass(BERTH_TAKEN_OVER);
	expect_withdraw(7, /* abort= */ false, fd);
	(void)close(fd);
	expect_nothing();
	says("{\"type\":\"withdraw\",\"id\":7,\"abort\":true}", -1);
	expect_withdraw(7, /* abort= */ true, -1);
	assert_int_equal(berth_released(berth, 7), 0);
	hears("{\"type\":\"released\",\"id\":7}");
	assert_int_equal(next(&message), -ESHUTDOWN);
	assert_int_equal(berth_reconnect(berth), -ESHUTDOWN);
}

/* It comes back for what drains only, and is told when a namespace goes. */
static void test_taken_over_and_back(void **state)
{
	struct berth_message *message;
	int fd = give_listener();

	(void)state;
	says("{\"type\":\"taken_over\"}", -1);
	pass(BERTH_TAKEN_OVER);
	expect_withdraw(7, /* abort= */ false, fd);
	(void)close(fd);
	restart(HELLO(",\"draining\":true,\"held\":1"));
	hears(DRAINS(7));
	says("{\"type\":\"withdraw\",\"id\":7,\"drain_timeout_ms\":5}", -1);
	expect_nothing();
	says("{\"type\":\"withdraw\",\"id\":7,\"abort\":true}", -1);
	expect_withdraw(7, /* abort= */ true, -1);
	assert_int_equal(berth_released(berth, 7), 0);
	hears("{\"type\":\"released\",\"id\":7}");
	assert_int_equal(next(&message), -ESHUTDOWN);
}

/* Without berthd it does not drain for ever. */
static void test_taken_over_and_alone(void **state)
{
	struct berth_message *message;
	int fd;

	(void)state;
	/* Long enough for what is read before it is over. */
	says("{\"type\":\"welcome\",\"version\":1,"
	     "\"drain_timeout_ms\":1500}",
	     -1);
	pass(BERTH_WELCOME);
	fd = give_listener();
	says("{\"type\":\"taken_over\"}", -1);
	pass(BERTH_TAKEN_OVER);
	message = expect(BERTH_WITHDRAW);
	assert_int_equal(message->drain_timeout_ms, 1500);
	assert_false(message->abort);
	(void)berth_message_free(message);
	(void)close(fd);
	berthd_dies();
	/* The end and the withdrawal come in any order. */
	while (next(&message) == -EPIPE)
		assert_int_equal(berth_reconnect(berth), 0);
	assert_int_equal(message->type, BERTH_WITHDRAW);
	assert_true(message->abort);
	(void)berth_message_free(message);
	assert_int_equal(berth_reconnect(berth), 0);
	expect_nothing();
	assert_int_equal(berth_released(berth, 7), 0);
	assert_int_equal(next(&message), -ESHUTDOWN);
}

#define ASKED(request)                                            \
	"{\"type\":\"socket\",\"request\":" #request ",\"id\":7," \
	"\"to\":0}"

static void test_asks_again(void **state)
{
	const struct berth_backend backend = { .id = 7 };
	struct berth_message *message;
	int fd;

	(void)state;
	assert_int_equal(berth_ask_socket(berth, 1, &backend), 0);
	assert_int_equal(berth_ask_socket(berth, 2, &backend), 0);
	assert_int_equal(berth_ask_socket(berth, 3, &backend), 0);
	hears(ASKED(1));
	fd = open_tcp();
	says("{\"type\":\"socket\",\"request\":1,\"netns\":5}", fd);
	(void)close(fd);
	berthd_dies();
	message = expect(BERTH_SOCKET);
	assert_int_equal(message->request, 1);
	(void)berth_message_free(message);
	expect_end();
	assert_int_equal(berth_ask_socket(berth, 4, &backend), -EAGAIN);
	berthd_listens();
	assert_int_equal(berth_reconnect(berth), 0);
	comes_back(HELLO(""));
	assert_int_equal(berth_ask_socket(berth, 4, &backend), -EAGAIN);
	says(WELCOME, -1);
	pass(BERTH_WELCOME);
	hears("{\"type\":\"held_netns\",\"netns\":5}");
	hears(ASKED(2));
	hears(ASKED(3));
	says("{\"type\":\"socket\",\"request\":2,\"error\":2}", -1);
	pass(BERTH_SOCKET);
	restart(HELLO(""));
	hears("{\"type\":\"held_netns\",\"netns\":5}");
	hears(ASKED(3));
	hears_nothing();
}

static void test_bounds_requests(void **state)
{
	const struct berth_backend backend = { .id = 7 };

	(void)state;
	for (unsigned int i = 0; i < BERTH_SOCKETS_MAX; i++)
		assert_int_equal(berth_ask_socket(berth, i, &backend), 0);
	assert_int_equal(berth_ask_socket(berth, BERTH_SOCKETS_MAX, &backend),
			 -EAGAIN);
	says("{\"type\":\"socket\",\"request\":0,\"error\":2}", -1);
	pass(BERTH_SOCKET);
	assert_int_equal(berth_ask_socket(berth, BERTH_SOCKETS_MAX, &backend),
			 0);
}

/* What the program answers to the one before, the next one must not hear. */
static void test_answers_of_before(void **state)
{
	static const struct berth_counts counts = { .accepted = 1 };
	int fd = open_tcp();

	(void)state;
	says("{\"type\":\"socket\",\"request\":1,\"netns\":5}", fd);
	(void)close(fd);
	pass(BERTH_SOCKET);
	says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	pass(BERTH_NETNS_GONE);
	says("{\"type\":\"stats\",\"request\":3}", -1);
	pass(BERTH_STATS);
	restart(HELLO(""));
	hears("{\"type\":\"held_netns\",\"netns\":5}");
	assert_int_equal(berth_netns_closed(berth, 5), 0);
	assert_int_equal(berth_stats_add(berth, 3, 7, &counts), 0);
	assert_int_equal(berth_stats_end(berth, 3), 0);
	hears_nothing();
	says("{\"type\":\"netns_gone\",\"netns\":5}", -1);
	pass(BERTH_NETNS_GONE);
	assert_int_equal(berth_netns_closed(berth, 5), 0);
	hears("{\"type\":\"netns_closed\",\"netns\":5}");
	says("{\"type\":\"stats\",\"request\":3}", -1);
	pass(BERTH_STATS);
	assert_int_equal(berth_stats_end(berth, 3), 0);
	hears("{\"type\":\"stats\",\"request\":3,\"listeners\":[]}");
}

/* More than the connection has room for. */
static void test_hands_back_many(void **state)
{
	char text[TEXT_MAX];
	int fd = open_tcp(), fds[N_MANY], handed_fd;

	(void)state;
	for (int i = 0; i < N_MANY; i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"type\":\"listener\",\"id\":%d,\"netns\":"
			       "{\"id\":9},\"port\":80}",
			       i);
		says(text, fd);
		fds[i] = take_listener();
	}
	(void)close(fd);
	(void)snprintf(text, sizeof(text), HELLO(",\"held\":%d"), N_MANY);
	restart(text);
	/* What is said now comes after them. */
	assert_int_equal(berth_released(berth, 0), 0);
	for (int i = 0; i < N_MANY; i++) {
		hears_with_fd(NULL, &handed_fd);
		if (handed_fd >= 0)
			(void)close(handed_fd);
		assert_true(handed_fd >= 0 || i == 0);
		expect_nothing();
	}
	hears("{\"type\":\"released\",\"id\":0}");
	for (int i = 0; i < N_MANY; i++)
		(void)close(fds[i]);
}

static void test_denied(void **state)
{
	struct berth_message *message;

	(void)state;
	says("{\"type\":\"denied\",\"reason\":\"busy\",\"error\":\"no\"}", -1);
	message = expect(BERTH_DENIED);
	assert_string_equal(message->reason, "busy");
	assert_string_equal(message->text, "no");
	(void)berth_message_free(message);
	expect_end();
	assert_string_equal(berth_problem(berth), "no");
	(void)close(peer_fd);
	assert_int_equal(berth_reconnect(berth), 0);
	comes_back(HELLO(""));
	says("{\"type\":\"welcome\",\"version\":2}", -1);
	message = expect(BERTH_DENIED);
	assert_string_equal(message->reason, "version");
	assert_non_null(strstr(message->text, "version 2"));
	(void)berth_message_free(message);
	expect_end();
}

static void test_takes_over(void **state)
{
	struct berth *second;
	int first_fd = peer_fd;

	(void)state;
	assert_int_equal(berth_connect(path, "test", BERTH_TAKEOVER, &second),
			 0);
	berthd_accepts(HELLO(",\"takeover\":true"));
	(void)berth_free(second);
	(void)close(first_fd);
}

static void test_connect(void **state)
{
	struct berth *other;

	(void)state;
	berthd_dies();
	assert_int_equal(berth_connect(path, NULL, 0, &other), -ECONNREFUSED);
	assert_int_equal(berth_connect("no/berth", NULL, 0, &other), -ENOENT);
	assert_int_equal(berth_connect("no berth", NULL, 0, &other), -ENOENT);
	assert_int_equal(berth_connect(path, "\xff", 0, &other), -ECONNREFUSED);
	assert_int_equal(berth_connect(path, NULL, 1U << 31, &other), -EINVAL);
	(void)berth_free(berth);
	assert_int_equal(berth_connect(path, "test", BERTH_WAIT, &berth), 0);
	berthd_listens();
	assert_int_equal(berth_connect(path, "\xff", 0, &other), -EINVAL);
	(void)close(accept4(listen_fd, NULL, NULL, 0)); /* of that one */
	comes_back(HELLO(""));
}

static void test_inherited_connection(void **state)
{
	struct berth_message *message;
	struct berth *other;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_int_equal(berth_new(fds[0], "test", &other), 0);
	(void)close(fds[1]);
	assert_int_equal(berth_receive(other, &message), -EPIPE);
	assert_int_equal(berth_reconnect(other), -EOPNOTSUPP);
	(void)berth_free(other);
}

#define restart_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		restart_test(test_hands_back),
		restart_test(test_tries_again),
		restart_test(test_borrows_descriptors),
		restart_test(test_drains_over_restarts),
		restart_test(test_ends_while_away),
		restart_test(test_reads_to_the_end),
		restart_test(test_orphan_withdraws),
		restart_test(test_taken_over),
		restart_test(test_taken_over_and_back),
		restart_test(test_taken_over_and_alone),
		restart_test(test_asks_again),
		restart_test(test_bounds_requests),
		restart_test(test_answers_of_before),
		restart_test(test_hands_back_many),
		restart_test(test_denied),
		restart_test(test_takes_over),
		restart_test(test_connect),
		restart_test(test_inherited_connection),
	};
	int r;

	if (!mkdtemp(folder))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/me.sock", folder);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path); /* it is there if the tests were run */
	(void)rmdir(folder);
	return r;
}
