// SPDX-License-Identifier: Apache-2.0
/* test_roster.c - the clients of a worker, listed part by part while they come
 * and go */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/core/roster.h"
#include "relay/core/worker.h"

#define CLIENTS 5000
#define LISTENERS 2000 /* every client's number modulo this */

static struct fixture {
	struct worker worker;
	struct roster_entry clients[CLIENTS];
	size_t n_ended;
} fixture;

static void describe(const struct worker *worker,
		     const struct roster_entry *entry,
		     struct roster_record *record)
{
	assert_ptr_equal(worker, &fixture.worker);
	record->listener = 1 + entry->number % LISTENERS;
}

static void end(struct worker *worker, struct roster_entry *entry)
{
	roster_remove(&worker->rosters[ROSTER_FLOWS], entry);
	fixture.n_ended++;
}

static const struct roster_ops ops = { .describe = describe, .end = end };

static struct roster *roster(void)
{
	return &fixture.worker.rosters[ROSTER_FLOWS];
}

static void come(size_t i, uint64_t now_us)
{
	roster_add(roster(), &ops, &fixture.clients[i], now_us);
}

static int setup(void **state)
{
	(void)state;
	fixture = (struct fixture){ .worker.now_us = 1000000 };
	for (size_t i = 0; i < CLIENTS; i++)
		come(i, i);
	return 0;
}

static void take(struct census *census)
{
	const struct roster_turn turn = {
		.worker = &fixture.worker,
		.now_us = fixture.worker.now_us,
	};

	roster_census(roster(), census, &turn);
}

/* Does a part of a list. Return: is there more? */
static bool next_part(struct census *census)
{
	census->n = 0;
	take(census);
	assert_true(census->n <= CENSUS_RECORDS);
	return !census->done;
}

static void test_lists_all(void **state)
{
	struct census census = { .until_us = UINT64_MAX };
	uint64_t seen = 0;
	bool more;

	(void)state;
	do {
		more = next_part(&census);
		for (size_t i = 0; i < census.n; i++)
			assert_int_equal(census.records[i].number, ++seen);
	} while (more);
	assert_int_equal(seen, CLIENTS);
	assert_int_equal(census.records[0].age_us,
			 1000000 - (census.records[0].number - 1));
}

/* What goes and comes between two parts hides nothing of what stays. */
static void test_lists_what_stays(void **state)
{
	struct census census = { .until_us = CLIENTS };
	uint64_t last = 0, n = 0;
	size_t gone = 0;
	bool more;

	(void)state;
	do {
		more = next_part(&census);
		for (size_t i = 0; i < census.n; i++) {
			assert_true(census.records[i].number > last);
			last = census.records[i].number;
			n += last % 2;
		}
		/* The even ones go around the place where the list goes on,
		 * and come again, younger. */
		for (; gone + 1 < last + CENSUS_RECORDS && gone + 1 < CLIENTS;
		     gone += 2) {
			roster_remove(roster(), &fixture.clients[gone + 1]);
			come(gone + 1, CLIENTS + 1);
		}
	} while (more);
	assert_int_equal(n, CLIENTS / 2);
}

static void test_anywhere(void **state)
{
	static const uint64_t places[] = { 4000, 10, 4999, 0, 2500, 2500 };
	struct census census = { .until_us = UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		census.number = places[i];
		assert_int_equal(next_part(&census), places[i] < 4999);
		assert_int_equal(census.records[0].number, places[i] + 1);
	}
	census.number = CLIENTS;
	assert_false(next_part(&census));
	assert_int_equal(census.n, 0);
}

/* A worker looks at a bounded number in one turn, whatever is wanted. */
static void test_one_listener(void **state)
{
	struct census census = { .until_us = UINT64_MAX, .listener = 8 };
	size_t n = 0, parts = 0;
	bool more;

	(void)state;
	do {
		more = next_part(&census);
		n += census.n;
		for (size_t i = 0; i < census.n; i++)
			assert_int_equal(census.records[i].listener, 8);
		parts++;
	} while (more);
	assert_int_equal(n, 3); /* 7, 2007, 4007 */
	assert_true(parts > 2);
}

/* Those that come faster than they are listed do not keep the list going. */
static void test_ends(void **state)
{
	struct census census = { .until_us = 99 };
	uint64_t n = 0;
	bool more;

	(void)state;
	do {
		more = next_part(&census);
		n += census.n;
	} while (more);
	assert_int_equal(n, 100);
}

static bool closes(uint64_t number)
{
	struct census census = { .closes = true, .number = number };

	take(&census);
	return census.done;
}

static void test_closes(void **state)
{
	struct census census = { .until_us = UINT64_MAX };

	(void)state;
	assert_true(closes(4000));
	assert_false(closes(4000));
	assert_true(closes(1));
	assert_true(closes(CLIENTS));
	assert_false(closes(CLIENTS + 1));
	assert_false(closes(0));
	assert_false(closes(UINT64_MAX));
	assert_int_equal(fixture.n_ended, 3);
	assert_true(next_part(&census));
	assert_int_equal(census.records[0].number, 2);
	roster_remove(roster(), &fixture.clients[0]); /* it is not in there */
}

static void test_empty(void **state)
{
	struct census census = { .until_us = UINT64_MAX };

	(void)state;
	next_part(&census);
	for (size_t i = CLIENTS; i-- > 0;)
		roster_remove(roster(), &fixture.clients[i]);
	census.number = 0;
	assert_false(next_part(&census));
	assert_int_equal(census.n, 0);
	assert_false(closes(1));
	come(0, 1);
	assert_false(next_part(&census));
	assert_int_equal(census.records[0].number, CLIENTS + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lists_all, setup),
		cmocka_unit_test_setup(test_lists_what_stays, setup),
		cmocka_unit_test_setup(test_anywhere, setup),
		cmocka_unit_test_setup(test_one_listener, setup),
		cmocka_unit_test_setup(test_ends, setup),
		cmocka_unit_test_setup(test_closes, setup),
		cmocka_unit_test_setup(test_empty, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
