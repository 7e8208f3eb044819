// SPDX-License-Identifier: Apache-2.0
/* test_mint.c - which socket a consumer gets for which backend */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/netns_enter.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/mint.h"

static char netns[] = "back";

static void test_kinds(void **state)
{
	static const struct {
		const char *to;
		enum protocol protocol;
		int domain;
		int type;
		int ip_protocol;
	} cases[] = {
		{ "10.0.0.1:1", PROTOCOL_TCP, AF_INET, SOCK_STREAM, 0 },
		{ "tcp://[::1]:1", PROTOCOL_TCP, AF_INET6, SOCK_STREAM, 0 },
		{ "10.0.0.1:1", PROTOCOL_MPTCP, AF_INET, SOCK_STREAM, 0 },
		{ "10.0.0.1:1", PROTOCOL_UDP, AF_INET, SOCK_DGRAM, 0 },
		{ "udp://[::1]:1", PROTOCOL_UDP, AF_INET6, SOCK_DGRAM, 0 },
		{ "10.0.0.1:1", PROTOCOL_SCTP, AF_INET, SOCK_STREAM,
		  IPPROTO_SCTP },
		{ "sctp://[::1]:1", PROTOCOL_SCTP, AF_INET6, SOCK_STREAM,
		  IPPROTO_SCTP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP, AF_INET, SOCK_STREAM, 0 },
		{ "10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, AF_INET, SOCK_STREAM,
		  IPPROTO_SCTP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, AF_INET,
		  SOCK_STREAM, 0 },
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
		struct netns_socket sock;

		assert_int_equal(
			mint_kind(&service, cases[i].protocol, 0, &sock), 0);
		assert_int_equal(sock.domain, cases[i].domain);
		assert_int_equal(sock.type, cases[i].type | SOCK_NONBLOCK);
		assert_int_equal(sock.protocol, cases[i].ip_protocol);
		assert_int_equal(sock.fd, -1);
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
	struct netns_socket sock = { .fd = -2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct service service = {
			.action = cases[i].action,
			.to = to,
			.n_to = ARRAY_SIZE(to),
			.netns = cases[i].place ? netns : NULL,
		};

		assert_int_equal(mint_kind(&service, PROTOCOL_UDP, cases[i].to,
					   &sock),
				 -EPERM);
		assert_int_equal(sock.fd, -2); /* untouched */
	}
}

/* The rule changed while the question was on its way. */
static void test_what_the_consumer_believes(void **state)
{
	char first[] = "10.0.0.1:1", second[] = "tcp://10.0.0.2:1";
	char bytes[] = "b\xff\\x";
	char *to[] = { first, second };
	const struct {
		enum service_action action;
		char *netns;
		struct mint_target target;
		int result;
	} cases[] = {
		{ SERVICE_FORWARD, netns, { .to = 0 }, 0 }, /* says nothing */
		{ SERVICE_ECHO, NULL, { .to = 7 }, 0 },
		{ SERVICE_FORWARD, netns, { 1, 0, first, netns }, 0 },
		{ SERVICE_FORWARD, netns, { 1, 1, second, NULL }, 0 },
		{ SERVICE_FORWARD, NULL, { 1, 0, first, "" }, 0 },
		{ SERVICE_FORWARD, bytes, { 1, 0, first, "b\\xff\\x" }, 0 },
		{ SERVICE_FORWARD, netns, { 1, 1, first, netns }, -ESTALE },
		{ SERVICE_FORWARD, netns, { 1, 2, first, netns }, -ESTALE },
		{ SERVICE_ECHO, NULL, { 1, 0, first, NULL }, -ESTALE },
		{ SERVICE_FORWARD, netns, { 1, 0, first, "" }, -ESTALE },
		{ SERVICE_FORWARD, netns, { 1, 0, first, "other" }, -ESTALE },
		{ SERVICE_FORWARD, NULL, { 1, 0, first, netns }, -ESTALE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct service service = {
			.action = cases[i].action,
			.to = to,
			.n_to = ARRAY_SIZE(to),
			.netns = cases[i].netns,
		};

		assert_int_equal(mint_check(&service, &cases[i].target),
				 cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_what_the_rule_does_not_say),
		cmocka_unit_test(test_what_the_consumer_believes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
