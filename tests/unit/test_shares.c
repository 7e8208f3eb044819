// SPDX-License-Identifier: Apache-2.0
/* test_shares.c - how much users other than root may have registered */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "watcher/shares.h"

#define USER 1000u
#define EACH 100u

static struct shares *shares;

static int setup(void **state)
{
	(void)state;
	shares = shares_new();
	assert_non_null(shares);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	shares = shares_free(shares);
	return 0;
}

/* Takes if there is no refusal, or there must be one with @part in it. */
static void take(uid_t uid, size_t bytes, const char *part)
{
	const char *reason = shares_refusal(shares, uid, bytes, 0);

	if (part) {
		assert_non_null(reason);
		assert_non_null(strstr(reason, part));
		return;
	}
	assert_null(reason);
	assert_int_equal(shares_take(shares, uid, bytes), 0);
}

static void test_one_user(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHARES_PER_USER_MAX; i++)
		take(USER, EACH, NULL);
	take(USER, EACH, "that one user may");
	take(USER + 1, EACH, NULL);
	take(0, SHARES_BYTES_USERS_MAX + 1, NULL);
	shares_give(shares, USER, EACH);
	take(USER, EACH, NULL);
	take(USER, EACH, "that one user may");
}

static void test_bytes_of_one_user(void **state)
{
	(void)state;
	take(USER, SHARES_BYTES_PER_USER_MAX + 1, "labels and names");
	take(USER, SHARES_BYTES_PER_USER_MAX - EACH, NULL);
	take(USER, EACH + 1, "labels and names");
	take(USER, EACH, NULL);
	take(USER, 1, "labels and names");
	shares_give(shares, USER, SHARES_BYTES_PER_USER_MAX - EACH);
	take(USER, SHARES_BYTES_PER_USER_MAX - EACH, NULL);
}

/* What takes the place of another one needs no more room. */
static void test_replaced(void **state)
{
	(void)state;
	for (size_t i = 0; i < SHARES_PER_USER_MAX; i++)
		take(USER, EACH, NULL);
	assert_null(shares_refusal(shares, USER, EACH, EACH));
	assert_non_null(shares_refusal(shares, USER, EACH, 0));
	assert_null(shares_refusal(shares, USER,
				   SHARES_BYTES_PER_USER_MAX -
					   (SHARES_PER_USER_MAX - 1) * EACH,
				   EACH));
	assert_non_null(
		shares_refusal(shares, USER,
			       SHARES_BYTES_PER_USER_MAX -
				       (SHARES_PER_USER_MAX - 1) * EACH + 1,
			       EACH));
}

/* As a user with the numbers of subuid(5). */
static void test_all_users(void **state)
{
	uid_t uid = USER;
	size_t i;

	(void)state;
	for (i = 0; i < SHARES_USERS_MAX; i++)
		take(uid++, EACH, NULL);
	take(uid, EACH, "all of them may");
	take(0, EACH, NULL);
	shares_give(shares, USER, EACH);
	take(uid, EACH, NULL);
	take(USER, EACH, "all of them may");
	while (i-- > 0)
		shares_give(shares, uid--, EACH);
	for (i = 0; i * SHARES_BYTES_PER_USER_MAX < SHARES_BYTES_USERS_MAX; i++)
		take(uid++, SHARES_BYTES_PER_USER_MAX, NULL);
	take(uid, 1, "all of them may");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_user),
		TEST(test_bytes_of_one_user),
		TEST(test_replaced),
		TEST(test_all_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
