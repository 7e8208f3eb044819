// SPDX-License-Identifier: Apache-2.0
/* test_registrations_users.c - what others than root register, on real
 * namespaces of theirs */
#include "watcher_fixture.h"

#include <sys/pidfd.h>
#include <sys/prctl.h>

#include "watcher/registrations.h"
#include "watcher/shares.h"

#define USER 64123
#define OTHER 64124
#define NOT_THEIRS "there is no such network namespace of yours"

static _Noreturn void run(int done_fd, uid_t uid, int flags)
{
	if (setresuid(uid, uid, uid) < 0 || unshare(flags) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1) < 0 || /* as after execve(2) */
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || write(done_fd, "x", 1) < 0)
		_exit(1);
	for (;;)
		pause();
}

/* A process of the user, with a namespace of theirs unless @flags are 0. */
static pid_t make_process(uid_t uid, int flags)
{
	int pipe_fds[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run(pipe_fds[1], uid, flags);
	(void)close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	(void)close(pipe_fds[0]);
	return pid;
}

static pid_t make_netns(uid_t uid)
{
	return make_process(uid, CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0));
}

static void end_process(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int open_netns(pid_t pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static struct registration_told told(const char *name, uid_t uid, int fd,
				     pid_t pid)
{
	return (struct registration_told){
		.fd = fd,
		.uid = uid,
		.container = { .name = name,
			       .pod_namespace = "",
			       .id = "",
			       .runtime = "",
			       .source = "",
			       .uid = uid,
			       .pid = pid },
	};
}

/* What watcher_register() says. On failure the reason begins with @reason. */
static int tell(struct fixture *f, struct registration_told one,
		const char *reason)
{
	const char *found = NULL;
	uint64_t id;
	int r = watcher_register(f->watcher, &one, &id, &found);

	if (r < 0) {
		assert_non_null(reason);
		assert_int_equal(strncmp(found, reason, strlen(reason)), 0);
	}
	return r;
}

static bool until_gone(struct fixture *f)
{
	return f->gone >= f->number;
}

static size_t count(struct fixture *f)
{
	size_t n;

	return watcher_registration_count(f->watcher, &n);
}

/* It is called so that the name is nobody else's, and is last. */
static void test_own(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_netns(USER);
	int fd = open_netns(pid), pidfd = pidfd_open(pid, 0);
	struct netns *netns;

	start(f, 0);
	assert_int_equal(tell(f, told("web", USER, -1, pid), NULL), 0);
	netns = find(f, "web@64123");
	assert_non_null(netns);
	assert_null(find(f, "web"));
	assert_int_equal(netns->names[0].uid, USER);
	assert_int_equal(netns->containers[0]->uid, USER);
	assert_int_equal(tell(f, told("by-fd", USER, fd, 0), NULL), 0);
	assert_int_equal(tell(f, told("by-pidfd", USER, pidfd, 0), NULL), 0);
	/* Root tells of it, too: its word comes first. */
	assert_int_equal(tell(f, told("zz", 0, fd, 0), NULL), 0);
	assert_int_equal(netns->n_names, 4);
	assert_string_equal(netns->names[0].name, "zz");
	assert_string_equal(netns->names[1].name, "web@64123");
	assert_string_equal(netns->containers[0]->name, "zz");
	(void)close(fd);
	(void)close(pidfd);
	end_process(pid);
}

/* Root gets the name that a user thought of first. */
static void test_name_is_not_taken(void **state)
{
	struct fixture *f = *state;
	pid_t users = make_netns(USER), others = make_netns(OTHER);
	pid_t roots = make_netns(0);

	start(f, 0);
	assert_int_equal(tell(f, told("web", USER, -1, users), NULL), 0);
	assert_int_equal(tell(f, told("web", OTHER, -1, others), NULL), 0);
	assert_int_equal(tell(f, told("web", 0, -1, roots), NULL), 0);
	assert_non_null(find(f, "web"));
	assert_int_equal(find(f, "web")->names[0].uid, 0);
	assert_non_null(find(f, "web@64123"));
	assert_non_null(find(f, "web@64124"));
	end_process(users);
	end_process(others);
	end_process(roots);
}

/* One answer to all that is not theirs, whether it is there or not. */
static void test_not_theirs(void **state)
{
	struct fixture *f = *state;
	pid_t roots = make_netns(0), others = make_netns(OTHER);
	/* Of theirs, but in a namespace that is not. */
	pid_t outside = make_process(USER, 0);
	pid_t userns = make_process(USER, CLONE_NEWUSER);
	pid_t gone = make_netns(USER);
	const pid_t pids[] = { roots, others, outside, userns, getpid() };
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	end_process(gone);
	start(f, 0);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int fd = open_netns(pids[i]);

		assert_int_equal(tell(f, told("x", USER, -1, pids[i]),
				      NOT_THEIRS),
				 -EPERM);
		assert_int_equal(tell(f, told("x", USER, fd, 0), NOT_THEIRS),
				 -EPERM);
		(void)close(fd);
	}
	assert_int_equal(tell(f, told("x", USER, -1, gone), NOT_THEIRS),
			 -EPERM);
	assert_int_equal(tell(f, told("x", USER, null_fd, 0), NOT_THEIRS),
			 -EPERM);
	assert_int_equal(count(f), 0);
	(void)close(null_fd);
	end_process(roots);
	end_process(others);
	end_process(outside);
	end_process(userns);
}

/* A path is followed with our power, so it is not followed for users. */
static void test_path(void **state)
{
	struct fixture *f = *state;
	struct registration_told one = told("x", USER, -1, 0);

	start(f, 0);
	one.path = "/proc/self/ns/net";
	assert_int_equal(tell(f, one, "a path is looked at for root alone"),
			 -EPERM);
	one.path = "/nonexistent";
	assert_int_equal(tell(f, one, "a path is looked at for root alone"),
			 -EPERM);
}

/* The process with which it ends is theirs, or is in the namespace. */
static void test_other_process(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_netns(USER), outside = make_process(USER, 0);
	pid_t roots = make_netns(0);
	int fd = open_netns(pid);

	start(f, 0);
	assert_int_equal(tell(f, told("x", USER, fd, roots), NOT_THEIRS),
			 -EPERM);
	assert_int_equal(tell(f, told("x", USER, fd, getpid()), NOT_THEIRS),
			 -EPERM);
	assert_int_equal(tell(f, told("x", USER, fd, pid), NULL), 0);
	assert_int_equal(tell(f, told("y", USER, fd, outside), NULL), 0);
	(void)close(fd);
	end_process(outside);
	end_process(roots);
	end_process(pid);
}

#define FULL_NETNS (SHARES_PER_USER_MAX / REGISTRATIONS_OF_USER_PER_NETNS_MAX)

/* Root still has its say in a namespace that is full of a user's. */
static void test_room_in_netns(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_netns(USER);
	char name[32];

	start(f, 0);
	for (size_t i = 0; i < REGISTRATIONS_OF_USER_PER_NETNS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "c%zu", i);
		assert_int_equal(tell(f, told(name, USER, -1, pid), NULL), 0);
	}
	assert_int_equal(tell(f, told("more", USER, -1, pid),
			      "the namespace has the most"),
			 -ENOSPC);
	assert_int_equal(tell(f, told("roots", 0, -1, pid), NULL), 0);
	end_process(pid);
}

