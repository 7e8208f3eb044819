// SPDX-License-Identifier: Apache-2.0
/* test_fd_name.c - names of listeners in the service manager's store */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/fd_name.h"

static const struct {
	const char *name;
	struct adopt_claim claim;
} names[] = {
	{ "berth1.4b.1a3f2.tcp.any.50",
	  { .netns_id = 0x4b,
	    .id = 0x1a3f2,
	    .endpoint = { .protocol = PROTOCOL_TCP, .port = 80 } } },
	{ "berth1.1.2.udp.4.35",
	  { .netns_id = 1,
	    .id = 2,
	    .endpoint = { .protocol = PROTOCOL_UDP,
			  .family = AF_INET,
			  .port = 53 } } },
	{ "berth1.1.2.mptcp.6.ffff",
	  { .netns_id = 1,
	    .id = 2,
	    .endpoint = { .protocol = PROTOCOL_MPTCP,
			  .family = AF_INET6,
			  .port = 65535 } } },
	{ "berth1.1.2.tcp.4a9fea9fe.50",
	  { .netns_id = 1,
	    .id = 2,
	    .endpoint = { .protocol = PROTOCOL_TCP,
			  .family = AF_INET,
			  .addr = { 169, 254, 169, 254 },
			  .port = 80 } } },
	{ "berth1.1.2.tcp.6fe800000000000000000000000000001.50.3",
	  { .netns_id = 1,
	    .id = 2,
	    .endpoint = { .protocol = PROTOCOL_TCP,
			  .family = AF_INET6,
			  .addr = { 0xfe, 0x80, [15] = 1 },
			  .scope_id = 3,
			  .port = 80 } } },
	{ "berth1.1.2.sctp.all.8e3c",
	  { .netns_id = 1,
	    .id = 2,
	    .endpoint = { .protocol = PROTOCOL_SCTP,
			  .multihomed = 1,
			  .port = 36412 } } },
	/* The longest of all. */
	{ "berth1.ffffffffffffffff.ffffffffffffffff.sctp-seqpacket."
	  "6ffffffffffffffffffffffffffffffff.ffff.ffffffff",
	  { .netns_id = UINT64_MAX,
	    .id = UINT64_MAX,
	    .endpoint = { .protocol = PROTOCOL_SCTP_SEQPACKET,
			  .family = AF_INET6,
			  .addr = { 255, 255, 255, 255, 255, 255, 255, 255, 255,
				    255, 255, 255, 255, 255, 255, 255 },
			  .scope_id = UINT32_MAX,
			  .port = 65535 } } },
};

static void test_there_and_back(void **state)
{
	char buffer[FD_NAME_MAX];
	struct adopt_claim claim;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_string_equal(fd_name_fmt(&names[i].claim, buffer),
				    names[i].name);
		assert_true(fd_name_is_valid(buffer));
		memset(&claim, 0xff, sizeof(claim));
		assert_int_equal(fd_name_parse(buffer, &claim), 0);
		assert_memory_equal(&claim, &names[i].claim, sizeof(claim));
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"......",
		"unknown",
		"stored",
		"berth1",
		"berth1.....",
		"berth1.4b.1a3f2.tcp.any",
		"berth1.4b.1a3f2.tcp.any.",
		"berth2.4b.1a3f2.tcp.any.50",
		"xberth1.4b.1a3f2.tcp.any.50",
		"berth1.4B.1a3f2.tcp.any.50",
		"berth1.0x4b.1a3f2.tcp.any.50",
		"berth1. 4b.1a3f2.tcp.any.50",
		"berth1.+4b.1a3f2.tcp.any.50",
		"berth1.-4b.1a3f2.tcp.any.50",
		"berth1.04b.1a3f2.tcp.any.50",
		"berth1..1a3f2.tcp.any.50",
		"berth1.10000000000000000.1a3f2.tcp.any.50",
		"berth1.4b.1a3f2.dccp.any.50",
		"berth1.4b.1a3f2..any.50",
		"berth1.4b.1a3f2.tcp.any.10050",
		"berth1.4b.1a3f2.tcp.any.50.",
		"berth1.4b.1a3f2.tcp.any.50.0",
		"berth1.4b.1a3f2.tcp.any.50.1.2",
		"berth1.4b.1a3f2.tcp.any.50.1.2.3",
		"berth1.4b.1a3f2.tcp.any.50.100000001",
		"berth1.4b.1a3f2.tcp.some.50",
		"berth1.4b.1a3f2.tcp..50",
		"berth1.4b.1a3f2.tcp.5.50",
		"berth1.4b.1a3f2.tcp.47f.50",
		"berth1.4b.1a3f2.tcp.47f00000.50",
		"berth1.4b.1a3f2.tcp.47f0000010.50",
		"berth1.4b.1a3f2.tcp.47f00000g.50",
		"berth1.4b.1a3f2.tcp.4-7f00000.50",
		"berth1.4b.1a3f2.tcp.400000000.50",
		"berth1.4b.1a3f2.tcp.67f000001.50",
		"berth1.4b.1a3f2.tcp.any.50\n",
	};
	struct adopt_claim claim, before;

	(void)state;
	memset(&claim, 0xff, sizeof(claim));
	before = claim;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (fd_name_parse(texts[i], &claim) != -EINVAL)
			fail_msg("'%s' is taken", texts[i]);
	assert_memory_equal(&claim, &before, sizeof(claim));
}

static void test_long_text_is_refused(void **state)
{
	char text[4096];
	struct adopt_claim claim;

	(void)state;
	for (size_t len = 1; len < sizeof(text); len *= 2) {
		memset(text, '.', len);
		text[len] = '\0';
		assert_int_equal(fd_name_parse(text, &claim), -EINVAL);
		memset(text, '0', len);
		memcpy(text, "berth1.", len < 7 ? len : 7);
		assert_int_equal(fd_name_parse(text, &claim), -EINVAL);
	}
}

static void test_valid_for_the_manager(void **state)
{
	char text[257];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[256] = '\0';
	assert_false(fd_name_is_valid(text));
	text[255] = '\0';
	assert_true(fd_name_is_valid(text));
	assert_true(fd_name_is_valid(" ~"));
	assert_false(fd_name_is_valid(""));
	assert_false(fd_name_is_valid("a:b"));
	assert_false(fd_name_is_valid("a\nFDSTORE=1"));
	assert_false(fd_name_is_valid("\177"));
	assert_false(fd_name_is_valid("\303\244"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_text_is_refused),
		cmocka_unit_test(test_valid_for_the_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
