// SPDX-License-Identifier: Apache-2.0
/* test_admission.c - what one namespace may take of the relay */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/pipe.h"
#include "relay/sctp/sctp_message.h"

#define N_WORKERS 3

static struct admissions *uses;

static void test_one_entry_for_one_namespace(void **state)
{
	struct admission *a = admission_get(uses, 1);
	struct admission *b = admission_get(uses, 2);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(admission_get(uses, 1), a);
	assert_null(admission_put(a));
	/* One reference is left, and so is what it counted. */
	assert_true(admission_take(a, ADMISSION_DESCRIPTORS, 2, NULL));
	assert_ptr_equal(admission_get(uses, 1), a);
	assert_int_equal(a->used[ADMISSION_DESCRIPTORS], 2);
	admission_give(a, ADMISSION_DESCRIPTORS, 2);
	(void)admission_put(a);
	(void)admission_put(a);
	(void)admission_put(b);
	assert_null(admission_put(NULL));
}

static void test_descriptors(void **state)
{
	struct admission *a = admission_get(uses, 1);
	struct admission *b = admission_get(uses, 2);
	atomic_uint n_clients = 0;
	enum berth_limit met;
	uint32_t taken = 0;

	(void)state;
	assert_true(admission_take_client(a, &n_clients, 1, 2, &met));
	assert_false(admission_take_client(a, &n_clients, 1, 2, &met));
	assert_int_equal(met, BERTH_LIMIT_MAX_CONNECTIONS);
	admission_give_client(a, &n_clients, 2);
	while (admission_take(a, ADMISSION_DESCRIPTORS, 2, &met))
		taken += 2;
	assert_int_equal(met, BERTH_LIMIT_NAMESPACE);
	assert_in_range(taken, admission_limit(ADMISSION_DESCRIPTORS) - 1,
			admission_limit(ADMISSION_DESCRIPTORS));
	assert_int_equal(a->used[ADMISSION_DESCRIPTORS], taken);
	assert_true(admission_take(b, ADMISSION_DESCRIPTORS, 2, NULL));
	admission_give(a, ADMISSION_DESCRIPTORS, 2);
	assert_true(admission_take(a, ADMISSION_DESCRIPTORS, 2, NULL));
	assert_false(admission_take(a, ADMISSION_DESCRIPTORS, 2, NULL));
	admission_give(a, ADMISSION_DESCRIPTORS, taken);
	admission_give(b, ADMISSION_DESCRIPTORS, 2);
	(void)admission_put(a);
	(void)admission_put(b);
}

/* Sessions are descriptors, too, and leave some to connections; of a shortage
 * of all, nothing is charged to the namespace. */
static void test_sessions(void **state)
{
	struct admission *a = admission_get(uses, 1);
	uint32_t all = admission_limit(ADMISSION_DESCRIPTORS);
	uint32_t sessions = 0, rest = 0;

	(void)state;
	while (admission_take(a, ADMISSION_SESSIONS, 1, NULL))
		sessions++;
	assert_int_equal(sessions, admission_limit(ADMISSION_SESSIONS));
	assert_false(admission_has_room(a, ADMISSION_SESSIONS, 1));
	assert_int_equal(a->used[ADMISSION_DESCRIPTORS], sessions);
	while (admission_take(a, ADMISSION_DESCRIPTORS, 1, NULL))
		rest++;
	assert_int_equal(rest, all - sessions);
	assert_true(rest > 0);
	/* Connections have taken what sessions leave. */
	admission_give(a, ADMISSION_SESSIONS, 1);
	assert_true(admission_take(a, ADMISSION_DESCRIPTORS, 1, NULL));
	assert_false(admission_has_room(a, ADMISSION_SESSIONS, 1));
	assert_false(admission_take(a, ADMISSION_SESSIONS, 1, NULL));
	assert_int_equal(a->used[ADMISSION_SESSIONS], sessions - 1);
	admission_give(a, ADMISSION_SESSIONS, sessions - 1);
	admission_give(a, ADMISSION_DESCRIPTORS, rest + 1);
	assert_int_equal(a->used[ADMISSION_DESCRIPTORS], 0);
	(void)admission_put(a);
}

/* The time, as the tests have it. */
static uint64_t now_us = 1;

