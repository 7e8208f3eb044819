// SPDX-License-Identifier: Apache-2.0
/* test_own_sockets.c - which clients are the relay's own sockets */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/own_sockets.h"

#define HOST UINT64_C(0)
#define OTHER UINT64_C(77)

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr = { .family = AF_UNSPEC };

	if (text[0])
		assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct own_socket *note(enum protocol protocol, const char *addr,
			       const char *to, uint64_t netns_id, uint8_t hops)
{
	const struct own_end end = {
		.protocol = protocol,
		.addr = addr_of(addr),
		.port = 40000,
		.to = addr_of(to),
		.to_port = 53,
		.netns_id = netns_id,
		.listener_id = 1,
		.hops = hops,
	};
	struct own_socket *own = own_socket_new(&end);

	assert_non_null(own);
	own_socket_connected(own, &end);
	return own;
}

/* Comes to listener 2, port 53, of the host. */
static int hops_of(enum protocol protocol, const char *from, uint16_t port,
		   const char *to)
{
	struct ip_addr to_addr = addr_of(to);
	const struct own_arrival arrival = {
		.protocol = protocol,
		.from = addr_of(from),
		.from_port = port,
		.to = &to_addr,
		.n_to = to[0] ? 1 : 0,
		.to_port = 53,
		.netns_id = HOST,
		.listener_id = 2,
	};

	return own_arrival_hops(&arrival);
}

static void test_ends(void **state)
{
	static const struct {
		const char *addr, *to; /* of the socket */
		uint64_t netns_id;
		const char *from, *at; /* of the client */
		uint16_t port;
		int expected;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.2", HOST, "10.0.0.1", "10.0.0.2", 40000,
		  1 },
		/* through a pair of interfaces, from another namespace */
		{ "10.0.0.1", "10.0.0.2", OTHER, "10.0.0.1", "10.0.0.2", 40000,
		  1 },
		{ "fd00::1", "fd00::2", OTHER, "fd00::1", "fd00::2", 40000, 1 },
		{ "127.0.0.1", "127.0.0.1", HOST, "127.0.0.1", "127.0.0.1",
		  40000, 1 },
		{ "127.0.0.1", "0.0.0.0", HOST, "127.0.0.1", "127.0.0.1", 40000,
		  1 },
		/* after a multicast it is not known where it came to */
		{ "fd00::1", "fd00::2", HOST, "fd00::1", "", 40000, 1 },
		/* each namespace has the same loopback addresses */
		{ "127.0.0.1", "127.0.0.1", OTHER, "127.0.0.1", "127.0.0.1",
		  40000, 0 },
		{ "::1", "::1", OTHER, "::1", "::1", 40000, 0 },
		{ "127.0.0.1", "0.0.0.0", OTHER, "127.0.0.1", "127.0.0.1",
		  40000, 0 },
		/* and maybe others: this has not left its own */
		{ "10.0.0.1", "10.0.0.1", OTHER, "10.0.0.1", "10.0.0.1", 40000,
		  0 },
		/* somebody else */
		{ "10.0.0.1", "10.0.0.2", HOST, "10.0.0.1", "10.0.0.2", 40001,
		  0 },
		{ "10.0.0.1", "10.0.0.2", HOST, "10.0.0.3", "10.0.0.2", 40000,
		  0 },
		/* TCP's ports can be used towards several at a time */
		{ "10.0.0.1", "10.0.0.2", HOST, "10.0.0.1", "10.0.0.3", 40000,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct own_socket *own = note(PROTOCOL_TCP, cases[i].addr,
					      cases[i].to, cases[i].netns_id,
					      0);

		assert_int_equal(hops_of(PROTOCOL_MPTCP, cases[i].from,
					 cases[i].port, cases[i].at),
				 cases[i].expected);
		assert_int_equal(hops_of(PROTOCOL_UDP, cases[i].from,
					 cases[i].port, cases[i].at),
				 0);
		own = own_socket_free(own);
		assert_int_equal(hops_of(PROTOCOL_TCP, cases[i].from,
					 cases[i].port, cases[i].at),
				 0);
	}
}

/* An SCTP socket that is bound to no address has all of its namespace's. */
static void test_several_addresses(void **state)
{
	struct own_socket *own = note(PROTOCOL_SCTP, "", "10.0.0.2", OTHER, 0);

	(void)state;
	assert_int_equal(hops_of(PROTOCOL_SCTP_SEQPACKET, "10.0.0.7", 40000,
				 "10.0.0.2"),
			 1);
	assert_int_equal(hops_of(PROTOCOL_SCTP, "10.0.0.7", 40000, "10.0.0.3"),
			 0);
	assert_int_equal(hops_of(PROTOCOL_SCTP, "10.0.0.7", 40001, "10.0.0.2"),
			 0);
	assert_int_equal(hops_of(PROTOCOL_TCP, "10.0.0.7", 40000, "10.0.0.2"),
			 0);
	(void)own_socket_free(own);
}

