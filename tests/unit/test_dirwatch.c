// SPDX-License-Identifier: Apache-2.0
/* test_dirwatch.c - directories that may be missing, come, go and come back
 *
 * Real directories and a real loop. The queue of inotify is in order: when the
 * event of a file comes that is made last, in a directory of its own (sync),
 * all earlier events were read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "common/dirwatch.h"
#include "common/util.h"

#define SYNC_INDEX 0

struct fixture {
	char base[64];
	struct loop *loop;
	struct loop_timer *timeout;
	struct dirwatch *dw;
	char told[4096];
	unsigned int scans;
	bool synced;
};

static const char *const event_names[] = {
	[DIRWATCH_SCAN] = "scan",	[DIRWATCH_GONE] = "gone",
	[DIRWATCH_CREATED] = "created", [DIRWATCH_MOVED_IN] = "moved-in",
	[DIRWATCH_REMOVED] = "removed", [DIRWATCH_MODIFIED] = "modified",
	[DIRWATCH_WRITTEN] = "written",
};

static void told_handler(enum dirwatch_event event, size_t index,
			 const char *name, void *user_data)
{
	struct fixture *f = user_data;
	size_t used = strlen(f->told);

	if (index == SYNC_INDEX) {
		f->synced |= event == DIRWATCH_REMOVED;
		return;
	}
	f->scans += event == DIRWATCH_SCAN;
	(void)snprintf(f->told + used, sizeof(f->told) - used, "%s%s %zu%s%s",
		       used ? "; " : "", event_names[event], index,
		       name ? " " : "", name ? name : "");
}

static bool after_handler(void *user_data)
{
	struct fixture *f = user_data;

	if (f->synced)
		loop_quit(f->loop, 0);
	return false;
}

static void timeout_handler(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, -ETIMEDOUT);
}

/* path() of the test's directory; four results live at a time */
static const char *path(const struct fixture *f, const char *name)
{
	static char buffers[4][256];
	static unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];

	(void)snprintf(buffer, sizeof(buffers[0]), "%s/%s", f->base, name);
	return buffer;
}

static void make_dir(const struct fixture *f, const char *name)
{
	assert_int_equal(mkdir(path(f, name), 0755), 0);
}

static void remove_dir(const struct fixture *f, const char *name)
{
	assert_int_equal(rmdir(path(f, name)), 0);
}

