// SPDX-License-Identifier: Apache-2.0
/* test_backend_connect.c - a backend's socket is never connected to itself */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"
#include "relay/backend_connect.h"
#include "relay/serving.h"

static socklen_t address_of(const char *text, uint16_t port,
			    struct sockaddr_storage *sa)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return ip_addr_to_sockaddr(&addr, port, 0, sa);
}

/* The port that the kernel might have chosen itself: bound before. Return: the
 * socket; -1: the kernel has no such family. */
static int bound_socket(int type, const char *text, uint16_t *ret_port)
{
	struct sockaddr_storage sa;
	socklen_t len = address_of(text, 0, &sa);
	struct ip_addr addr;
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -1;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(ip_addr_from_sockaddr(&sa, &addr, ret_port), 0);
	return fd;
}

/* Return: what backend_connect() says. */
static int connect_to(int fd, const char *text, uint16_t port)
{
	struct sockaddr_storage sa;
	struct serving_backend target = {
		.address = (struct sockaddr *)&sa,
	};

	target.address_len = address_of(text, port, &sa);
	return backend_connect(fd, &target);
}

static const int types[] = { SOCK_STREAM, SOCK_DGRAM };

static void test_itself(void **state)
{
	static const struct {
		const char *local, *target;
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1" },
		{ "127.0.0.2", "127.0.0.2" },
		{ "0.0.0.0", "127.0.0.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "::1", "::1" },
		{ "::", "::1" },
		{ "::", "::" },
		{ "::ffff:127.0.0.1", "::ffff:127.0.0.1" },
		{ "::", "::ffff:127.0.0.1" },
	};
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(types); i++) {
		int type = types[i % ARRAY_SIZE(types)];
		size_t n = i / ARRAY_SIZE(types);
		int fd = bound_socket(type, cases[n].local, &port);

		if (fd < 0) {
			print_message("no %s here\n", cases[n].local);
			continue;
		}
		assert_int_equal(connect_to(fd, cases[n].target, port),
				 -ECONNREFUSED);
		assert_int_equal(close(fd), 0);
	}
}

/* The port is the same, but the address is not. */
static void test_another(void **state)
{
	struct sockaddr_storage sa;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int fd = bound_socket(types[i], "127.0.0.1", &port);
		int other = socket(AF_INET, types[i] | SOCK_CLOEXEC, 0);
		socklen_t len = address_of("127.0.0.2", port, &sa);
		int r;

		assert_true(fd >= 0 && other >= 0);
		assert_int_equal(bind(other, (struct sockaddr *)&sa, len), 0);
		if (types[i] == SOCK_STREAM)
			assert_int_equal(listen(other, 1), 0);
		r = connect_to(fd, "127.0.0.2", port);
		assert_true(r == 0 || r == -EINPROGRESS);
		assert_int_equal(close(fd), 0);
		assert_int_equal(close(other), 0);
	}
}

static void test_unix(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct serving_backend target = {
		.address = (struct sockaddr *)&un,
		.address_len = sizeof(un),
	};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	(void)strcpy(un.sun_path, "/nobody/listens/here");
	assert_true(fd >= 0);
	assert_int_equal(backend_connect(fd, &target), -ENOENT);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_another),
		cmocka_unit_test(test_unix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