/* A chain is let through, but for a long one; no listener twice in a row. */
static void test_chain(void **state)
{
	const struct ip_addr addr = addr_of("10.0.0.1");
	struct own_arrival arrival = {
		.from = addr,
		.from_port = 40000,
		.to = &addr,
		.n_to = 1,
		.to_port = 53,
		.listener_id = 2,
	};
	struct own_socket *own;

	(void)state;
	for (uint8_t hops = 0; hops < 6; hops++) {
		own = note(PROTOCOL_UDP, "10.0.0.1", "10.0.0.1", HOST, hops);
		arrival.protocol = PROTOCOL_UDP;
		assert_int_equal(own_arrival_hops(&arrival),
				 hops < 4 ? hops + 1 : -ELOOP);
		(void)own_socket_free(own);
	}
	own = note(PROTOCOL_UDP, "10.0.0.1", "10.0.0.1", HOST, 0);
	arrival.listener_id = 1;
	assert_int_equal(own_arrival_hops(&arrival), -ELOOP);
	(void)own_socket_free(own);
}

/* Freed in any order, those of one bucket among them. */
static void test_many(void **state)
{
	struct own_socket *list[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = note(PROTOCOL_UDP, "10.0.0.1", "10.0.0.2", HOST, 0);
	for (size_t i = 0; i < ARRAY_SIZE(list); i += 3)
		list[i] = own_socket_free(list[i]);
	assert_true(own_sockets_any(PROTOCOL_UDP));
	assert_int_equal(hops_of(PROTOCOL_UDP, "10.0.0.1", 40000, "10.0.0.2"),
			 1);
	for (size_t i = ARRAY_SIZE(list); i > 0; i--)
		(void)own_socket_free(list[i - 1]);
	assert_false(own_sockets_any(PROTOCOL_UDP));
	assert_int_equal(hops_of(PROTOCOL_UDP, "10.0.0.1", 40000, "10.0.0.2"),
			 0);
}

static void *connect_later(void *user_data)
{
	struct own_socket *own = user_data;
	const struct own_end end = {
		.protocol = PROTOCOL_TCP,
		.addr = addr_of("10.0.0.1"),
		.port = 40000,
		.to = addr_of("10.0.0.2"),
		.to_port = 53,
		.listener_id = 1,
	};

	for (int i = 0; i < 1000; i++)
		assert_int_equal(sched_yield(), 0);
	own_socket_connected(own, &end);
	return NULL;
}

/* Accepted before its own port was known. Nobody waits for those that go
 * elsewhere, or are not connected after all. */
static void test_about_to_be_connected(void **state)
{
	struct own_end end = {
		.protocol = PROTOCOL_TCP,
		.to = addr_of("10.0.0.2"),
		.to_port = 53,
		.listener_id = 1,
	};
	struct own_socket *own = own_socket_new(&end), *other, *failed;
	pthread_t thread;

	(void)state;
	end.to = addr_of("10.0.0.3");
	other = own_socket_new(&end);
	assert_true(own && other);
	assert_true(own_sockets_any(PROTOCOL_TCP));
	assert_int_equal(hops_of(PROTOCOL_UDP, "10.0.0.1", 40000, "10.0.0.2"),
			 0);
	assert_int_equal(hops_of(PROTOCOL_TCP, "10.0.0.1", 40000, "10.0.0.4"),
			 0);
	assert_int_equal(pthread_create(&thread, NULL, connect_later, own), 0);
	assert_int_equal(hops_of(PROTOCOL_TCP, "10.0.0.1", 40000, "10.0.0.2"),
			 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	failed = own_socket_new(&end);
	assert_non_null(failed);
	(void)own_socket_free(failed);
	(void)own_socket_free(other);
	(void)own_socket_free(own);
	assert_false(own_sockets_any(PROTOCOL_TCP));
}

static void test_ports(void **state)
{
	(void)state;
	assert_false(own_port(PROTOCOL_TCP, 53));
	own_port_add(PROTOCOL_MPTCP, 53, 1);
	own_port_add(PROTOCOL_TCP, 53, 1);
	assert_true(own_port(PROTOCOL_TCP, 53));
	assert_false(own_port(PROTOCOL_UDP, 53));
	own_port_add(PROTOCOL_TCP, 53, -1);
	assert_true(own_port(PROTOCOL_MPTCP, 53));
	own_port_add(PROTOCOL_MPTCP, 53, -1);
	assert_false(own_port(PROTOCOL_TCP, 53));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_several_addresses),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_about_to_be_connected),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
