// SPDX-License-Identifier: Apache-2.0
/* test_owner.c - whose are a namespace and a process; root makes some of users
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "watcher/owner.h"

#define USER 64123
#define OTHER 64124
#define OVERFLOW 65534 /* what the kernel begins with */

/**
 * struct child - a process
 * @made:	readable when it has done what it was to do; "+" then
 */
struct child {
	pid_t pid;
	int pid_fd;
	int made[2];
};

static _Noreturn void child_run(int made, uid_t uid, int flags, bool set_ids)
{
	bool ok = (!set_ids || setresuid(uid, uid, uid) == 0) &&
		  unshare(flags) == 0;

	/* Its user may look at it, as after execve(2). */
	(void)prctl(PR_SET_DUMPABLE, 1); /* cannot fail */
	(void)alarm(60); /* of no use without the test */
	(void)!write(made, ok ? "+" : "-", 1); /* the test would see nothing */
	(void)pause();
	_exit(0);
}

static void child_start(struct child *child, uid_t uid, int flags)
{
	char answer = '?';

	assert_int_equal(pipe2(child->made, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0)
		child_run(child->made[1], uid, flags, uid != 0);
	assert_int_equal(read(child->made[0], &answer, 1), 1);
	child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	assert_true(child->pid_fd >= 0);
	assert_int_equal(answer, '+');
}

static void child_end(struct child *child)
{
	assert_int_equal(kill(child->pid, SIGKILL), 0);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	(void)close(child->made[0]);
	(void)close(child->made[1]);
}

static int netns_of(const struct child *child)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", child->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void check_netns(int fd, bool roots, bool users)
{
	assert_int_equal(owner_has_netns(fd, 0), roots);
	assert_int_equal(owner_has_netns(fd, USER), users);
	assert_false(owner_has_netns(fd, OTHER));
}

static void test_netns(void **state)
{
	struct child child;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	child_start(&child, USER, CLONE_NEWUSER | CLONE_NEWNET);
	fd = netns_of(&child);
	check_netns(fd, false, true);
	(void)close(fd);
	child_end(&child);
	(void)close(child.pid_fd);
	/* A user namespace of one's own is not enough: the network namespace
	 * is the one of before. */
	child_start(&child, USER, CLONE_NEWUSER);
	fd = netns_of(&child);
	check_netns(fd, true, false);
	(void)close(fd);
	child_end(&child);
	(void)close(child.pid_fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check_netns(fd, false, false);
	(void)close(fd);
	check_netns(-1, false, false);
}

static void test_process(void **state)
{
	struct child child;

	(void)state;
	if (geteuid() != 0)
		skip();
	child_start(&child, USER, 0);
	assert_true(owner_has_process(child.pid, child.pid_fd, USER));
	assert_false(owner_has_process(child.pid, child.pid_fd, 0));
	assert_false(owner_has_process(child.pid, child.pid_fd, OTHER));
	assert_false(owner_has_process(getpid(), child.pid_fd, USER));
	child_end(&child);
	assert_false(owner_has_process(child.pid, child.pid_fd, USER));
	(void)close(child.pid_fd);
}

/* In a user namespace where few users have numbers: 0 if all is as expected.
 * Run in a child, of which nothing comes back. */
static int in_user_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWUSER) < 0)
		return 1;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0 0 1\n", 6) != 6)
		return 2;
	(void)close(fd);
	return owner_is_known(0) && owner_is_known(USER) &&
			       !owner_is_known(OVERFLOW)
		       ? 0
		       : 3;
}

static void test_known(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(owner_is_known(USER));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_user_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netns),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