static void make_file(const struct fixture *f, const char *name)
{
	int fd = open(path(f, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void remove_file(const struct fixture *f, const char *name)
{
	assert_int_equal(unlink(path(f, name)), 0);
}

static void move(const struct fixture *f, const char *from, const char *to)
{
	assert_int_equal(rename(path(f, from), path(f, to)), 0);
}

static void link_to(const struct fixture *f, const char *target,
		    const char *name)
{
	assert_int_equal(symlink(target, path(f, name)), 0);
}

/* Runs the loop until everything that was done was told; compares. */
static void expect(struct fixture *f, const char *told)
{
	f->synced = false;
	make_file(f, "sync/x");
	remove_file(f, "sync/x");
	loop_timer_set(f->timeout, monotonic_us() + 5 * USEC_PER_SEC);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->told, told);
	f->told[0] = '\0';
}

static int add(struct fixture *f, const char *name)
{
	return dirwatch_add(f->dw, path(f, name));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	(void)snprintf(f->base, sizeof(f->base), "/tmp/berth-dirwatch-XXXXXX");
	assert_non_null(mkdtemp(f->base));
	make_dir(f, "sync");
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(
		loop_timer_new(f->loop, timeout_handler, f, &f->timeout), 0);
	loop_set_after(f->loop, after_handler, f);
	assert_int_equal(dirwatch_new(f->loop, 0, told_handler, f, &f->dw), 0);
	assert_int_equal(add(f, "sync"), SYNC_INDEX);
	return 0;
}

static int remove_entry(const char *name, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dirwatch_free(f->dw);
	loop_timer_free(f->timeout);
	loop_free(f->loop);
	(void)nftw(f->base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_entries(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "d");
	make_file(f, "d/before");
	assert_int_equal(add(f, "d"), 1);
	assert_true(dirwatch_exists(f->dw, 1));
	make_file(f, "d/a");
	move(f, "d/a", "d/b");
	move(f, "d/b", "d/before");
	move(f, "d/before", "out");
	move(f, "out", "d/in");
	remove_file(f, "d/in");
	expect(f, "scan 1; created 1 a; removed 1 a; moved-in 1 b; "
		  "removed 1 b; moved-in 1 before; removed 1 before; "
		  "moved-in 1 in; removed 1 in");
}

static void test_writes(void **state)
{
	struct fixture *f = *state;
	int fd;

	dirwatch_free(f->dw);
	assert_int_equal(dirwatch_new(f->loop, DIRWATCH_WRITES, told_handler, f,
				      &f->dw),
			 0);
	assert_int_equal(add(f, "sync"), SYNC_INDEX);
	make_dir(f, "d");
	assert_int_equal(add(f, "d"), 1);
	fd = open(path(f, "d/a"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(close(fd), 0);
	expect(f, "scan 1; created 1 a; modified 1 a; written 1 a");
}

static void test_missing_appears_vanishes_returns(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add(f, "a/b/c"), 1);
	assert_false(dirwatch_exists(f->dw, 1));
	expect(f, "");
	make_dir(f, "a");
	expect(f, "");
	make_dir(f, "a/b");
	make_dir(f, "a/b/other");
	expect(f, "");
	make_dir(f, "a/b/c");
	expect(f, "scan 1");
	assert_true(dirwatch_exists(f->dw, 1));
	make_file(f, "a/b/c/x");
	remove_file(f, "a/b/c/x");
	remove_dir(f, "a/b/c");
	expect(f, "created 1 x; removed 1 x; gone 1");
	assert_false(dirwatch_exists(f->dw, 1));
	remove_dir(f, "a/b/other");
	remove_dir(f, "a/b");
	remove_dir(f, "a");
	expect(f, "");
	make_dir(f, "a");
	make_dir(f, "a/b");
	make_dir(f, "a/b/c");
	make_file(f, "a/b/c/y");
	expect(f, "scan 1");
	make_file(f, "a/b/c/z");
	expect(f, "created 1 z");
}

static void test_recreated_in_one_batch(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "d");
	assert_int_equal(add(f, "d"), 1);
	remove_dir(f, "d");
	make_dir(f, "d");
	make_file(f, "d/x");
	expect(f, "scan 1; gone 1; scan 1");
	make_file(f, "d/y");
	expect(f, "created 1 y");
}

/* The kernel holds IN_DELETE_SELF back while the directory is open. */
static void test_recreated_while_open(void **state)
{
	struct fixture *f = *state;
	int fd;

	make_dir(f, "d");
	assert_int_equal(add(f, "d"), 1);
	fd = open(path(f, "d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	remove_dir(f, "d");
	expect(f, "scan 1; gone 1");
	make_dir(f, "d");
	expect(f, "scan 1");
	assert_int_equal(close(fd), 0);
	make_file(f, "d/x");
	expect(f, "created 1 x");
}

static void test_renamed_ancestor(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "a");
	make_dir(f, "a/b");
	make_dir(f, "a/b/c");
	assert_int_equal(add(f, "a/b/c"), 1);
	move(f, "a", "old");
	make_file(f, "old/b/c/x");
	/* Told before the rename was read: harmless, the scan is truth. */
	expect(f, "scan 1; gone 1");
	make_file(f, "old/b/c/y");
	expect(f, "");
	move(f, "old", "a");
	expect(f, "scan 1");
	make_file(f, "a/b/c/z");
	expect(f, "created 1 z");
}

static void test_shared_parents(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "p");
	assert_int_equal(add(f, "p"), 1); /* watched and a parent */
	assert_int_equal(add(f, "p/one"), 2);
	assert_int_equal(add(f, "p/two"), 3);
	assert_int_equal(add(f, "p"), 4); /* twice */
	expect(f, "scan 1; scan 4");
	make_dir(f, "p/one");
	expect(f, "created 1 one; scan 2; created 4 one");
	make_dir(f, "p/two");
	make_file(f, "p/x");
	expect(f, "created 1 two; scan 3; created 4 two; created 1 x; "
		  "created 4 x");
	remove_dir(f, "p/one");
	make_file(f, "p/two/y");
	remove_file(f, "p/x");
	expect(f, "gone 2; removed 1 one; removed 4 one; created 3 y; "
		  "removed 1 x; removed 4 x");
	make_dir(f, "p/one");
	make_file(f, "p/one/z");
	expect(f, "created 1 one; scan 2; created 4 one");
}

static void test_links(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "v1");
	make_dir(f, "v2");
	make_dir(f, "v2/sub");
	link_to(f, "v1", "current"); /* relative */
	assert_int_equal(add(f, "current"), 1);
	assert_int_equal(add(f, "current/sub"), 2);
	make_file(f, "v1/x");
	expect(f, "scan 1; created 1 x");
	link_to(f, path(f, "v2"), "new"); /* absolute */
	move(f, "new", "current");
	expect(f, "gone 1; scan 1; scan 2");
	make_file(f, "v2/y");
	make_file(f, "v2/sub/z");
	make_file(f, "v1/not-told");
	expect(f, "created 1 y; created 2 z");
	remove_file(f, "current");
	expect(f, "gone 1; gone 2");
	link_to(f, "nowhere", "current");
	expect(f, "");
	make_dir(f, "nowhere");
	expect(f, "scan 1");
	link_to(f, "loop", "loop");
	assert_int_equal(add(f, "loop"), 3);
	assert_false(dirwatch_exists(f->dw, 3));
	move(f, "v1", "loop2");
	remove_file(f, "loop");
	make_dir(f, "loop");
	expect(f, "scan 3");
}

static void test_file_in_the_way(void **state)
{
	struct fixture *f = *state;

	make_file(f, "d");
	assert_int_equal(add(f, "d"), 1);
	assert_int_equal(add(f, "d/e"), 2);
	expect(f, "");
	remove_file(f, "d");
	make_dir(f, "d");
	make_dir(f, "d/e");
	expect(f, "scan 1; scan 2");
}

static void test_overflow(void **state)
{
	struct fixture *f = *state;
	unsigned int n = 0;
	int queue = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &queue), 1);
	(void)fclose(file);
	if (queue > 100000)
		skip();
	make_dir(f, "d");
	assert_int_equal(add(f, "d"), 1);
	expect(f, "scan 1");
	f->scans = 0;
	for (int i = 0; i < queue; i++) {
		make_file(f, "d/x");
		remove_file(f, "d/x");
	}
	f->synced = false;
	loop_timer_set(f->timeout, monotonic_us() + 5 * USEC_PER_SEC);
	while (dirwatch_overflows(f->dw) == 0 && n++ < 10000) {
		f->told[0] = '\0';
		f->synced = true; /* one batch */
		assert_int_equal(loop_run(f->loop), 0);
	}
	assert_int_equal(dirwatch_overflows(f->dw), 1);
	assert_int_equal(f->scans, 1);
	f->told[0] = '\0';
	make_file(f, "d/y");
	expect(f, "created 1 y");
}

static void test_not_absolute(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dirwatch_add(f->dw, "netns"), -EINVAL);
	assert_int_equal(dirwatch_add(f->dw, ""), -EINVAL);
	assert_int_equal(add(f, "//d/./"), 1);
	assert_string_equal(dirwatch_path(f->dw, 1), path(f, "//d/./"));
	make_dir(f, "d");
	expect(f, "scan 1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_entries),
		T(test_writes),
		T(test_missing_appears_vanishes_returns),
		T(test_recreated_in_one_batch),
		T(test_recreated_while_open),
		T(test_renamed_ancestor),
		T(test_shared_parents),
		T(test_links),
		T(test_file_in_the_way),
		T(test_overflow),
		T(test_not_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
