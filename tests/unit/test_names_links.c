// SPDX-License-Identifier: Apache-2.0
/* test_names_links.c - names that are links, and links through a process */
#include "names_fixture.h"

static void test_link_target_gone(void **state)
{
	struct world *w = *state;

	put_link(w, "l", 1);
	created(w, "l");
	expect(w, "+1");
	put(w, "l", DANGLING);
	names_retry(w->names, w->now_us); /* mounts changed */
	expect(w, "? -1");
	put_link(w, "l", 2);
	names_retry(w->names, w->now_us);
	expect(w, "+2");
	put_link(w, "l", 3);
	names_retry(w->names, w->now_us);
	expect(w, "+3 -2");
}

static void test_link_to_process(void **state)
{
	struct world *w = *state;

	put_process(w, "l", 1, 10, 100);
	created(w, "l");
	expect(w, "+1");
	assert_int_equal(w->processes, 1);
	put(w, "l", DANGLING);
	names_process_ended(w->names, w->process, w->now_us);
	expect(w, "? -1");
	assert_int_equal(w->processes, 0);
	put(w, "l", NOTHING);
	removed(w, "l");
	expect(w, "");
}

/* The link is dead until it is made anew, whatever is told meanwhile. */
static void test_number_of_process_used_again(void **state)
{
	struct world *w = *state;
	struct watcher_pending pending;

	put_process(w, "l", 1, 10, 100);
	created(w, "l");
	expect(w, "+1");
	put_process(w, "l", 2, 10, 101);
	names_process_ended(w->names, w->process, w->now_us);
	expect(w, "? -1");
	assert_int_equal(w->processes, 0);
	assert_int_equal(names_pending(w->names, &pending, 1), 1);
	assert_non_null(strstr(pending.reason, "has ended"));
	names_retry(w->names, w->now_us);
	sweep(w);
	scan(w);
	created(w, "l"); /* read late: of the link that is known */
	removed(w, "l"); /* the directory is covered, and visible again */
	scan(w);
	expect(w, "? ?");
	/* Another name that is the same link. */
	put_process(w, "m", 2, 10, 101);
	created(w, "m");
	expect(w, "?");
	put_process(w, "l", 2, 11, 101);
	created(w, "l");
	expect(w, "+2");
	assert_int_equal(w->processes, 1);
}

static void test_process_ended_before_it_was_seen(void **state)
{
	struct world *w = *state;
	struct watcher_pending pending;

	put_process(w, "l", DANGLING, 10, 0);
	w->entries[0].number = TASK;
	created(w, "l");
	expect(w, "?");
	put_process(w, "l", 1, 10, 100); /* who has its number later */
	names_retry(w->names, w->now_us);
	sweep(w);
	expect(w, "");
	assert_int_equal(names_pending(w->names, &pending, 1), 1);
	assert_non_null(strstr(pending.reason, "has ended"));
	put_process(w, "l", 1, 11, 100);
	created(w, "l");
	expect(w, "+1");
}

static void test_link_to_a_number_in_another_directory(void **state)
{
	struct world *w = *state;

	/* The way to /proc leads through a directory that is exchanged. */
	put_process(w, "l", 1, 10, 100);
	created(w, "l");
	put_process(w, "l", 2, 10, 101);
	w->entries[0].number = TASK + 1;
	names_process_ended(w->names, w->process, w->now_us);
	expect(w, "+1 +2 -1");
}

static void sweep_processes(struct world *w)
{
	names_processes_begin(w->names);
	while (names_processes_step(w->names, 1, w->now_us))
		;
}

static void test_process_goes_to_another_namespace(void **state)
{
	struct world *w = *state;

	assert_false(names_has_processes(w->names));
	put_process(w, "l", 1, 10, 100);
	put_process(w, "m", 2, 11, 101);
	scan(w);
	expect(w, "+1 +2");
	assert_true(names_has_processes(w->names));
	w->resolved = 0;
	sweep(w);
	sweep_processes(w);
	expect(w, "");
	assert_int_equal(w->resolved, 0);
	put_process(w, "l", 3, 10, 100);
	sweep_processes(w);
	expect(w, "+3 -1");
	assert_int_equal(w->processes, 2);
	put(w, "l", NOTHING);
	put(w, "m", NOTHING);
	sweep_processes(w);
	expect(w, "-3 -2");
	assert_false(names_has_processes(w->names));
}

/* Its end is not told: the sweep sees it, and watches when there is room. */
static void test_more_processes_than_can_be_watched(void **state)
{
	struct world *w = *state;

	w->processes_full = true;
	put_process(w, "l", 1, 10, 100);
	put_process(w, "m", 2, 11, 101);
	scan(w);
	expect(w, "+1 +2");
	assert_int_equal(w->processes, 0);
	put_process(w, "l", 3, 10, 102); /* the number is used again */
	sweep_processes(w);
	expect(w, "? -1");
	w->processes_full = false;
	sweep_processes(w);
	expect(w, "");
	assert_int_equal(w->processes, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_link_target_gone),
		T(test_link_to_process),
		T(test_number_of_process_used_again),
		T(test_process_ended_before_it_was_seen),
		T(test_link_to_a_number_in_another_directory),
		T(test_process_goes_to_another_namespace),
		T(test_more_processes_than_can_be_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
