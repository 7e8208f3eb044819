// SPDX-License-Identifier: Apache-2.0
/* test_pipe.c - the pool of pipes: bounded, clean, and empty after a rest */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <string.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/pipe.h"

static size_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void test_reuse(void **state)
{
	struct pipe_pool pool = { 0 };
	struct pipe *first = pipe_take(&pool), *again;
	size_t n = open_descriptors();

	(void)state;
	assert_non_null(first);
	assert_null(pipe_put(&pool, first));
	again = pipe_take(&pool);
	assert_ptr_equal(again, first);
	assert_int_equal(open_descriptors(), n);
	assert_null(pipe_put(&pool, again));
	assert_null(pipe_put(&pool, NULL));
	pipe_pool_done(&pool);
	assert_int_equal(open_descriptors(), n - 2);
}

static void test_dirty_pipe_is_not_given_to_others(void **state)
{
	struct pipe_pool pool = { 0 };
	struct pipe *pipe = pipe_take(&pool);
	size_t n = open_descriptors();

	(void)state;
	assert_non_null(pipe);
	assert_int_equal(write(pipe->write_fd, "secret", 6), 6);
	pipe->n_bytes = 6;
	assert_null(pipe_put(&pool, pipe));
	assert_int_equal(pool.n_free, 0);
	assert_int_equal(open_descriptors(), n - 2);
	pipe_pool_done(&pool);
}

static void test_bound(void **state)
{
	struct pipe_pool pool = { 0 }, other = { 0 };
	struct pipe *pipes[ADMISSION_PIPES_MAX];
	size_t n = open_descriptors();

	(void)state;
	for (size_t i = 0; i < ADMISSION_PIPES_MAX; i++) {
		pipes[i] = pipe_take(i % 2 ? &pool : &other);
		assert_non_null(pipes[i]);
	}
	assert_null(pipe_take(&pool));
	assert_null(pipe_take(&other));
	for (size_t i = 0; i < ADMISSION_PIPES_MAX; i++)
		(void)pipe_put(&pool, pipes[i]);
	/* The pool keeps a few; the rest went back to the system. */
	assert_true(open_descriptors() - n <= 2 * 16);
	pipe_pool_done(&pool);
	pipe_pool_done(&other);
	assert_int_equal(open_descriptors(), n);
}

static void test_trim(void **state)
{
	struct pipe_pool pool = { 0 };
	size_t n = open_descriptors();

	(void)state;
	(void)pipe_put(&pool, pipe_take(&pool));
	/* Used since the last time: it may be wanted again soon. */
	assert_true(pipe_pool_trim(&pool));
	assert_int_equal(open_descriptors(), n + 2);
	assert_false(pipe_pool_trim(&pool));
	assert_int_equal(open_descriptors(), n);
	assert_false(pipe_pool_trim(&pool));
}

static int set_up(void **state)
{
	(void)state;
	return admission_init(16, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_dirty_pipe_is_not_given_to_others),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
