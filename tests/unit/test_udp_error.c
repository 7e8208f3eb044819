// SPDX-License-Identifier: Apache-2.0
/* test_udp_error.c - what errors of datagram sockets say, row by row, and what
 * the kernel's error queue is read as */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/udp/udp_socket.h"

#define WAIT_MS 60000

/* C: connect, S: send, T: told; each with the first letter of what is said. */
struct said {
	int error;
	const char *verdicts;
};

static char letter(enum udp_origin origin, int error)
{
	switch (udp_error_verdict(origin, error)) {
	case UDP_VERDICT_DATAGRAM:
		return 'd';
	case UDP_VERDICT_HOST:
		return 'h';
	case UDP_VERDICT_ELSEWHERE:
		return 'e';
	case UDP_VERDICT_SOCKET:
		return 's';
	case UDP_VERDICT_UNREACHABLE:
		return 'u';
	case UDP_VERDICT_REFUSED:
		return 'r';
	}
	return '?';
}

static void test_rows(void **state)
{
	static const struct said rows[] = {
		/* by ICMP, a UNIX socket, or a path */
		{ ECONNREFUSED, "rrr" },
		{ ECONNRESET, "rrr" },
		{ ENOTCONN, "rrr" },
		{ EPIPE, "rrr" },
		{ ENOPROTOOPT, "rrr" },
		{ ENOENT, "rrr" },
		{ ENOTDIR, "rrr" },
		{ EPROTOTYPE, "rrr" },
		{ EHOSTUNREACH, "uuu" },
		{ EHOSTDOWN, "uuu" },
		{ ENONET, "uuu" },
		{ EPROTO, "uuu" },
		{ EOPNOTSUPP, "udu" },
		{ EACCES, "uuu" },
		{ EPERM, "uuu" },
		/* perhaps the own address is gone */
		{ ENETUNREACH, "usu" },
		{ ENETDOWN, "usu" },
		{ EINVAL, "usd" },
		{ EADDRNOTAVAIL, "esd" },
		{ ENODEV, "usd" },
		{ ENXIO, "usd" },
		/* nobody's fault */
		{ EMSGSIZE, "udd" },
		{ EAFNOSUPPORT, "edd" },
		{ EAGAIN, "hhh" },
		{ ENOBUFS, "hhh" },
		{ ENOMEM, "hhh" },
		{ EMFILE, "hhh" },
		{ ENFILE, "hhh" },
		{ ENOSPC, "hhh" },
		{ EDQUOT, "hhh" },
		{ ETIMEDOUT, "hdd" },
		{ ESTALE, "hhh" },
		/* in no row */
		{ EIO, "udd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char found[] = {
			letter(UDP_ORIGIN_CONNECT, rows[i].error),
			letter(UDP_ORIGIN_SEND, rows[i].error),
			letter(UDP_ORIGIN_TOLD, rows[i].error),
			'\0',
		};

		if (strcmp(found, rows[i].verdicts) != 0)
			fail_msg("%s: %s instead of %s",
				 strerror(rows[i].error), found,
				 rows[i].verdicts);
	}
}

/* A socket that is connected to a closed port of @address. */
static int closed_port(int family, const char *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = { .any.sa_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof(to.in) : sizeof(to.in6);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	void *ip = family == AF_INET ? (void *)&to.in.sin_addr
				     : (void *)&to.in6.sin6_addr;

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(family, address, ip), 1);
	to.in.sin_port = htons(1); /* tcpmux is TCP's only */
	udp_socket_prepare(fd, family);
	assert_int_equal(connect(fd, &to.any, len), 0);
	return fd;
}

static void wait_told(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	assert_true(poll_fd.revents & POLLERR);
}

static bool is_quiet(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	return poll(&poll_fd, 1, 0) == 0;
}

static void check_told(int family, const char *address)
{
	_cleanup_close_ int fd = closed_port(family, address);
	struct udp_told told = udp_socket_told(fd);

	assert_int_equal(told.n, 0);
	assert_int_equal(told.verdict, UDP_VERDICT_DATAGRAM);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	wait_told(fd);
	told = udp_socket_told(fd);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.error, ECONNREFUSED);
	assert_int_equal(told.verdict, UDP_VERDICT_REFUSED);
	/* Neither the queue nor the error that waits is left. */
	assert_true(is_quiet(fd));
	assert_int_equal(send(fd, "y", 1, 0), 1);
	wait_told(fd);
	/* The error that a system call took is in the queue as well. */
	assert_int_equal(recv(fd, (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(udp_socket_told(fd).n, 1);
	assert_true(is_quiet(fd));
	assert_false(udp_socket_lost_address(fd));
}

static void test_told_by_icmp(void **state)
{
	(void)state;
	check_told(AF_INET, "127.0.0.1");
	check_told(AF_INET6, "::ffff:127.0.0.1");
}

static void test_told_by_icmp6(void **state)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 own = { .sin6_family = AF_INET6,
				    .sin6_addr = in6addr_loopback };
	bool there = bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0;

	(void)state;
	(void)close(fd); /* there is nothing to lose */
	if (!there) {
		print_message("no ::1 here; skipping\n");
		skip();
	}
	check_told(AF_INET6, "::1");
}

/* What sending itself said is queued, too, and not taken for an answer. */
static void test_own_error_is_not_told(void **state)
{
	static const uint8_t large[65508];
	_cleanup_close_ int fd = closed_port(AF_INET, "127.0.0.1");
	struct udp_told told;

	(void)state;
	assert_int_equal(send(fd, large, sizeof(large), 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_false(is_quiet(fd));
	told = udp_socket_told(fd);
	assert_int_equal(told.n, 0);
	assert_true(is_quiet(fd));
}

/* As what a datagram counts: sending, and before there is a socket. */
static void test_drops(void **state)
{
	static const struct {
		int error;
		enum berth_drop send, connect;
	} rows[] = {
		{ EMSGSIZE, BERTH_DROP_TOO_LARGE, BERTH_DROP_UNREACHABLE },
		{ EAGAIN, BERTH_DROP_SEND_BUFFER, BERTH_DROP_LIMIT },
		{ ENOBUFS, BERTH_DROP_SEND_BUFFER, BERTH_DROP_LIMIT },
		{ ENOMEM, BERTH_DROP_MEMORY, BERTH_DROP_MEMORY },
		{ EMFILE, BERTH_DROP_LIMIT, BERTH_DROP_LIMIT },
		{ EDQUOT, BERTH_DROP_LIMIT, BERTH_DROP_LIMIT },
		{ ECONNREFUSED, BERTH_DROP_UNREACHABLE,
		  BERTH_DROP_UNREACHABLE },
		{ ENETUNREACH, BERTH_DROP_UNREACHABLE, BERTH_DROP_UNREACHABLE },
		{ ESTALE, BERTH_DROP_OTHER, BERTH_DROP_OTHER },
		{ 0, BERTH_DROP_OTHER, BERTH_DROP_UNREACHABLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(udp_error_drop(UDP_ORIGIN_SEND, rows[i].error),
				 rows[i].send);
		assert_int_equal(udp_error_drop(UDP_ORIGIN_CONNECT,
						rows[i].error),
				 rows[i].connect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_told_by_icmp),
		cmocka_unit_test(test_told_by_icmp6),
		cmocka_unit_test(test_own_error_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
