// SPDX-License-Identifier: Apache-2.0
/* test_names.c - which name leads to which namespace, with scripted events */
#include "allocation_fixture.h"
#include "names_fixture.h"

static void test_create_pending_mount(void **state)
{
	struct world *w = *state;
	struct watcher_pending pending;

	put(w, "a", FILE_ONLY);
	created(w, "a");
	expect(w, "?");
	assert_true(names_young(w->names, w->now_us));
	assert_int_equal(names_pending(w->names, &pending, 1), 1);
	assert_string_equal(pending.reason, "file");
	names_retry(w->names, w->now_us);
	expect(w, "");
	put(w, "a", 1);
	names_retry(w->names, w->now_us);
	expect(w, "+1");
	assert_int_equal(names_pending(w->names, &pending, 1), 0);
	assert_false(names_young(w->names, w->now_us));
	assert_string_equal(netns_label(netns(w, 1)), "a");
	assert_string_equal(netns(w, 1)->names[0].dir, "/d");
	put(w, "a", NOTHING);
	removed(w, "a");
	expect(w, "-1");
	assert_null(netns(w, 1));
}

/* Of two directories the first one's name counts, while it leads anywhere. */
static void test_lookup(void **state)
{
	struct world *w = *state;

	put(w, "a", FILE_ONLY);
	created(w, "a");
	assert_null(names_lookup(w->names, "a"));
	assert_null(names_lookup(w->names, "b"));
	put_in(w, "/e", "a", 2);
	names_created(w->names, 1, "a", w->now_us);
	assert_int_equal(names_lookup(w->names, "a")->netns.id, 2);
	put(w, "a", 1);
	names_retry(w->names, w->now_us);
	assert_int_equal(names_lookup(w->names, "a")->netns.id, 1);
	put(w, "a", NOTHING);
	removed(w, "a");
	assert_int_equal(names_lookup(w->names, "a")->netns.id, 2);
	expect(w, "? +2 +1 -1");
}

static void test_already_mounted(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	created(w, "a");
	expect(w, "+1");
	assert_int_equal(w->resolved, 1);
}

/* A plain file is waited for only some minutes; a late mount is still seen. */
static void test_late_mount(void **state)
{
	struct world *w = *state;

	put(w, "a", FILE_ONLY);
	created(w, "a");
	expect(w, "?");
	w->now_us += 10 * MINUTES_US;
	assert_false(names_young(w->names, w->now_us));
	w->resolved = 0;
	names_retry(w->names, w->now_us);
	assert_int_equal(w->resolved, 0);
	put(w, "a", 1);
	sweep(w);
	expect(w, "+1");
}

static void test_recreated_in_one_batch(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	created(w, "a");
	expect(w, "+1");
	/* All of it happened before the first event is read. */
	put(w, "a", 2);
	removed(w, "a");
	created(w, "a");
	expect(w, "+2 -1");
	/* Twice, with a moment in which it was only a file. */
	put(w, "a", FILE_ONLY);
	removed(w, "a");
	created(w, "a");
	removed(w, "a");
	put(w, "a", 3);
	created(w, "a");
	expect(w, "? +3 -2");
}

/* The events are read so late that the first creation sees the second. */
static void test_events_behind_the_world(void **state)
{
	struct world *w = *state;

	put(w, "a", 2);
	created(w, "a");
	removed(w, "a");
	created(w, "a");
	expect(w, "+2 +2");
	assert_int_equal(netns(w, 2)->n_names, 1);
	put(w, "a", NOTHING);
	created(w, "b"); /* and gone already */
	removed(w, "b");
	removed(w, "a");
	expect(w, "-2");
}

static void test_rename(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 2);
	created(w, "a");
	created(w, "b");
	expect(w, "+1 +2");
	/* To a new name: the namespace is not gone. */
	put(w, "a", NOTHING);
	put(w, "c", 1);
	removed(w, "a");
	created(w, "c");
	expect(w, "+1");
	assert_string_equal(netns_label(netns(w, 1)), "c");
	/* Over another one: that is gone. */
	put(w, "c", NOTHING);
	put(w, "b", 1);
	removed(w, "c");
	created(w, "b");
	expect(w, "+1 -2");
	/* To another directory. */
	put(w, "b", NOTHING);
	put_in(w, "/e", "b", 1);
	removed(w, "b");
	names_created(w->names, 1, "b", w->now_us);
	expect(w, "+1");
	assert_string_equal(netns(w, 1)->names[0].dir, "/e");
}

