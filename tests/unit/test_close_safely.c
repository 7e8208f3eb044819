// SPDX-License-Identifier: Apache-2.0
/* test_close_safely.c - closes that would wait, and messages with descriptors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/close_safely.h"

/* Longer than this program may run. */
#define LINGER_SECONDS 1000

static int listener(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void linger(int fd)
{
	const struct linger linger = { 1, LINGER_SECONDS };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
}

/* Return: a connection whose close waits. */
static int lingering(int *ret_peer_fd)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int server_fd = listener();
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char bytes[65536] = { 0 };

	assert_int_equal(getsockname(server_fd, (struct sockaddr *)&sa, &len),
			 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	*ret_peer_fd = accept4(server_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_peer_fd >= 0);
	close(server_fd);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	linger(fd);
	return fd;
}

static void pass(int socket_fd, const char *text, const int *fds, size_t n)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, strlen(text) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	assert_true(sendmsg(socket_fd, &message, 0) >= 0);
}

static void make_pair(int *pair)
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void wait_closed(int fd)
{
	while (fcntl(fd, F_GETFD) >= 0)
		(void)usleep(100);
}

static void test_lingering(void **state)
{
	int peer_fd, fd = lingering(&peer_fd);

	(void)state;
	close_foreign(fd);
	wait_closed(fd);
	close(peer_fd);
}

static void test_at_once(void **state)
{
	int fds[] = { listener(),
		      socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) };

	(void)state;
	linger(fds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		close_foreign(fds[i]);
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	}
}

/* What nobody has read has descriptors, and these have others. */
static void test_unread(void **state)
{
	int pair[2], inner[2], peer_fd, fd = lingering(&peer_fd);

	(void)state;
	make_pair(pair);
	make_pair(inner);
	pass(inner[0], "x", &fd, 1);
	assert_int_equal(send(pair[0], "", 0, 0), 0);
	assert_int_equal(send(pair[0], "y", 1, 0), 1);
	pass(pair[0], "", &inner[1], 1);
	close(inner[0]);
	close(inner[1]);
	close(fd);
	close_unread(pair[1]);
	wait_closed(pair[1]);
	close(pair[0]);
	close(peer_fd);
}

/* Without descriptors no process is needed. */
static void test_unread_text(void **state)
{
	int pair[2];

	(void)state;
	make_pair(pair);
	for (int i = 0; i < 10; i++)
		assert_int_equal(send(pair[0], "x", i % 2, 0), i % 2);
	close_unread(pair[1]);
	assert_int_equal(fcntl(pair[1], F_GETFD), -1);
	assert_int_equal(send(pair[0], "x", 1, MSG_NOSIGNAL), -1);
	close(pair[0]);
}

static void test_receive(void **state)
{
	int pair[2], passed[2], fd = -1, peer_fd, waits_fd;
	struct stat st, passed_st;
	char buffer[4];

	(void)state;
	make_pair(pair);
	make_pair(passed);
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), -EAGAIN);
	assert_int_equal(send(pair[0], "abcdef", 6, 0), 6);
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), 6);
	assert_memory_equal(buffer, "abcd", 4);
	assert_int_equal(fd, -1);
	pass(pair[0], "x", passed, 1);
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fstat(passed[0], &passed_st), 0);
	assert_int_equal(st.st_ino, passed_st.st_ino);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);

	/* Too many, of which one is a trap. */
	waits_fd = lingering(&peer_fd);
	pass(pair[0], "x", (int[]){ passed[0], waits_fd }, 2);
	close(waits_fd);
	fd = -1;
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), -EPROTO);
	assert_int_equal(fd, -1);
	close_unread(pair[1]);
	wait_closed(pair[1]);
	close(peer_fd);
	close(pair[0]);
	close(passed[0]);
	close(passed[1]);
}

static void test_receive_the_end(void **state)
{
	int pair[2], fd = -1, passed_fd = listener();
	char buffer[4];

	(void)state;
	make_pair(pair);
	pass(pair[0], "", &passed_fd, 1);
	close(passed_fd);
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), -EPROTO);
	assert_int_equal(fd, -1);
	close(pair[0]);
	assert_int_equal(receive_safely(pair[1], buffer, 4, &fd), 0);
	close_unread(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lingering),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_unread_text),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
