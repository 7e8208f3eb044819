// SPDX-License-Identifier: Apache-2.0
/* test_backend_queue.c - how often a backend is asked, and who is next */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/backend/backend_queue.h"
#include "relay/core/worker.h"

#define N_CLIENTS 4000

static const struct backend_queue_key full = { .id = 7 };
static const struct backend_queue_key other = { .id = 8 };

/* Stand for namespaces. */
static struct admission greedy, modest;

static unsigned int n_asked, room;

struct client {
	struct backend_waiter *waiter;
	bool taken;
	unsigned int order;
};

static void retry(struct worker *worker, void *owner)
{
	struct client *client = owner;

	n_asked++;
	if (room == 0)
		return;
	room--;
	client->taken = true;
	client->order = n_asked;
	backend_queue_leave(worker, &client->waiter);
}

static void wait_for_room(struct worker *worker, struct client *client,
			  const struct admission *netns)
{
	assert_int_equal(backend_queue_wait(worker, &full, netns, retry, client,
					    &client->waiter),
			 0);
}

/* Lets a second pass, as fast as the timers want. */
static void one_second(struct worker *worker)
{
	uint64_t end_us = worker->now_us + USEC_PER_SEC;

	while (timers_first_us(&worker->timers) <= end_us) {
		worker->now_us = timers_first_us(&worker->timers);
		timers_run(&worker->timers, worker->now_us, worker);
	}
	worker->now_us = end_us;
}

static void expect_nothing_left(struct worker *worker)
{
	assert_null(worker->backend_queues);
	assert_int_equal(worker->timers.heap.reserved, 0);
	timers_done(&worker->timers);
}

/* However many wait, one asks, and not often. */
static void test_only_the_first_asks(void **state)
{
	static struct client clients[N_CLIENTS];
	struct worker worker = { .now_us = 1 };

	(void)state;
	n_asked = room = 0;
	assert_false(backend_queue_exists(&worker, &full));
	for (size_t i = 0; i < N_CLIENTS; i++)
		wait_for_room(&worker, &clients[i], &greedy);
	assert_true(backend_queue_exists(&worker, &full));
	assert_false(backend_queue_exists(&worker, &other));
	assert_int_equal(n_asked, 0);
	one_second(&worker);
	assert_in_range(n_asked, 5, 25);
	/* Room for some: they go at once, the next finds out that it is full.
	 */
	room = 100;
	n_asked = 0;
	one_second(&worker);
	assert_int_equal(room, 0);
	assert_in_range(n_asked, 100, 125);
	for (size_t i = 0; i < N_CLIENTS; i++)
		assert_int_equal(clients[i].taken, i < 100);
	/* In order of arrival. */
	for (size_t i = 1; i < 100; i++)
		assert_true(clients[i].order > clients[i - 1].order);
	for (size_t i = 0; i < N_CLIENTS; i++)
		backend_queue_leave(&worker, &clients[i].waiter);
	assert_int_equal(timers_first_us(&worker.timers), TIMERS_NEVER);
	expect_nothing_left(&worker);
}

static void test_namespaces_take_turns(void **state)
{
	static struct client many[1000];
	struct client few[2] = { 0 };
	struct worker worker = { .now_us = 1 };

	(void)state;
	n_asked = room = 0;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		wait_for_room(&worker, &many[i], &greedy);
	for (size_t i = 0; i < ARRAY_SIZE(few); i++)
		wait_for_room(&worker, &few[i], &modest);
	room = 4;
	one_second(&worker);
	assert_true(few[0].taken && few[1].taken);
	assert_true(many[0].taken && many[1].taken && !many[2].taken);
	/* The first that leaves by itself, such as by a timeout. */
	backend_queue_leave(&worker, &many[2].waiter);
	room = 1;
	one_second(&worker);
	assert_true(many[3].taken);
	room = N_CLIENTS;
	one_second(&worker);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		assert_int_equal(many[i].taken, i != 2);
	expect_nothing_left(&worker);
}

/* It goes to the end of another queue, and keeps its place in the same. */
static void test_another_queue(void **state)
{
	struct client a = { 0 }, b = { 0 };
	struct worker worker = { .now_us = 1 };

	(void)state;
	n_asked = room = 0;
	wait_for_room(&worker, &a, &greedy);
	wait_for_room(&worker, &b, &greedy);
	wait_for_room(&worker, &a, &greedy);
	room = 1;
	one_second(&worker);
	assert_true(a.taken);
	assert_int_equal(backend_queue_wait(&worker, &other, &greedy, retry, &b,
					    &b.waiter),
			 0);
	assert_false(backend_queue_exists(&worker, &full));
	assert_true(backend_queue_exists(&worker, &other));
	room = 1;
	one_second(&worker);
	assert_true(b.taken);
	expect_nothing_left(&worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_first_asks),
		cmocka_unit_test(test_namespaces_take_turns),
		cmocka_unit_test(test_another_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
