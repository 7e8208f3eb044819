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

#define LONGEST \
	"0123456789abcdef0123456789.bcdef0123456789abcdef0123456789-_cdef"

static void test_there_and_back(void **state)
{
	static const struct {
		struct endpoint endpoint;
		const char *consumer;
		const char *name;
	} cases[] = {
		{ { .family = AF_UNSPEC }, "relay", "berth.any.relay" },
		{ { .family = AF_INET }, "relay", "berth.addr.relay" },
		{ { .family = AF_INET6 }, "a.b", "berth.addr.a.b" },
		{ { .multihomed = 1 }, "any", "berth.all.any" },
		{ { .multihomed = 1 }, LONGEST, "berth.all." LONGEST },
	};
	char buffer[FD_NAME_MAX];
	const char *consumer;
	enum fd_kind kind;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(fd_name_fmt(fd_kind_of(&cases[i].endpoint),
						cases[i].consumer, buffer),
				    cases[i].name);
		assert_true(fd_name_is_valid(buffer));
		assert_int_equal(fd_name_parse(buffer, &kind, &consumer), 0);
		assert_int_equal(kind, fd_kind_of(&cases[i].endpoint));
		assert_string_equal(consumer, cases[i].consumer);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"..",
		"unknown",
		"stored",
		"berth",
		"berth.",
		"berth.any",
		"berth.any.",
		"berth..relay",
		"berth.an.relay",
		"berth.anyx.relay",
		"berth.ANY.relay",
		"berths.any.relay",
		" berth.any.relay",
		"berth.address.relay",
	};
	enum fd_kind kind = FD_KIND_ALL;
	const char *consumer = NULL;
	char text[FD_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (fd_name_parse(texts[i], &kind, &consumer) != -EINVAL)
			fail_msg("'%s' is taken", texts[i]);
	snprintf(text, sizeof(text), "berth.any.%sx", LONGEST);
	assert_int_equal(fd_name_parse(text, &kind, &consumer), -EINVAL);
	assert_int_equal(kind, FD_KIND_ALL);
	assert_null(consumer);
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
		cmocka_unit_test(test_valid_for_the_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
