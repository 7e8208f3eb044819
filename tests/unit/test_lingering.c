// SPDX-License-Identifier: Apache-2.0
/* test_lingering.c - namespaces that wait to be freed, and nsids used again */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "watcher/lingering.h"
#include "watcher/registry.h"

static int add(struct lingering *lingering, uint64_t id, int nsid)
{
	return lingering_add(lingering, id, nsid, strdup("x"), 100 + id);
}

static void count_freed(uint64_t id, uint64_t since_us, void *user_data)
{
	uint64_t *sum = user_data;

	assert_int_equal(since_us, 100 + id);
	*sum += id;
}

static void test_freed(void **state)
{
	struct lingering lingering = { 0 };
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(add(&lingering, 7, 0), 0);
	assert_int_equal(add(&lingering, 8, 1), 0);
	assert_false(lingering_freed(&lingering, 2, count_freed, &sum));
	assert_int_equal(sum, 0);
	assert_true(lingering_freed(&lingering, 0, count_freed, &sum));
	assert_int_equal(sum, 7);
	assert_false(lingering_freed(&lingering, 0, count_freed, &sum));
	assert_int_equal(lingering_count(&lingering), 1);
	lingering_done(&lingering);
	assert_int_equal(lingering_count(&lingering), 0);
}

static void test_named_again(void **state)
{
	struct lingering lingering = { 0 };

	(void)state;
	assert_int_equal(add(&lingering, 7, 3), 0);
	assert_int_equal(lingering_take_id(&lingering, 8), -1);
	assert_int_equal(lingering_take_id(&lingering, 7), 3);
	assert_int_equal(lingering_take_id(&lingering, 7), -1);
	lingering_done(&lingering);
}

/* The nsid is another's by now: the first must have been freed. */
static void test_nsid_used_again(void **state)
{
	struct lingering lingering = { 0 };
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(add(&lingering, 7, 3), 0);
	assert_int_equal(add(&lingering, 8, 3), 0);
	assert_int_equal(lingering_count(&lingering), 1);
	assert_int_equal(lingering_take_id(&lingering, 7), -1);
	assert_true(lingering_freed(&lingering, 3, count_freed, &sum));
	assert_int_equal(sum, 8);
	lingering_done(&lingering);
}

static void test_check_after_loss(void **state)
{
	struct lingering lingering = { 0 };
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(add(&lingering, 1u << i, i), 0);
	lingering_check_begin(&lingering);
	assert_int_equal(add(&lingering, 1u << 10, 10), 0); /* meanwhile */
	for (int i = 0; i < 20; i += 2)
		lingering_check_seen(&lingering, i);
	lingering_check_end(&lingering, count_freed, &sum);
	assert_int_equal(sum, 2 + 8 + 32 + 128 + 512);
	assert_int_equal(lingering_count(&lingering), 6);
	lingering_done(&lingering);
}

static void test_limit(void **state)
{
	struct lingering lingering = { 0 };
	int i = 0;

	(void)state;
	while (add(&lingering, (uint64_t)i, i) == 0)
		assert_true(i++ < 100000);
	assert_int_equal(add(&lingering, (uint64_t)i, i), -ENOSPC);
	assert_int_equal(lingering_count(&lingering), i);
	lingering_done(&lingering);
}

static void test_registry_nsids(void **state)
{
	struct registry registry = { 0 };
	struct tracked *a = registry_add(&registry, 1);
	struct tracked *b = registry_add(&registry, 2);

	(void)state;
	assert_ptr_equal(registry_find(&registry, 2), b);
	assert_null(registry_find(&registry, 3));
	assert_null(registry_find_nsid(&registry, 0));
	assert_null(registry_find_nsid(&registry, NSID_NONE));
	assert_int_equal(registry_set_nsid(&registry, a, 0, false), 0);
	assert_ptr_equal(registry_find_nsid(&registry, 0), a);
	assert_false(a->nsid_announced);
	assert_int_equal(registry_set_nsid(&registry, a, 0, true), 0);
	assert_true(a->nsid_announced);
	/* Used again. */
	assert_int_equal(registry_set_nsid(&registry, b, 0, false), 0);
	assert_ptr_equal(registry_find_nsid(&registry, 0), b);
	assert_int_equal(a->nsid, NSID_NONE);
	assert_int_equal(registry_set_nsid(&registry, b, NSID_NONE, false), 0);
	assert_null(registry_find_nsid(&registry, 0));
	registry_remove(&registry, a);
	assert_null(registry_find(&registry, 1));
	registry_done(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freed),
		cmocka_unit_test(test_named_again),
		cmocka_unit_test(test_nsid_used_again),
		cmocka_unit_test(test_check_after_loss),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_registry_nsids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