static uint32_t take_ports(struct admission *admission, uint32_t space,
			   uint32_t most)
{
	uint32_t n = 0;

	while (n < most && admission_take_port(admission, space, now_us))
		n++;
	return n;
}

static void give_ports(struct admission *admission, uint32_t space, uint32_t n)
{
	while (n-- > 0)
		admission_give_port(admission, space);
}

/* Each greedy namespace leaves as many as it has. */
static void test_ports_leave_room_for_the_next(void **state)
{
	struct admission *a = admission_get(uses, 1);
	struct admission *b = admission_get(uses, 2);
	struct admission *c = admission_get(uses, 3);
	uint32_t n_a, n_b, n_c;

	(void)state;
	assert_true(
		admission_take_port(a, 0, now_us)); /* a UNIX socket has none */
	assert_null(admissions_greediest(uses, 5));
	n_a = take_ports(a, 5, 65536);
	assert_true(n_a > 1);
	n_b = take_ports(b, 5, 65536);
	assert_in_range(n_b, n_a / 2 - 1, n_a / 2 + 1);
	n_c = take_ports(c, 5, 65536);
	assert_in_range(n_c, n_b / 2 - 1, n_b / 2 + 1);
	assert_false(admission_take_port(a, 5, now_us));
	/* Another space has ports of its own. */
	assert_int_equal(take_ports(a, 6, 65536), n_a);
	assert_ptr_equal(admissions_greediest(uses, 5), a);
	assert_true(admission_is_greedy(a, 5));
	assert_false(admission_is_greedy(c, 5));
	give_ports(a, 5, n_a);
	give_ports(a, 6, n_a);
	assert_ptr_equal(admissions_greediest(uses, 5), b);
	give_ports(b, 5, n_b);
	give_ports(c, 5, n_c);
	assert_int_equal(take_ports(b, 5, 65536), n_a);
	give_ports(b, 5, n_a);
	(void)admission_put(a);
	(void)admission_put(b);
	(void)admission_put(c);
}

/* A space in which the kernel had no port is smaller, and recovers. */
static void test_ports_of_a_shortage(void **state)
{
	struct admission *a = admission_get(uses, 1);
	struct admission *b = admission_get(uses, 2);
	uint32_t all, left;

	(void)state;
	all = take_ports(a, 9, 65536);
	give_ports(a, 9, all);
	assert_int_equal(take_ports(a, 9, 100), 100);
	admission_ports_short(9, now_us);
	assert_false(admission_take_port(a, 9, now_us));
	/* It has more than its part now, and what is free is for others. */
	give_ports(a, 9, 20);
	assert_false(admission_take_port(a, 9, now_us));
	assert_true(admission_take_port(b, 9, now_us));
	give_ports(b, 9, 1);
	give_ports(a, 9, 80);
	left = take_ports(a, 9, 65536);
	assert_in_range(left, 30, 60);
	/* Others gave theirs back, which nobody tells. */
	now_us += 2 * USEC_PER_SEC;
	left += take_ports(a, 9, 65536);
	assert_in_range(left, all / 4, all);
	now_us += 60 * USEC_PER_SEC;
	left += take_ports(a, 9, 65536);
	assert_int_equal(left, all);
	give_ports(a, 9, all);
	(void)admission_put(a);
	(void)admission_put(b);
}

static void test_pipes(void **state)
{
	struct admission *a = admission_get(uses, 1);
	unsigned int n = 0;

	(void)state;
	while (admission_take(a, ADMISSION_PIPES, 1, NULL))
		n++;
	assert_in_range(n, 1, ADMISSION_PIPES_MAX / 2);
	admission_give(a, ADMISSION_PIPES, 1);
	assert_true(admission_take(a, ADMISSION_PIPES, 1, NULL));
	(void)admission_put(a);
}

