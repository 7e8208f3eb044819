// SPDX-License-Identifier: Apache-2.0
/* test_sctp_message.c - messages in parts, their limits, and the queue */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/sctp/sctp_message.h"

#define MAX_BYTES 100000u

static const struct sctp_label label = {
	.ppid = 0x12345678,
	.sid = 9,
	.unordered = true,
};

static struct budget budget_of(size_t bytes)
{
	return (struct budget){ .limit_bytes = bytes };
}

static void test_parts_make_a_message(void **state)
{
	static const size_t parts[] = { 1, 0, 5, 4096, 65536, 3, 20000 };
	static const struct sctp_label other = { .sid = 1 };
	struct budget budget = budget_of(1 << 20);
	struct sctp_message *message = NULL;
	uint8_t data[65536];
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		memset(data, (int)i, sizeof(data));
		/* Only the first part's label counts. */
		assert_int_equal(sctp_message_append(&budget, &message,
						     i == 0 ? &label : &other,
						     data, parts[i], MAX_BYTES),
				 0);
		len += parts[i];
		assert_int_equal(message->len, len);
		assert_true(message->size >= len && message->size <= MAX_BYTES);
		assert_int_equal(budget.bytes, message->size);
	}
	assert_int_equal(message->label.ppid, label.ppid);
	assert_int_equal(message->label.sid, label.sid);
	assert_true(message->label.unordered);
	len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		memset(data, (int)i, sizeof(data));
		assert_memory_equal(message->data + len, data, parts[i]);
		len += parts[i];
	}
	assert_null(sctp_message_free(&budget, message));
	assert_int_equal(budget.bytes, 0);
	assert_null(sctp_message_free(&budget, NULL));
}

static void test_too_large(void **state)
{
	static const struct {
		size_t first, second, max;
		int result;
	} cases[] = {
		{ 10, 0, 10, 0 },
		{ 10, 1, 11, 0 },
		{ 10, 1, 10, -EMSGSIZE },
		{ 10, SIZE_MAX, 10, -EMSGSIZE },
		{ 10, SIZE_MAX - 5, SIZE_MAX, -EMSGSIZE },
		{ 1, 65535, 65536, 0 },
		{ 1, 65536, 65536, -EMSGSIZE },
		{ 65536, 1, 65536, -EMSGSIZE },
		/* A limit that became smaller. */
		{ 10, 1, 5, -EMSGSIZE },
	};
	static uint8_t data[65536];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct budget budget = budget_of(1 << 20);
		struct sctp_message *message = NULL;

		assert_int_equal(sctp_message_append(&budget, &message, &label,
						     data, cases[i].first,
						     65536),
				 0);
		assert_int_equal(sctp_message_append(&budget, &message, &label,
						     data, cases[i].second,
						     cases[i].max),
				 cases[i].result);
		assert_int_equal(message->len,
				 cases[i].first + (cases[i].result == 0
							   ? cases[i].second
							   : 0));
		message = sctp_message_free(&budget, message);
		assert_int_equal(budget.bytes, 0);
	}
}

static void test_budget_of_all_messages(void **state)
{
	struct budget budget = budget_of(10000);
	struct sctp_message *a = NULL, *b = NULL;
	uint8_t data[8000] = { 0 };

	(void)state;
	assert_int_equal(sctp_message_append(&budget, &a, &label, data, 8000,
					     MAX_BYTES),
			 0);
	assert_int_equal(sctp_message_append(&budget, &b, &label, data, 2001,
					     MAX_BYTES),
			 -ENOMEM);
	assert_null(b);
	assert_int_equal(sctp_message_append(&budget, &b, &label, data, 2000,
					     MAX_BYTES),
			 0);
	/* There is room in it neither for more nor for itself. */
	assert_int_equal(sctp_message_append(&budget, &b, &label, data, 1,
					     MAX_BYTES),
			 -ENOMEM);
	assert_int_equal(b->len, 2000);
	a = sctp_message_free(&budget, a);
	assert_int_equal(sctp_message_append(&budget, &b, &label, data, 1,
					     MAX_BYTES),
			 0);
	b = sctp_message_free(&budget, b);
	assert_int_equal(budget.bytes, 0);
}

/* The smaller one decides, and both count. */
static void test_budget_within_another(void **state)
{
	static const struct {
		size_t own, all;
	} cases[] = { { 1000, 5000 }, { 5000, 1000 } };
	uint8_t data[1000] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct budget all = budget_of(cases[i].all);
		struct budget own = budget_of(cases[i].own);
		struct sctp_message *a = NULL, *b = NULL;

		own.within = &all;
		assert_int_equal(sctp_message_append(&own, &a, &label, data,
						     1000, MAX_BYTES),
				 0);
		assert_int_equal(sctp_message_append(&own, &b, &label, data, 1,
						     MAX_BYTES),
				 -ENOMEM);
		assert_int_equal(own.bytes, 1000);
		assert_int_equal(all.bytes, 1000);
		assert_null(sctp_message_free(&own, a));
		assert_int_equal(own.bytes, 0);
		assert_int_equal(all.bytes, 0);
	}
}

static struct sctp_message *message_of(struct budget *budget, size_t len)
{
	struct sctp_message *message = NULL;
	uint8_t data[100] = { 0 };

	assert_int_equal(sctp_message_append(budget, &message, &label, data,
					     len, MAX_BYTES),
			 0);
	return message;
}

static void test_queue_keeps_the_order(void **state)
{
	struct budget budget = budget_of(1 << 20);
	struct sctp_queue queue = { 0 };
	struct sctp_message *message;

	(void)state;
	assert_null(sctp_queue_pop(&queue));
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 1; i <= 3; i++)
			sctp_queue_push(&queue, message_of(&budget, i));
		assert_int_equal(queue.bytes, 6);
		for (size_t i = 1; i <= 3; i++) {
			message = sctp_queue_pop(&queue);
			assert_int_equal(message->len, i);
			(void)sctp_message_free(&budget, message);
		}
		assert_null(sctp_queue_pop(&queue));
		assert_int_equal(queue.bytes, 0);
	}
	sctp_queue_push(&queue, message_of(&budget, 7));
	sctp_queue_push(&queue, message_of(&budget, 8));
	assert_int_equal(sctp_queue_clear(&budget, &queue), 2);
	assert_int_equal(sctp_queue_clear(&budget, &queue), 0);
	assert_null(queue.first);
	assert_null(queue.last);
	assert_int_equal(queue.bytes, 0);
	assert_int_equal(budget.bytes, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_make_a_message),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_budget_of_all_messages),
		cmocka_unit_test(test_budget_within_another),
		cmocka_unit_test(test_queue_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