/* A user has a share, and others have theirs. */
static void test_share(void **state)
{
	struct fixture *f = *state;
	pid_t pids[FULL_NETNS], spare = make_netns(USER);
	pid_t other = make_netns(OTHER);
	char name[32];

	start(f, 0);
	for (size_t i = 0; i < FULL_NETNS; i++)
		pids[i] = make_netns(USER);
	for (size_t i = 0; i < SHARES_PER_USER_MAX; i++) {
		pid_t pid = pids[i / REGISTRATIONS_OF_USER_PER_NETNS_MAX];

		(void)snprintf(name, sizeof(name), "c%zu", i);
		assert_int_equal(tell(f, told(name, USER, -1, pid), NULL), 0);
	}
	assert_int_equal(tell(f, told("more", USER, -1, spare),
			      "you have registered the most"),
			 -ENOSPC);
	/* What is there can be told again, by its key. */
	assert_int_equal(tell(f, told("c0", USER, -1, pids[0]), NULL), 0);
	assert_int_equal(count(f), SHARES_PER_USER_MAX);
	assert_int_equal(tell(f, told("c0", OTHER, -1, other), NULL), 0);
	/* What ends is given back. */
	end_process(pids[0]);
	expect_number(f, until_gone, NULL, 1);
	assert_int_equal(tell(f, told("more", USER, -1, spare), NULL), 0);
	for (size_t i = 1; i < FULL_NETNS; i++)
		end_process(pids[i]);
	end_process(other);
	end_process(spare);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own),		  TEST(test_name_is_not_taken),
		TEST(test_not_theirs),	  TEST(test_path),
		TEST(test_other_process), TEST(test_room_in_netns),
		TEST(test_share),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