/* However much others keep, one request of any length has room. */
static void test_bytes(void **state)
{
	const uint32_t share = admission_limit(ADMISSION_BYTES);
	struct admission *greedy[4], *late = admission_get(uses, 9);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(greedy); i++) {
		greedy[i] = admission_get(uses, i + 1);
		assert_true(
			admission_has_room(greedy[i], ADMISSION_BYTES, share));
		admission_add_bytes(greedy[i], share);
		assert_false(admission_has_room(greedy[i], ADMISSION_BYTES, 1));
	}
	assert_true(admission_has_room(late, ADMISSION_BYTES, 65536));
	admission_add_bytes(late, 65536);
	assert_true(admission_has_room(late, ADMISSION_BYTES, 65536));
	admission_add_bytes(late, 65536);
	assert_false(admission_has_room(late, ADMISSION_BYTES, 65536));
	admission_give(late, ADMISSION_BYTES, 2 * 65536);
	(void)admission_put(late);
	for (size_t i = 0; i < ARRAY_SIZE(greedy); i++) {
		admission_give(greedy[i], ADMISSION_BYTES, share);
		(void)admission_put(greedy[i]);
	}
}

static void test_turns(void **state)
{
	struct admission *a = admission_get(uses, 1);
	struct admission_turn *turn = admission_turn(a, 0, 7);

	(void)state;
	assert_int_equal(turn->n_bytes, 0);
	turn->n_bytes = 5;
	turn->n_accepts = 6;
	/* The same turn, another worker, another turn. */
	assert_int_equal(admission_turn(a, 0, 7)->n_bytes, 5);
	assert_int_equal(admission_turn(a, 0, 7)->n_accepts, 6);
	assert_int_equal(admission_turn(a, N_WORKERS - 1, 7)->n_bytes, 0);
	assert_int_equal(admission_turn(a, 0, 8)->n_bytes, 0);
	assert_int_equal(admission_turn(a, 0, 8)->n_accepts, 0);
	(void)admission_put(a);
}

static int set_up(void **state)
{
	(void)state;
	uses = admissions_new(N_WORKERS);
	return uses ? admission_init(16, N_WORKERS) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	uses = admissions_free(uses);
	return 0;
}

/* Whatever one namespace keeps waiting, another has its part. */
static void test_messages(void **state)
{
	static const struct sctp_label label = { .sid = 1 };
	static const uint8_t data[1000];
	struct budget all = { .limit_bytes = 100000 };
	struct admission *a = admission_get(uses, 1);
	struct admission *b = admission_get(uses, 2);
	struct admission *c = admission_get(uses, 3);
	struct budget *of_a = admission_messages(a, 1, &all);
	struct budget *of_b = admission_messages(b, 1, &all);
	struct budget *of_c = admission_messages(c, 1, &all);
	struct sctp_queue waiting = { 0 };
	struct sctp_message *message = NULL;

	(void)state;
	assert_ptr_equal(admission_messages(a, 1, &all), of_a);
	assert_ptr_not_equal(admission_messages(a, 2, &all), of_a);
	while (sctp_message_append(of_a, &message, &label, data, sizeof(data),
				   sizeof(data)) == 0) {
		sctp_queue_push(&waiting, message);
		message = NULL;
	}
	assert_null(message);
	assert_int_equal(of_a->bytes, all.limit_bytes / 2);
	assert_int_equal(all.bytes, all.limit_bytes / 2);
	assert_int_equal(sctp_message_append(of_b, &message, &label, data,
					     sizeof(data), sizeof(data)),
			 0);
	assert_int_equal(of_b->bytes, sizeof(data));
	assert_int_equal(all.bytes, all.limit_bytes / 2 + sizeof(data));
	message = sctp_message_free(of_b, message);
	/* Nor does it matter how many are greedy. */
	assert_in_range(of_b->own_bytes, 1, sizeof(data));
	budget_take(of_c, all.limit_bytes / 2);
	assert_false(budget_has_room(of_c, 1));
	assert_int_equal(sctp_message_append(of_b, &message, &label, data,
					     of_b->own_bytes, sizeof(data)),
			 0);
	assert_false(budget_has_room(of_b, 1));
	message = sctp_message_free(of_b, message);
	assert_int_equal(of_b->bytes, 0);
	budget_give(of_c, all.limit_bytes / 2);
	assert_int_equal(sctp_queue_clear(of_a, &waiting), 50);
	assert_int_equal(of_a->bytes + of_b->bytes + all.bytes, 0);
	(void)admission_put(a);
	(void)admission_put(b);
	(void)admission_put(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_entry_for_one_namespace),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_ports_leave_room_for_the_next),
		cmocka_unit_test(test_ports_of_a_shortage),
		cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
