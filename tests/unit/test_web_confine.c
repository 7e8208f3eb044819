// SPDX-License-Identifier: Apache-2.0
/* test_web_confine.c - what an intruder in berth-web could still ask the
 * kernel for
 *
 * Each case runs in a child process that is confined as berth-web is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/util.h"
#include "web/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define STATUS_NOT_CONFINED 255

static pid_t parent_pid;

/* Runs @call in a confined child. Return: the errno it ended with; 0. */
static int confined(int (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (web_confine_privileges() < 0 || web_confine_syscalls() < 0)
			_exit(STATUS_NOT_CONFINED);
		errno = 0;
		_exit(call() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	assert_int_not_equal(WEXITSTATUS(status), STATUS_NOT_CONFINED);
	return WEXITSTATUS(status);
}

static int call_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int call_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int call_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static void *thread(void *user_data)
{
	return user_data;
}

static int call_thread(void)
{
	pthread_t id;

	errno = pthread_create(&id, NULL, thread, NULL);
	return errno ? -1 : 0;
}

static int call_inet(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int call_inet6(void)
{
	return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int call_bind(void)
{
	const struct sockaddr address = { .sa_family = AF_UNIX };

	return bind(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &address,
		    sizeof(address.sa_family));
}

static int call_kill(void)
{
	return kill(parent_pid, 0);
}

static int call_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void test_refused(void **state)
{
	static int (*const calls[])(void) = {
		call_open, call_exec,  call_fork, call_thread,
		call_inet, call_inet6, call_bind, call_kill,
	};

	(void)state;
	if (SANITIZED)
		skip();
	parent_pid = getpid();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int error = confined(calls[i]);

		if (error != EPERM)
			fail_msg("call %zu: %d", i, error);
	}
}

static void test_allowed(void **state)
{
	(void)state;
	assert_int_equal(confined(call_unix), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
