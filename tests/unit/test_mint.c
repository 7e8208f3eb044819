// SPDX-License-Identifier: Apache-2.0
/* test_mint.c - which socket a consumer gets for which backend */
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "binder/binder.h"
#include "common/backend.h"
#include "common/backend_source.h"
#include "common/backend_socket.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/consumers/mint.h"

#define IPV4 ((int)sizeof(struct sockaddr_in))
#define IPV6 ((int)sizeof(struct sockaddr_in6))

/* A request of a consumer that says nothing but which backend. */
#define TO(index)                \
	&(struct socket_request) \
	{                        \
		.to = index      \
	}

static char netns[] = "back";

static void test_kinds(void **state)
{
	static const struct {
		const char *to;
		enum protocol listener;
		int domain;
		enum protocol protocol;
	} cases[] = {
		{ "10.0.0.1:1", PROTOCOL_TCP, AF_INET, PROTOCOL_TCP },
		{ "tcp://[::1]:1", PROTOCOL_TCP, AF_INET6, PROTOCOL_TCP },
		{ "10.0.0.1:1", PROTOCOL_MPTCP, AF_INET, PROTOCOL_TCP },
		{ "10.0.0.1:1", PROTOCOL_UDP, AF_INET, PROTOCOL_UDP },
		{ "udp://[::1]:1", PROTOCOL_UDP, AF_INET6, PROTOCOL_UDP },
		{ "10.0.0.1:1", PROTOCOL_SCTP, AF_INET, PROTOCOL_SCTP },
		{ "sctp://[::1]:1", PROTOCOL_SCTP, AF_INET6, PROTOCOL_SCTP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP, AF_INET, PROTOCOL_TCP },
		{ "10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, AF_INET,
		  PROTOCOL_SCTP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, AF_INET,
		  PROTOCOL_TCP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *to = (char *)(uintptr_t)cases[i].to;
		const struct service service = {
			.action = SERVICE_FORWARD,
			.to = &to,
			.n_to = 1,
			.transparent = i % 2 == 0,
			.netns = i % 2 ? netns : NULL,
		};
		struct backend_socket sock;
		struct backend backend;

		assert_int_equal(mint_choose(&service, cases[i].listener, TO(0),
					     &backend, &sock),
				 0);
		assert_int_equal(sock.domain, cases[i].domain);
		assert_int_equal(sock.protocol, cases[i].protocol);
		assert_int_equal(backend.address.ss_family, cases[i].domain);
	}
}

static void test_what_the_rule_does_not_say(void **state)
{
	char address[] = "10.0.0.1:1", path[] = "unix:/x", none[] = "x";
	char *to[] = { address, path, none };
	const struct {
		enum service_action action;
		bool place;
		unsigned int to;
	} cases[] = {
		{ SERVICE_FORWARD, false, 0 }, /* the relay's own socket does */
		{ SERVICE_FORWARD, true, 1 }, /* a path needs none */
		{ SERVICE_FORWARD, true, 2 }, /* made by a template */
		{ SERVICE_FORWARD, true, 3 }, /* no such backend */
		{ SERVICE_ECHO, true, 0 },
	};
	struct backend_socket sock = { .domain = -2 };
	struct backend backend = { .address_len = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct service service = {
			.action = cases[i].action,
			.to = to,
			.n_to = ARRAY_SIZE(to),
			.netns = cases[i].place ? netns : NULL,
		};

		assert_int_equal(mint_choose(&service, PROTOCOL_UDP,
					     TO(cases[i].to), &backend, &sock),
				 -EPERM);
		assert_int_equal(sock.domain, -2); /* untouched */
		assert_int_equal(backend.address_len, 1);
	}
}

/* The rule changed while the request was on its way. */
static void test_what_the_consumer_believes(void **state)
{
	char first[] = "10.0.0.1:1", second[] = "tcp://10.0.0.2:1";
	char bytes[] = "b\xff\\x";
	char *to[] = { first, second };
	const struct {
		enum service_action action;
		char *netns;
		struct socket_request request;
		int result;
	} cases[] = {
		{ SERVICE_FORWARD, netns, { .to = 0 }, 0 }, /* says nothing */
		{ SERVICE_ECHO, NULL, { .to = 7 }, 0 },
		{ SERVICE_FORWARD,
		  netns,
		  { .to = 0, .backend = first, .netns = netns },
		  0 },
		{ SERVICE_FORWARD, netns, { .to = 1, .backend = second }, 0 },
		{ SERVICE_FORWARD,
		  NULL,
		  { .to = 0, .backend = first, .netns = "" },
		  0 },
		{ SERVICE_FORWARD,
		  bytes,
		  { .to = 0, .backend = first, .netns = "b\\xff\\x" },
		  0 },
		{ SERVICE_FORWARD,
		  netns,
		  { .to = 1, .backend = first, .netns = netns },
		  -ESTALE },
		{ SERVICE_FORWARD,
		  netns,
		  { .to = 2, .backend = first, .netns = netns },
		  -ESTALE },
		{ SERVICE_ECHO, NULL, { .to = 0, .backend = first }, -ESTALE },
		{ SERVICE_FORWARD,
		  netns,
		  { .to = 0, .backend = first, .netns = "" },
		  -ESTALE },
		{ SERVICE_FORWARD,
		  netns,
		  { .to = 0, .backend = first, .netns = "other" },
		  -ESTALE },
		{ SERVICE_FORWARD,
		  NULL,
		  { .to = 0, .backend = first, .netns = netns },
		  -ESTALE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct service service = {
			.action = cases[i].action,
			.to = to,
			.n_to = ARRAY_SIZE(to),
			.netns = cases[i].netns,
		};

		assert_int_equal(mint_check(&service, &cases[i].request),
				 cases[i].result);
	}
}

/* It is told `transparent`, and says for whom; or neither. */
static void test_whom_the_consumer_stands_in_for(void **state)
{
	struct service service = { .action = SERVICE_FORWARD };
	struct socket_request request = { .to = 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		service.transparent = i % 2;
		request.client.family = i / 2 ? AF_INET : AF_UNSPEC;
		assert_int_equal(mint_check(&service, &request),
				 i % 2 == i / 2 ? 0 : -ESTALE);
	}
}

/* The socket of a check stands in for nobody. */
static void test_checks(void **state)
{
	char address[] = "10.0.0.1:1";
	char *to[] = { address };
	struct service service = { .action = SERVICE_FORWARD,
				   .to = to,
				   .n_to = 1,
				   .transparent = true };
	struct socket_request request = { .to = 0, .check = true };
	struct sockaddr_storage bound;
	struct backend_socket sock;
	struct backend backend;

	(void)state;
	assert_int_equal(mint_check(&service, &request), -ESTALE);
	service.check.every_ms = 5000;
	assert_int_equal(mint_check(&service, &request), 0);
	/* The relay's own socket does. */
	assert_int_equal(mint_choose(&service, PROTOCOL_TCP, &request, &backend,
				     &sock),
			 -EPERM);
	service.netns = netns;
	assert_int_equal(mint_choose(&service, PROTOCOL_TCP, &request, &backend,
				     &sock),
			 0);
	assert_int_equal(mint_address(&sock, &request, &bound), 0);
	request.client.family = AF_INET;
	assert_int_equal(mint_check(&service, &request), -ESTALE);
}

static void test_sources(void **state)
{
	struct backend_source from[2];
	char four[] = "10.0.0.9:1", six[] = "[fd00::9]:1";
	char *to[] = { four, six };
	struct service service = { .action = SERVICE_FORWARD,
				   .to = to,
				   .n_to = ARRAY_SIZE(to),
				   .from = from,
				   .n_from = ARRAY_SIZE(from) };
	struct socket_request request = { .to = 0 };
	struct sockaddr_storage address;
	struct backend_socket sock;
	struct backend backend;
	struct ip_addr bound;
	uint16_t port;

	(void)state;
	assert_int_equal(backend_source_parse("10.0.0.1", &from[0], NULL), 0);
	assert_int_equal(backend_source_parse("fd00::1", &from[1], NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		assert_int_equal(mint_choose(&service, PROTOCOL_TCP, TO(i),
					     &backend, &sock),
				 0);
		request.from = from[i].addr;
		assert_int_equal(mint_address(&sock, &request, &address),
				 i ? IPV6 : IPV4);
		assert_int_equal(ip_addr_from_sockaddr(&address, &bound, &port),
				 0);
		assert_true(ip_addr_equal(&bound, &from[i].addr));
		assert_int_equal(port, 0);
		assert_int_equal(mint_check(&service, &request), 0);
	}
	request.from.bytes[15] = 2; /* of the rule before */
	assert_int_equal(mint_check(&service, &request), -ESTALE);
	/* By SCTP all of them are for the consumer to bind. */
	assert_int_equal(mint_choose(&service, PROTOCOL_SCTP, TO(0), &backend,
				     &sock),
			 -EPERM);
	service.netns = netns;
	assert_int_equal(mint_choose(&service, PROTOCOL_SCTP, TO(0), &backend,
				     &sock),
			 0);
	assert_int_equal(mint_address(&sock, &request, &address), 0);
	/* By a template to a family that the rule has no address of. */
	service.n_from = 1;
	assert_int_equal(
		mint_choose(&service, PROTOCOL_TCP, TO(1), &backend, &sock), 0);
	assert_int_equal(mint_address(&sock, &request, &address),
			 -EAFNOSUPPORT);
}

/* Nothing of what the consumer says is believed. */
static void test_clients(void **state)
{
	static const struct {
		const char *client;
		int domain;
		enum protocol protocol;
		uint16_t port;
		int result;
		uint16_t bound;
	} cases[] = {
		{ "10.0.0.1", AF_INET, PROTOCOL_TCP, 0, IPV4, 0 },
		{ "10.0.0.1", AF_INET, PROTOCOL_TCP, 80, IPV4, 0 },
		{ "10.0.0.1", AF_INET, PROTOCOL_UDP, 53, IPV4, 53 },
		{ "fd00::1", AF_INET6, PROTOCOL_UDP, 53, IPV6, 53 },
		{ "10.0.0.1", AF_INET, PROTOCOL_UDP, 0, -EADDRNOTAVAIL, 0 },
		{ "fd00::1", AF_INET, PROTOCOL_UDP, 53, -EAFNOSUPPORT, 0 },
		{ "127.0.0.1", AF_INET, PROTOCOL_TCP, 0, -EADDRNOTAVAIL, 0 },
		{ "0.0.0.0", AF_INET, PROTOCOL_UDP, 53, -EADDRNOTAVAIL, 0 },
		{ "::ffff:127.0.0.1", AF_INET6, PROTOCOL_UDP, 53,
		  -EADDRNOTAVAIL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct backend_socket sock = {
			.domain = cases[i].domain,
			.protocol = cases[i].protocol,
		};
		struct socket_request request = { .client_port =
							  cases[i].port };
		struct sockaddr_storage address;
		struct ip_addr bound;
		uint16_t port;

		assert_int_equal(
			ip_addr_parse(cases[i].client, &request.client), 0);
		assert_int_equal(mint_address(&sock, &request, &address),
				 cases[i].result);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(ip_addr_from_sockaddr(&address, &bound, &port),
				 0);
		assert_true(ip_addr_equal(&bound, &request.client));
		assert_int_equal(port, cases[i].bound);
	}
}

static int mint(enum protocol protocol, const char *client, uint16_t port,
		int *ret_fd)
{
	char address[] = "10.0.0.9:1", *to = address;
	struct service service = { .action = SERVICE_FORWARD,
				   .to = &to,
				   .n_to = 1,
				   .transparent = true };
	const struct listener listener = {
		.service = &service,
		.endpoint = { .protocol = (uint8_t)protocol },
	};
	struct socket_request request = { .client_port = port };
	uint64_t netns_id = 1;
	int r;

	assert_int_equal(ip_addr_parse(client, &request.client), 0);
	r = mint_socket(NULL, &listener, &request, ret_fd, &netns_id);
	if (r == 0)
		assert_int_equal(netns_id, 0);
	return r;
}

static int mint_udp(const char *client, uint16_t port, int *ret_fd)
{
	return mint(PROTOCOL_UDP, client, port, ret_fd);
}

/* Else a relay that dies would leave orphans in the backend's namespace. */
static void test_dies_hard(void **state)
{
	struct linger linger = { .l_onoff = 0, .l_linger = -1 };
	socklen_t len = sizeof(linger);
	_cleanup_close_ int fd = -1;
	int inlined = 0;

	(void)state;
	assert_int_equal(mint(PROTOCOL_TCP, "192.0.2.1", 0, &fd), 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len),
			 0);
	assert_int_equal(linger.l_onoff, 1);
	assert_int_equal(linger.l_linger, 0);
	len = sizeof(inlined);
	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &inlined, &len), 0);
	assert_int_equal(inlined, 1);
}

/* It comes bound, because the relay may not bind; a port that needs a privilege
 * is not given, although berthd has it, and has it afterwards. */
static void test_bound(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(7) };
	socklen_t len = sizeof(in);
	int fd = -1, other_fd = -1;

	(void)state;
	assert_int_equal(mint_udp("192.0.2.1", 2000, &fd), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(ntohl(in.sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(in.sin_port), 2000);
	assert_int_equal(mint_udp("192.0.2.1", 2000, &other_fd), -EADDRINUSE);
	assert_int_equal(mint_udp("192.0.2.1", 7, &other_fd), -EACCES);
	assert_int_equal(mint_udp("127.0.0.1", 2000, &other_fd),
			 -EADDRNOTAVAIL);
	assert_int_equal(other_fd, -1);
	cleanup_close(&fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_port = htons(7) };
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	cleanup_close(&fd);
}

/* Its ports are free, and those below 1024 need the privilege. */
static int enter_netns(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_what_the_rule_does_not_say),
		cmocka_unit_test(test_what_the_consumer_believes),
		cmocka_unit_test(test_whom_the_consumer_stands_in_for),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_clients),
		cmocka_unit_test_setup(test_dies_hard, enter_netns),
		cmocka_unit_test_setup(test_bound, enter_netns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
