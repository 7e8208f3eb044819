// SPDX-License-Identifier: Apache-2.0
/* test_follow.c - names that come, go and change, on real namespaces */
#include "watcher_fixture.h"

#include <dirent.h>
#include <dlfcn.h>

/* A sweep over names that take SLOW_US each takes twice as long as the pause
 * before it, and mounts change in each slice. The newest are looked at when
 * mounts change anyway, and are quick. */
#define SLOW_US 1500
#define N_SLOW 1400
#define N_QUICK 256
#define CHURN_CALLS 100
#define MOUNTED 100 /* near the end: tmpfs lists the newest first */

static void test_pending_until_mounted(void **state)
{
	struct fixture *f = *state;
	struct watcher_pending pending;

	start(f, 0);
	make_file(path(f, "late"));
	expect_number(f, until_pending, NULL, 1);
	assert_int_equal(watcher_pending_names(f->watcher, &pending, 1), 1);
	assert_string_equal(pending.name, "late");
	assert_string_equal(pending.reason,
			    "not a namespace (no mount over it yet)");
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "late");
	go_home();
	expect(f, until_found, "late");
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 0);
}

static bool until_looked_at(struct fixture *f)
{
	(void)f;
	return !gap_fixture;
}

/* The look shows a plain file. Where it is not told which mount came, the watch
 * on the mounts rests while no name is pending, and begins when the mount is
 * there already. Nothing tells of it any more: it must be found in the same
 * turn, not by a timer. */
static void test_mount_between_look_and_watch(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	gap_fixture = f;
	make_file(path(f, "gap"));
	expect(f, until_looked_at, NULL);
	if (!mounts_tells_which(f->mounts))
		assert_non_null(find(f, "gap"));
	expect(f, until_found, "gap");
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 0);
}

static void test_recreated_in_one_batch(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	f->id = find(f, "a")->id;
	del(f, "a");
	add(f, "a");
	expect(f, until_other, "a");
	assert_int_equal(f->gone, 1);
	assert_true(f->gone_id == f->id);
}

static void test_unmounted_without_unlink(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	f->id = find(f, "a")->id;
	assert_int_equal(umount2(path(f, "a"), MNT_DETACH), 0);
	expect(f, until_missing, "a");
	assert_int_equal(f->gone, 1);
	/* Another one over the same file. */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "a");
	go_home();
	expect(f, until_other, "a");
	/* And one over it that inotify does not see either. */
	f->id = find(f, "a")->id;
	assert_int_equal(umount2(path(f, "a"), MNT_DETACH), 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "a");
	go_home();
	expect(f, until_other, "a");
}

static void test_link_to_process(void **state)
{
	struct fixture *f = *state;
	char target[64];
	int ready[2], status;
	char byte;
	pid_t pid;

	start(f, 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)snprintf(target, sizeof(target), "/proc/%d/ns/net", (int)pid);
	assert_int_equal(symlink(target, path(f, "direct")), 0);
	assert_int_equal(symlink("direct", path(f, "indirect")), 0);
	(void)snprintf(target, sizeof(target), "/proc/%d/task/%d/ns/net",
		       (int)pid, (int)pid);
	assert_int_equal(symlink(target, path(f, "thread")), 0);
	expect(f, until_found, "thread");
	assert_ptr_equal(find(f, "direct"), find(f, "thread"));
	assert_ptr_equal(find(f, "direct"), find(f, "indirect"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect(f, until_missing, "direct");
	expect(f, until_missing, "indirect");
	expect(f, until_missing, "thread");
	assert_int_equal(f->gone, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 3);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* A link to a namespace elsewhere: what it leads to can be unmounted. */
static void test_link_to_mount(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "../outside");
	assert_int_equal(symlink("../outside", path(f, "link")), 0);
	expect(f, until_found, "link");
	assert_int_equal(umount2(path(f, "../outside"), MNT_DETACH), 0);
	expect(f, until_missing, "link");
	assert_int_equal(f->gone, 1);
}

static void test_directory_replaced(void **state)
{
	struct fixture *f = *state;
	char old[128];

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	(void)snprintf(old, sizeof(old), "%s/old", f->base);
	assert_int_equal(rename(f->dir, old), 0);
	expect(f, until_missing, "a");
	assert_int_equal(mkdir(f->dir, 0755), 0);
	add(f, "b");
	expect(f, until_found, "b");
	/* Something mounted over it. */
	assert_int_equal(mount("berth-test", f->dir, "tmpfs", 0, NULL), 0);
	expect(f, until_missing, "b");
	add(f, "c");
	expect(f, until_found, "c");
	assert_int_equal(umount2(f->dir, MNT_DETACH), 0);
	expect(f, until_found, "b");
	expect(f, until_missing, "c");
}

/* How many entries readdir(3) returns until it fails once; 0: it does not. */
static int readdir_fails_after;

struct dirent *readdir(DIR *stream)
{
	struct dirent *(*real)(DIR *);

	*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (readdir_fails_after > 0 && --readdir_fails_after == 0) {
		errno = EIO;
		return NULL;
	}
	return real(stream);
}

/* A directory that cannot be read to its end says nothing about the names
 * that were not read. */
static void test_listing_fails_in_the_middle(void **state)
{
	struct fixture *f = *state;

	add(f, "a");
	add(f, "b");
	readdir_fails_after = 4; /* after ".", ".." and one of the two */
	start(f, 0);
	assert_int_equal(readdir_fails_after, 0);
	expect(f, until_found, "a");
	expect(f, until_found, "b");
}

static const struct fixture *churned;

static void churn(const char *file)
{
	static unsigned int calls;

	if (strstr(file, "slow") == NULL)
		return;
	(void)usleep(SLOW_US);
	if (++calls % CHURN_CALLS != 0)
		return;
	assert_int_equal(
		mount("churn", path(churned, "churn"), "tmpfs", 0, NULL), 0);
	assert_int_equal(umount2(path(churned, "churn"), MNT_DETACH), 0);
}

/* A sweep that takes longer than its pause reaches the end all the same. */
static void test_sweep_that_takes_long(void **state)
{
	struct fixture *f = *state;
	char name[32];

	assert_int_equal(mkdir(path(f, "churn"), 0755), 0);
	for (int i = 0; i < N_SLOW; i++) {
		(void)snprintf(name, sizeof(name), "slow%d", i);
		make_file(path(f, name));
	}
	start(f, 0);
	for (int i = 0; i < N_QUICK; i++) {
		(void)snprintf(name, sizeof(name), "quick%d", i);
		make_file(path(f, name));
	}
	expect_number(f, until_pending, NULL, N_SLOW + N_QUICK + 1);
	churned = f;
	on_statx = churn;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	(void)snprintf(name, sizeof(name), "slow%d", MOUNTED);
	mount_name(f, name);
	go_home();
	expect(f, until_found, name);
	on_statx = NULL;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define POLL_ONLY(name)                                          \
	{                                                        \
#name " where it is not told which mount", name, \
			setup_poll_only, teardown, NULL          \
	}
#define BOTH(name) T(name), POLL_ONLY(name)
	const struct CMUnitTest tests[] = {
		BOTH(test_pending_until_mounted),
		BOTH(test_mount_between_look_and_watch),
		BOTH(test_recreated_in_one_batch),
		BOTH(test_unmounted_without_unlink),
		BOTH(test_link_to_process),
		BOTH(test_link_to_mount),
		BOTH(test_directory_replaced),
		T(test_listing_fails_in_the_middle),
		POLL_ONLY(test_sweep_that_takes_long),
	};

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root for namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, prepare, NULL);
}
