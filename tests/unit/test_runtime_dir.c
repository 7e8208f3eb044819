// SPDX-License-Identifier: Apache-2.0
/* test_runtime_dir.c - one berthd for each runtime directory */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/runtime_dir.h"

static char dir[] = "/tmp/berth-test-runtime-XXXXXX";

/* Takes @dir in another process, which has a child, and tells of both. */
static pid_t take_elsewhere(pid_t *ret_child)
{
	int pipe_fds[2], lock_fd = -1;
	pid_t pid, child;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child = runtime_dir_take(dir, &lock_fd) == 0 ? fork() : -1;
		if (child != 0)
			(void)!write(pipe_fds[1], &child, sizeof(child));
		alarm(60);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipe_fds[0], ret_child, sizeof(*ret_child)),
			 (ssize_t)sizeof(*ret_child));
	assert_true(*ret_child > 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return pid;
}

/* A relay that was being started when its berthd was killed holds nothing. */
static void test_lock_ends_with_its_process(void **state)
{
	pid_t child, pid = take_elsewhere(&child);
	int lock_fd = -1;

	(void)state;
	assert_int_equal(runtime_dir_take(dir, &lock_fd), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(runtime_dir_take(dir, &lock_fd), 0);
	close(lock_fd);
	assert_int_equal(kill(child, SIGKILL), 0);
}

static int make_dir(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[sizeof(dir) + sizeof("/berthd.lock")];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/berthd.lock", dir);
	(void)unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_ends_with_its_process),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
