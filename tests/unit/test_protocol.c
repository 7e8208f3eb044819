// SPDX-License-Identifier: Apache-2.0
/* test_protocol.c - names, ports, sockets and schemes of the protocols */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/protocol.h"
#include "common/service.h"
#include "common/util.h"

/* All that is known of each protocol. @fits: of TCP, UDP, SCTP; each goes to a
 * UNIX socket and to a backend without a scheme. */
static const struct {
	const char *name;
	enum protocol protocol, port_space, unix_protocol;
	int type, ip_protocol;
	bool sctp, fits[3], proxy_v1, proxy_v2;
} known[] = {
	{ "tcp",
	  PROTOCOL_TCP,
	  PROTOCOL_TCP,
	  PROTOCOL_TCP,
	  SOCK_STREAM,
	  0,
	  false,
	  { true, false, false },
	  true,
	  true },
	{ "udp",
	  PROTOCOL_UDP,
	  PROTOCOL_UDP,
	  PROTOCOL_UDP,
	  SOCK_DGRAM,
	  0,
	  false,
	  { false, true, false },
	  false,
	  true },
	{ "mptcp",
	  PROTOCOL_MPTCP,
	  PROTOCOL_TCP,
	  PROTOCOL_TCP,
	  SOCK_STREAM,
	  IPPROTO_MPTCP,
	  false,
	  { true, false, false },
	  true,
	  true },
	{ "sctp",
	  PROTOCOL_SCTP,
	  PROTOCOL_SCTP,
	  PROTOCOL_TCP,
	  SOCK_STREAM,
	  IPPROTO_SCTP,
	  true,
	  { true, false, true },
	  false,
	  false },
	{ "sctp-seqpacket",
	  PROTOCOL_SCTP_SEQPACKET,
	  PROTOCOL_SCTP,
	  PROTOCOL_TCP,
	  SOCK_SEQPACKET,
	  IPPROTO_SCTP,
	  true,
	  { true, false, true },
	  false,
	  false },
};
_Static_assert(ARRAY_SIZE(known) == PROTOCOL_COUNT, "one for each");

static void test_protocols(void **state)
{
	enum protocol parsed = PROTOCOL_UDP;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		enum protocol protocol = known[i].protocol;
		struct protocol_socket kind = protocol_socket(protocol);

		assert_string_equal(protocol_name(protocol), known[i].name);
		assert_int_equal(protocol_parse(known[i].name, &parsed), 0);
		assert_int_equal(parsed, protocol);
		assert_int_equal(protocol_port_space(protocol),
				 known[i].port_space);
		assert_int_equal(protocol_is_sctp(protocol), known[i].sctp);
		assert_int_equal(kind.type, known[i].type);
		assert_int_equal(kind.protocol, known[i].ip_protocol);
	}
	parsed = PROTOCOL_MPTCP;
	assert_int_equal(protocol_parse("dccp", &parsed), -EINVAL);
	assert_int_equal(protocol_parse("", &parsed), -EINVAL);
	assert_int_equal(parsed, PROTOCOL_MPTCP);
}

static void test_scheme_texts(void **state)
{
	static const struct {
		const char *text, *rest;
		enum scheme scheme;
	} cases[] = {
		{ "10.0.0.1:1", "10.0.0.1:1", SCHEME_NONE },
		{ "tcp://10.0.0.1:1", "10.0.0.1:1", SCHEME_TCP },
		{ "udp://[::1]:1", "[::1]:1", SCHEME_UDP },
		{ "sctp://[::1]:1", "[::1]:1", SCHEME_SCTP },
		{ "unix:/run/x", "/run/x", SCHEME_UNIX },
		{ "http://a", "http://a", SCHEME_NONE },
		{ "TCP://10.0.0.1:1", "TCP://10.0.0.1:1", SCHEME_NONE },
		{ "", "", SCHEME_NONE },
	};
	const char *rest;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(scheme_parse(cases[i].text, &rest),
				 cases[i].scheme);
		assert_string_equal(rest, cases[i].rest);
		assert_int_equal(scheme_parse(cases[i].text, NULL),
				 cases[i].scheme);
	}
}

static void test_what_goes_with_what(void **state)
{
	static const enum scheme schemes[] = { SCHEME_TCP, SCHEME_UDP,
					       SCHEME_SCTP };
	static const enum protocol spoken[] = { PROTOCOL_TCP, PROTOCOL_UDP,
						PROTOCOL_SCTP };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		enum protocol protocol = known[i].protocol;

		for (size_t k = 0; k < ARRAY_SIZE(schemes); k++) {
			assert_int_equal(scheme_fits(schemes[k], protocol),
					 known[i].fits[k]);
			assert_int_equal(scheme_protocol(schemes[k], protocol),
					 spoken[k]);
		}
		assert_true(scheme_fits(SCHEME_NONE, protocol));
		assert_int_equal(scheme_protocol(SCHEME_NONE, protocol),
				 known[i].port_space);
		assert_true(scheme_fits(SCHEME_UNIX, protocol));
		assert_int_equal(scheme_protocol(SCHEME_UNIX, protocol),
				 known[i].unix_protocol);
		assert_true(service_proxy_fits(SERVICE_PROXY_NONE, protocol));
		assert_int_equal(service_proxy_fits(SERVICE_PROXY_V1, protocol),
				 known[i].proxy_v1);
		assert_int_equal(service_proxy_fits(SERVICE_PROXY_V2, protocol),
				 known[i].proxy_v2);
		assert_int_equal(service_proxy_fits(SERVICE_PROXY_V2_CRC32C,
						    protocol),
				 known[i].proxy_v2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_scheme_texts),
		cmocka_unit_test(test_what_goes_with_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
