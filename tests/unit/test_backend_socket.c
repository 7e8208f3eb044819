// SPDX-License-Identifier: Apache-2.0
/* test_backend_socket.c - which socket connects to a backend, and who makes it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/backend.h"
#include "common/backend_source.h"
#include "common/backend_socket.h"
#include "common/service.h"
#include "common/util.h"
#include "daemon/consumers/mint.h"
#include "lib/berth.h"
#include "relay/core/serving.h"

static const char *const backends[] = {
	"10.0.0.1:1",	     "[fd00::1]:1",	  "tcp://10.0.0.1:1",
	"udp://[fd00::1]:1", "sctp://10.0.0.1:1", "unix:/run/x",
};

/* What a rule can say of where to connect from. */
struct origin {
	const char *netns;
	bool transparent;
	const char *from[2];
};

static const struct origin origins[] = {
	{ NULL, false, { NULL } },
	{ "back", false, { NULL } },
	{ NULL, true, { NULL } },
	{ "back", true, { NULL } },
	{ NULL, false, { "10.0.0.9" } },
	{ NULL, false, { "fd00::9" } },
	{ "back", false, { "fd00::9", "10.0.0.9" } },
};

static void test_choice(void **state)
{
	struct backend_source four, six;
	const struct backend_source *sources;
	static const struct {
		const char *backend;
		enum protocol listener;
		bool elsewhere, transparent;
		size_t n_from; /* of 10.0.0.9, fd00::9 */
		int domain;
		enum protocol protocol;
		bool minted, bound;
		int source; /* -1: none */
	} cases[] = {
		{ "10.0.0.1:1", PROTOCOL_TCP, false, false, 0, AF_INET,
		  PROTOCOL_TCP, false, false, -1 },
		{ "10.0.0.1:1", PROTOCOL_MPTCP, true, false, 0, AF_INET,
		  PROTOCOL_TCP, true, false, -1 },
		{ "[fd00::1]:1", PROTOCOL_UDP, false, true, 0, AF_INET6,
		  PROTOCOL_UDP, true, false, -1 },
		{ "10.0.0.1:1", PROTOCOL_TCP, false, false, 2, AF_INET,
		  PROTOCOL_TCP, true, true, 0 },
		{ "[fd00::1]:1", PROTOCOL_UDP, true, false, 2, AF_INET6,
		  PROTOCOL_UDP, true, true, 1 },
		{ "[fd00::1]:1", PROTOCOL_TCP, false, false, 1, AF_INET6,
		  PROTOCOL_TCP, true, true, -1 },
		{ "10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, false, false, 2,
		  AF_INET, PROTOCOL_SCTP, false, false, -1 },
		{ "10.0.0.1:1", PROTOCOL_SCTP, true, false, 2, AF_INET,
		  PROTOCOL_SCTP, true, false, -1 },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP, false, false, 2, AF_INET,
		  PROTOCOL_TCP, true, true, 0 },
		{ "unix:/run/x", PROTOCOL_UDP, true, true, 2, AF_UNIX,
		  PROTOCOL_UDP, false, false, -1 },
		{ "unix:/run/x", PROTOCOL_SCTP, true, false, 2, AF_UNIX,
		  PROTOCOL_TCP, false, false, -1 },
	};

	(void)state;
	assert_int_equal(backend_source_parse("10.0.0.9", &four, NULL), 0);
	assert_int_equal(backend_source_parse("fd00::9", &six, NULL), 0);
	sources = (const struct backend_source[]){ four, six };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct backend_origin origin = {
			.elsewhere = cases[i].elsewhere,
			.transparent = cases[i].transparent,
			.from = sources,
			.n_from = cases[i].n_from,
		};
		struct backend_socket sock;
		struct backend backend;

		assert_int_equal(
			backend_parse(cases[i].backend, &backend, NULL), 0);
		sock = backend_socket_choose(&backend, cases[i].listener,
					     &origin);
		assert_int_equal(sock.domain, cases[i].domain);
		assert_int_equal(sock.protocol, cases[i].protocol);
		assert_int_equal(sock.minted, cases[i].minted);
		assert_int_equal(sock.bound, cases[i].bound);
		assert_ptr_equal(
			sock.source,
			cases[i].source < 0 ? NULL : &sources[cases[i].source]);
	}
}

/* berthd's answer for what the relay holds, as it was told. */
static void check_agreement(const char *to, enum protocol protocol,
			    const struct origin *origin)
{
	char *backend_text = (char *)(uintptr_t)to;
	struct backend_source from[2];
	struct service service = {
		.action = SERVICE_FORWARD,
		.to = &backend_text,
		.n_to = 1,
		.netns = (char *)(uintptr_t)origin->netns,
		.transparent = origin->transparent,
		.from = from,
	};
	const struct berth_listener told = {
		.log = "",
		.balance = "",
		.action = "forward",
		.rule = "web",
		.protocol = protocol_name(protocol),
		.proxy_protocol = "",
		.to = (const char **)&backend_text,
		.n_to = 1,
		.backend_netns = origin->netns ? origin->netns : "",
		.transparent = origin->transparent,
		.from = (const char **)(uintptr_t)origin->from,
		.n_from = origin->from[1]   ? 2
			  : origin->from[0] ? 1
					    : 0,
	};
	const struct socket_request client = { .to = 0 };
	const struct socket_request check = { .to = 0, .check = true };
	struct serving *serving = NULL;
	struct backend_socket sock;
	struct backend backend;
	const char *problem;
	int r;

	for (size_t i = 0; i < told.n_from; i++)
		assert_int_equal(backend_source_parse(origin->from[i], &from[i],
						      NULL),
				 0);
	service.n_from = told.n_from;
	if (serving_new(&told, protocol, &serving, &problem) < 0)
		return; /* no rule has it, see scheme_fits() */
	r = mint_choose(&service, protocol, &check, &backend, &sock);
	assert_int_equal(r, serving->backends[0].check_minted ? 0 : -EPERM);
	r = mint_choose(&service, protocol, &client, &backend, &sock);
	assert_int_equal(r, serving->backends[0].minted ? 0 : -EPERM);
	if (r == 0) {
		assert_int_equal(sock.protocol, serving->backends[0].protocol);
		assert_int_equal(sock.source ? sock.source - from : -1,
				 serving->backends[0].source
					 ? serving->backends[0].source -
						   serving->from
					 : -1);
	}
	(void)serving_unref(serving);
}

static void test_both_processes_agree(void **state)
{
	(void)state;
	for (size_t b = 0; b < ARRAY_SIZE(backends); b++) {
		for (size_t o = 0; o < ARRAY_SIZE(origins); o++) {
			for (int p = 0; p < PROTOCOL_COUNT; p++)
				check_agreement(backends[b], (enum protocol)p,
						&origins[o]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_both_processes_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