static void test_two_names(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 1);
	put_in(w, "/e", "a", 1);
	created(w, "a");
	created(w, "b");
	names_created(w->names, 1, "a", w->now_us);
	expect(w, "+1 +1 +1");
	assert_int_equal(netns(w, 1)->n_names, 3);
	put(w, "a", NOTHING);
	removed(w, "a");
	expect(w, "+1");
	assert_string_equal(netns_label(netns(w, 1)), "b");
	put(w, "b", 2);
	removed(w, "b");
	created(w, "b");
	expect(w, "+1 +2");
	names_removed(w->names, 1, "a", w->now_us);
	expect(w, "-1");
}

static void test_overflow_in_the_middle(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 2);
	put(w, "c", 3);
	scan(w);
	expect(w, "+1 +2 +3");
	/* Lost: a recreated, b removed, d created. Seen: c removed. */
	put(w, "a", 4);
	put(w, "b", NOTHING);
	put(w, "d", 5);
	put(w, "c", NOTHING);
	removed(w, "c");
	scan(w);
	expect(w, "+4 +5 -3 -1 -2");
	/* Nothing differs, nothing is told, nothing is opened. */
	w->resolved = 0;
	scan(w);
	expect(w, "");
	assert_int_equal(w->resolved, 0);
}

/* What comes during a listing is not taken for unseen. */
static void test_events_while_listing(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 2);
	names_scan_begin(w->names, 0);
	names_scan_entry(w->names, 0, "a", w->now_us);
	put(w, "c", 3);
	created(w, "c");
	put(w, "b", NOTHING);
	names_scan_entry(w->names, 0, "b", w->now_us);
	removed(w, "b");
	put(w, "a", NOTHING);
	removed(w, "a");
	names_scan_end(w->names, 0, w->now_us);
	expect(w, "+1 +3 -1");
}

static void test_directory_gone(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put_in(w, "/e", "b", 2);
	scan(w);
	names_created(w->names, 1, "b", w->now_us);
	expect(w, "+1 +2");
	/* Replaced by one with the same names: nothing is told. */
	names_dir_gone(w->names, 0);
	scan(w);
	expect(w, "");
	names_dir_gone(w->names, 0);
	expect(w, "-1");
	assert_non_null(netns(w, 2));
}

static void test_unmounted_without_unlink(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 2);
	put(w, "c", 3);
	scan(w);
	expect(w, "+1 +2 +3");
	put(w, "b", FILE_ONLY);
	sweep(w);
	expect(w, "? -2");
	put(w, "b", 4);
	put(w, "a", 5); /* another one, mounted over the same file */
	put(w, "c", NOTHING);
	sweep(w);
	expect(w, "+5 +4 -1 -3");
}

/* What was looked at in vain is looked at again, however much later. */
static void test_shortage(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	put(w, "b", 2);
	put(w, "c", 3);
	created(w, "a");
	created(w, "b");
	expect(w, "+1 +2");
	w->short_of_descriptors = true;
	put(w, "a", 4); /* another mount */
	put(w, "b", FILE_ONLY);
	sweep(w);
	created(w, "c");
	expect(w, "! ! ! ?");
	w->now_us += 10 * MINUTES_US;
	w->resolved = 0;
	assert_int_equal(names_retry_short(w->names, 8, w->now_us), -EAGAIN);
	assert_int_equal(w->resolved, 1);
	expect(w, "!");
	w->short_of_descriptors = false;
	assert_int_equal(names_retry_short(w->names, 2, w->now_us), 1);
	assert_int_equal(names_retry_short(w->names, 2, w->now_us), 0);
	names_flush(w->names, w->now_us);
	assert_null(netns(w, 1));
	assert_null(netns(w, 2));
	assert_non_null(netns(w, 3));
	assert_non_null(netns(w, 4));
	w->resolved = 0;
	assert_int_equal(names_retry_short(w->names, 2, w->now_us), 0);
	assert_int_equal(w->resolved, 0);
}

static void test_gone_during_a_shortage(void **state)
{
	struct world *w = *state;

	put(w, "a", 1);
	w->short_of_descriptors = true;
	created(w, "a");
	expect(w, "! ?");
	put(w, "a", NOTHING);
	removed(w, "a");
	w->short_of_descriptors = false;
	assert_int_equal(names_retry_short(w->names, 2, w->now_us), 0);
	expect(w, "");
}

static void test_host(void **state)
{
	struct world *w = *state;

	put(w, "own", HOST);
	created(w, "own");
	expect(w, "+1000");
	assert_true(w->registry.host->netns.host);
	assert_string_equal(netns_label(&w->registry.host->netns), "own");
	put(w, "own", NOTHING);
	removed(w, "own");
	expect(w, "+1000");
	assert_string_equal(netns_label(&w->registry.host->netns), "host");
}

