// SPDX-License-Identifier: Apache-2.0
/* test_event_queue.c - events as text, until everybody who wants them has read
 * them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/control/event_queue.h"

static struct loop *loop;
static struct event_queue *queue;

struct person {
	struct event_reader *reader;
	size_t woken;
	bool leaves;
};

static void wake(void *user_data)
{
	struct person *person = user_data;

	person->woken++;
	if (person->leaves)
		person->reader = event_reader_leave(person->reader);
}

static void join(struct person *person)
{
	*person = (struct person){ .woken = 0 };
	assert_int_equal(event_queue_join(queue, wake, person, &person->reader),
			 0);
}

static void add(uint64_t wanted_by, const char *text)
{
	event_queue_add(queue, wanted_by, text, strlen(text));
}

static void assert_next(struct person *person, const char *expected)
{
	const char *text;
	size_t len;

	assert_int_equal(event_reader_next(person->reader, &text, &len), 1);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(text, expected, len);
}

static int next_code(struct person *person)
{
	const char *text;
	size_t len;

	return event_reader_next(person->reader, &text, &len);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(event_queue_new(loop, &queue), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	queue = event_queue_free(queue);
	loop_free(loop);
	return 0;
}

static void test_each_reads_what_it_wants(void **state)
{
	struct person a, b;
	uint64_t both;

	(void)state;
	join(&a);
	join(&b);
	both = event_reader_bit(a.reader) | event_reader_bit(b.reader);
	add(event_reader_bit(a.reader), "one");
	add(both, "two");
	add(event_reader_bit(b.reader), "three");
	add(both, "four");
	assert_next(&b, "two");
	assert_next(&a, "one");
	assert_next(&b, "three");
	assert_next(&b, "four");
	assert_int_equal(next_code(&b), -EAGAIN);
	assert_next(&a, "two");
	/* What comes while the last one is being read is not lost. */
	assert_next(&a, "four");
	add(both, "five");
	assert_next(&a, "five");
	assert_int_equal(next_code(&a), -EAGAIN);
	assert_int_equal(next_code(&a), -EAGAIN);
	a.reader = event_reader_leave(a.reader);
	assert_next(&b, "five");
	/* With one that is given, and others that are not. */
	add(event_reader_bit(b.reader), "six");
	b.reader = event_reader_leave(b.reader);
}

static void test_behind(void **state)
{
	struct person slow, quick, other;
	char text[16];
	uint64_t both;

	(void)state;
	join(&slow);
	join(&quick);
	join(&other);
	both = event_reader_bit(slow.reader) | event_reader_bit(quick.reader);
	add(event_reader_bit(other.reader), "quiet");
	assert_next(&other, "quiet");
	assert_int_equal(next_code(&other), -EAGAIN);
	for (unsigned int i = 0; i <= EVENT_QUEUE_MAX; i++) {
		(void)snprintf(text, sizeof(text), "%u", i);
		add(both, text);
		if (i == 0)
			assert_next(&slow, "0"); /* it is not done with it */
		assert_next(&quick, text);
	}
	/* The one that it was given it has read. */
	assert_int_equal(event_reader_lost(slow.reader), 0);
	assert_next(&slow, "1");
	add(both, "last");
	assert_int_equal(event_reader_lost(slow.reader), 0);
	add(event_reader_bit(slow.reader), "more");
	assert_int_equal(next_code(&slow), -EOVERFLOW);
	assert_int_equal(event_reader_lost(slow.reader), EVENT_QUEUE_MAX + 1);
	add(both, "after");
	assert_int_equal(next_code(&slow), -EOVERFLOW);
	/* Nobody else has lost anything. */
	assert_next(&quick, "last");
	assert_next(&quick, "after");
	assert_int_equal(next_code(&quick), -EAGAIN);
	assert_int_equal(event_reader_lost(quick.reader), 0);
	assert_int_equal(next_code(&other), -EAGAIN);
	slow.reader = event_reader_leave(slow.reader);
	quick.reader = event_reader_leave(quick.reader);
	other.reader = event_reader_leave(other.reader);
}

static void test_counts_what_is_lost(void **state)
{
	struct person slow;

	(void)state;
	join(&slow);
	for (unsigned int i = 0; i < EVENT_QUEUE_MAX + 10; i++)
		add(event_reader_bit(slow.reader), "event");
	assert_int_equal(next_code(&slow), -EOVERFLOW);
	assert_int_equal(event_reader_lost(slow.reader), EVENT_QUEUE_MAX + 10);
	slow.reader = event_reader_leave(slow.reader);
}

/* Long texts fill the queue, too. */
static void test_bytes(void **state)
{
	const size_t len = 1024 * 1024;
	char *text = malloc(len);
	struct person slow;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	join(&slow);
	for (size_t i = 0; i < EVENT_QUEUE_BYTES_MAX / len; i++)
		event_queue_add(queue, event_reader_bit(slow.reader), text,
				len);
	assert_int_equal(event_reader_lost(slow.reader), 0);
	event_queue_add(queue, event_reader_bit(slow.reader), text, 1);
	assert_int_equal(event_reader_lost(slow.reader),
			 EVENT_QUEUE_BYTES_MAX / len + 1);
	slow.reader = event_reader_leave(slow.reader);
	free(text);
}

static bool quit_when_woken(void *user_data)
{
	const struct person *person = user_data;

	if (person->woken > 0)
		loop_quit(loop, 0);
	return false;
}

/* One of the readers that are woken leaves, as one whose client is gone. */
static void test_wakes(void **state)
{
	struct person gone, quiet, last;

	(void)state;
	join(&gone);
	join(&quiet);
	join(&last);
	gone.leaves = true;
	add(event_reader_bit(gone.reader) | event_reader_bit(last.reader),
	    "one");
	add(event_reader_bit(last.reader), "two");
	loop_set_after(loop, quit_when_woken, &last);
	assert_int_equal(loop_run(loop), 0);
	assert_null(gone.reader);
	assert_int_equal(gone.woken, 1);
	assert_int_equal(quiet.woken, 0);
	assert_int_equal(last.woken, 1);
	quiet.reader = event_reader_leave(quiet.reader);
	last.reader = event_reader_leave(last.reader);
}

static void test_full(void **state)
{
	struct person people[EVENT_READERS_MAX], one_more;
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < EVENT_READERS_MAX; i++) {
		join(&people[i]);
		all |= event_reader_bit(people[i].reader);
	}
	assert_true(all == UINT64_MAX);
	assert_int_equal(event_queue_join(queue, wake, &one_more,
					  &one_more.reader),
			 -ENOSPC);
	add(all, "for all");
	for (size_t i = 0; i < EVENT_READERS_MAX; i++) {
		assert_next(&people[i], "for all");
		people[i].reader = event_reader_leave(people[i].reader);
	}
	join(&one_more);
	one_more.reader = event_reader_leave(one_more.reader);
}

#define QUEUE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		QUEUE_TEST(test_each_reads_what_it_wants),
		QUEUE_TEST(test_behind),
		QUEUE_TEST(test_counts_what_is_lost),
		QUEUE_TEST(test_bytes),
		QUEUE_TEST(test_wakes),
		QUEUE_TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
