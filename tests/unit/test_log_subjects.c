// SPDX-License-Identifier: Apache-2.0
/* test_log_subjects.c - limits of log lines, for each subject its own */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_subjects.h"
#include "common/util.h"

#define INTERVAL_US (5 * USEC_PER_SEC)
#define BURST 3u
#define NOW_US (100 * USEC_PER_SEC)

static struct log_subjects subjects;

static int setup(void **state)
{
	(void)state;
	subjects = (struct log_subjects){ .interval_us = INTERVAL_US,
					  .burst = BURST };
	return 0;
}

/* How many of @n lines about @text are printed. */
static unsigned int say(const char *text, unsigned int n, uint64_t now_us)
{
	unsigned int printed = 0;

	for (unsigned int i = 0; i < n; i++)
		printed += log_subject_ok(&subjects, text, now_us);
	return printed;
}

/* What log_subjects_tell() writes to the log, in a static buffer. */
static const char *told(uint64_t now_us, uint64_t *ret_next_us)
{
	static char text[65536]; /* what a pipe takes */
	int saved = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	*ret_next_us = log_subjects_tell(&subjects, now_us);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(saved);
	return text;
}

static void test_each_has_its_own(void **state)
{
	(void)state;
	assert_int_equal(say("one", 20, NOW_US), BURST);
	assert_int_equal(say("two", 20, NOW_US), BURST);
	assert_int_equal(say("one", 1, NOW_US + INTERVAL_US - 1), 0);
	assert_int_equal(say("one", 20, NOW_US + INTERVAL_US), BURST);
}

static void test_what_was_held_back_is_told(void **state)
{
	uint64_t next_us;

	(void)state;
	assert_string_equal(told(NOW_US, &next_us), "");
	assert_true(next_us == LOG_SUBJECTS_NEVER);
	(void)say("one", 20, NOW_US);
	(void)say("two", BURST, NOW_US);
	(void)say("three", BURST + 1, NOW_US + 1);
	assert_string_equal(told(NOW_US + 2, &next_us), "");
	assert_true(next_us == NOW_US + INTERVAL_US);
	assert_non_null(strstr(told(next_us, &next_us),
			       "one: 17 similar messages were not printed\n"));
	assert_true(next_us == NOW_US + 1 + INTERVAL_US);
	assert_non_null(strstr(told(next_us, &next_us),
			       "three: 1 similar messages were not printed\n"));
	assert_true(next_us == LOG_SUBJECTS_NEVER);
	/* Once. */
	assert_string_equal(told(NOW_US + 2 * INTERVAL_US, &next_us), "");
}

/* However many there are, the lines of all of them are bounded. */
static void test_many(void **state)
{
	unsigned int printed = 0;
	uint64_t next_us;
	char text[32];

	(void)state;
	for (int i = 0; i < 10 * LOG_SUBJECTS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "subject %d", i);
		printed += say(text, 2 * BURST, NOW_US);
	}
	assert_int_equal(printed, (LOG_SUBJECTS_MAX + 1) * BURST);
	assert_non_null(
		strstr(told(NOW_US + INTERVAL_US, &next_us), "others: "));
	/* Then there is room for new ones. */
	assert_int_equal(say("new", 20, NOW_US + INTERVAL_US), BURST);
	assert_int_equal(say("newer", 20, NOW_US + INTERVAL_US), BURST);
}

static void test_long_text(void **state)
{
	char text[2 * LOG_SUBJECT_TEXT_MAX] = "";
	uint64_t next_us;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(say(text, 20, NOW_US), BURST);
	assert_non_null(
		strstr(told(NOW_US + INTERVAL_US, &next_us), "x: 17 similar"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_has_its_own, setup),
		cmocka_unit_test_setup(test_what_was_held_back_is_told, setup),
		cmocka_unit_test_setup(test_many, setup),
		cmocka_unit_test_setup(test_long_text, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