/* Without cookies an inode number tells nothing once the name is gone. */
static void test_old_kernel_reused_inode(void **state)
{
	struct world *w = *state;
	uint64_t first;

	put(w, "a", 7);
	created(w, "a");
	expect(w, "+7");
	first = w->registry.by_id->by_id.next
			? ((struct tracked *)w->registry.by_id->by_id.next)
				  ->netns.id
			: 0;
	assert_true(first & ID_COUNTED);
	removed(w, "a");
	created(w, "a"); /* recreated, with the same inode */
	expect(w, "+7 -7");
	assert_null(netns(w, first));
}

static void test_old_kernel_two_names(void **state)
{
	struct world *w = *state;

	put(w, "a", 7);
	put(w, "b", 7);
	created(w, "a");
	created(w, "b");
	expect(w, "+7 +7");
	assert_int_equal(HASH_CNT(by_id, w->registry.by_id), 2); /* and host */
	/* a was unmounted unnoticed, and its inode number given to c's. */
	put(w, "a", FILE_ONLY);
	put(w, "b", NOTHING);
	removed(w, "b");
	put(w, "c", 7);
	created(w, "c");
	expect(w, "+7 ? +7 -7");
	assert_int_equal(HASH_CNT(by_id, w->registry.by_id), 2);
}

/* Looking at the other names shows that they left, in the midst of a walk. */
static void test_old_kernel_all_exchanged(void **state)
{
	struct world *w = *state;

	put_link(w, "a", 1);
	put_link(w, "b", 1);
	put_link(w, "c", 2);
	put_link(w, "d", 2);
	scan(w);
	expect(w, "+1 +1 +2 +2");
	put_link(w, "a", 2);
	put_link(w, "b", 2);
	put_link(w, "c", 1);
	put(w, "d", NOTHING);
	names_retry(w->names, w->now_us);
	names_flush(w->names, w->now_us);
	assert_int_equal(HASH_CNT(by_id, w->registry.by_id), 3);
	assert_int_equal(names_pending(w->names, NULL, 0), 0);
	sweep(w);
	w->told[0] = '\0';
	sweep(w);
	expect(w, "");
}

static void test_many_names(void **state)
{
	struct world *w = *state;
	char name[16];

	for (int i = 0; i < 65600; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		put(w, "x", HOST_COOKIE + 1 + i);
		w->entries[0].name = name;
		created(w, name);
		w->entries[0].name = "x";
		w->told[0] = '\0';
	}
	assert_int_equal(HASH_CNT(by_id, w->registry.by_id), 65536 + 1);
	assert_true(names_omitted(w->names, 0));
	for (int i = 0; i < 65536; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		removed(w, name);
		names_flush(w->names, w->now_us);
		w->told[0] = '\0';
	}
	assert_int_equal(HASH_CNT(by_id, w->registry.by_id), 1);
	scan(w);
	assert_false(names_omitted(w->names, 0));
}

/* Whichever allocation fails when a name appears, it is looked at again. */
static void test_no_memory(void **state)
{
	unsigned int n = 0;

	(void)state;
	if (!CAN_FAIL_ALLOCATIONS)
		skip();
	do {
		struct world *w;

		assert_int_equal(setup((void **)&w), 0);
		put(w, "a", 1);
		allocation_failed = false;
		fail_allocation = ++n;
		created(w, "a");
		fail_allocation = 0;
		names_flush(w->names, w->now_us);
		if (names_omitted(w->names, 0))
			scan(w);
		else
			(void)names_retry_short(w->names, 1, w->now_us);
		assert_non_null(names_lookup(w->names, "a"));
		teardown((void **)&w);
	} while (allocation_failed);
	assert_in_range(n, 4, 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OLD(name) cmocka_unit_test_setup_teardown(name, setup_old, teardown)
	const struct CMUnitTest tests[] = {
		T(test_create_pending_mount),
		T(test_lookup),
		T(test_already_mounted),
		T(test_late_mount),
		T(test_recreated_in_one_batch),
		T(test_events_behind_the_world),
		T(test_rename),
		T(test_two_names),
		T(test_overflow_in_the_middle),
		T(test_events_while_listing),
		T(test_directory_gone),
		T(test_unmounted_without_unlink),
		T(test_shortage),
		T(test_gone_during_a_shortage),
		T(test_host),
		T(test_many_names),
		cmocka_unit_test(test_no_memory),
		OLD(test_old_kernel_reused_inode),
		OLD(test_old_kernel_two_names),
		OLD(test_old_kernel_all_exchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
