// SPDX-License-Identifier: Apache-2.0
/* test_udp_answers.c - which datagrams are answers of the relay's listeners */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/listener.h"
#include "relay/udp/udp_address.h"
#include "relay/udp/udp_answers.h"
#include "relay/udp/udp_session.h"

#define NOW_US (100 * USEC_PER_SEC)

static const struct listener near = { .netns_id = 1, .port = 53 };
static const struct listener far = { .netns_id = 2, .port = 54 };

static struct udp_key key_of(const char *client, uint16_t port,
			     const char *local)
{
	struct udp_key key = { .port = htons(port), .family = AF_INET6 };

	assert_int_equal(inet_pton(AF_INET6, client, key.client), 1);
	if (local)
		assert_int_equal(inet_pton(AF_INET6, local, key.local), 1);
	return key;
}

/* What @near answered comes to @far, and is told apart from all else. */
static void test_ends(void **state)
{
	const struct udp_key asked = key_of("fd00::2", 54, "fd00::1");
	const struct udp_key answer = key_of("fd00::1", 53, "fd00::2");
	const struct udp_key others[] = {
		key_of("fd00::1", 54, "fd00::2"),
		key_of("fd00::3", 53, "fd00::2"),
		key_of("fd00::1", 53, "fd00::3"),
		key_of("fd00::1", 53, NULL),
	};

	(void)state;
	assert_false(udp_answers_has(&far, &answer, NOW_US));
	udp_answers_note(&near, &asked, NOW_US);
	assert_true(udp_answers_has(&far, &answer, NOW_US));
	assert_true(udp_answers_has(&far, &answer, NOW_US + USEC_PER_SEC));
	assert_false(
		udp_answers_has(&far, &answer, NOW_US + 11 * USEC_PER_SEC));
	assert_false(udp_answers_has(&near, &answer, NOW_US));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(udp_answers_has(&far, &others[i], NOW_US));
}

/* A dual-stack listener writes IPv4 addresses in another way. */
static void test_families(void **state)
{
	struct udp_key answer = { .port = htons(53), .family = AF_INET };
	const struct udp_key asked =
		key_of("::ffff:10.0.0.2", 54, "::ffff:10.0.0.1");

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "10.0.0.1", answer.client), 1);
	assert_int_equal(inet_pton(AF_INET, "10.0.0.2", answer.local), 1);
	udp_answers_note(&near, &asked, NOW_US);
	assert_true(udp_answers_has(&far, &answer, NOW_US));
}

/* What does not leave its namespace is no answer of another one's. */
static void test_inside(void **state)
{
	static const struct {
		const char *client, *local;
	} cases[] = { { "::1", "::1" },
		      { "::ffff:127.0.0.1", "::ffff:127.0.0.2" },
		      { "fd00::5", "fd00::5" } };
	const struct listener same = { .netns_id = 1, .port = 54 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct udp_key asked =
			key_of(cases[i].client, 54, cases[i].local);
		const struct udp_key answer =
			key_of(cases[i].local, 53, cases[i].client);

		udp_answers_note(&near, &asked, NOW_US);
		assert_true(udp_answers_has(&same, &answer, NOW_US));
		assert_false(udp_answers_has(&far, &answer, NOW_US));
	}
}

/* The last note is there, whatever came before. */
static void test_flood(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		struct udp_key asked = key_of("fd01::", 54, "fd00::1");
		struct udp_key answer = key_of("fd00::1", 53, "fd01::");

		memcpy(&asked.client[12], &i, sizeof(i));
		memcpy(&answer.local[12], &i, sizeof(i));
		udp_answers_note(&near, &asked, NOW_US + i);
		assert_true(udp_answers_has(&far, &answer, NOW_US + i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
