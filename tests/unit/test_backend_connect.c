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
#include "relay/backend/backend_connect.h"
#include "relay/core/listener.h"
#include "relay/core/own_sockets.h"
#include "relay/core/serving.h"
#include "relay/core/upstream.h"

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
static int connect_target(int fd, const struct serving_backend *target,
			  struct own_socket **own)
{
	const struct listener listener = { .id = 1 };
	struct upstream upstream = { .own = NULL };
	int r = backend_connect(fd, target, &listener, &upstream);

	*own = upstream.own;
	return r;
}

static int connect_to(int fd, const char *text, uint16_t port)
{
	struct own_socket *own = NULL;
	int r;

	struct sockaddr_storage sa;
	struct serving_backend target = {
		.address = (struct sockaddr *)&sa,
	};

	target.address_len = address_of(text, port, &sa);
	r = connect_target(fd, &target, &own);
	assert_null(own); /* no listener has the port */
	return r;
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
	struct own_socket *own = NULL;

	(void)state;
	(void)strcpy(un.sun_path, "/nobody/listens/here");
	assert_true(fd >= 0);
	assert_int_equal(connect_target(fd, &target, &own), -ENOENT);
	assert_null(own);
	assert_int_equal(close(fd), 0);
}

/* Where a listener has the backend's port, the socket is noted by its own end,
 * until it is freed. */
static void test_noted(void **state)
{
	static const enum protocol protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP };
	static const enum protocol listeners[] = { PROTOCOL_MPTCP,
						   PROTOCOL_UDP };
	struct sockaddr_storage sa;
	struct serving_backend target = {
		.address = (struct sockaddr *)&sa,
		.address_len = sizeof(struct sockaddr_in),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct own_arrival arrival = { .protocol = listeners[i],
					       .listener_id = 2 };
		struct own_socket *own = NULL;
		uint16_t port;
		int server = bound_socket(types[i], "127.0.0.1", &port);
		int fd =
			bound_socket(types[i], "127.0.0.1", &arrival.from_port);
		int r;

		target.protocol = protocols[i];
		assert_true(server >= 0 && fd >= 0);
		(void)address_of("127.0.0.1", port, &sa);
		(void)listen(server, 1);
		(void)ip_addr_parse("127.0.0.1", &arrival.from);
		arrival.to = &arrival.from;
		arrival.n_to = 1;
		arrival.to_port = port;
		own_port_add(listeners[i], port, 1);
		r = connect_target(fd, &target, &own);
		assert_true(r == 0 || r == -EINPROGRESS);
		assert_non_null(own);
		assert_int_equal(own_arrival_hops(&arrival), 1);
		own = own_socket_free(own);
		assert_int_equal(own_arrival_hops(&arrival), 0);
		own_port_add(listeners[i], port, -1);
		assert_int_equal(close(fd), 0);
		assert_int_equal(close(server), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_another),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
