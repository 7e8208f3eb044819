/* SPDX-License-Identifier: Apache-2.0 */
/* registrations_fixture.h - processes in namespaces without a name */
#ifndef TESTS_UNIT_REGISTRATIONS_FIXTURE_H
#define TESTS_UNIT_REGISTRATIONS_FIXTURE_H

#include "watcher_fixture.h"

#include <sys/prctl.h>

/* A process in a namespace of its own, which has no name. */
static inline pid_t make_process(void)
{
	int pipe_fds[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
		    unshare(CLONE_NEWNET) < 0 || write(pipe_fds[1], "x", 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	(void)close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	(void)close(pipe_fds[0]);
	return pid;
}

static inline void end_process(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static inline struct registration_told told(const char *name)
{
	return (struct registration_told){
		.fd = -1,
		.container = { .name = name,
			       .pod_namespace = "",
			       .id = "",
			       .runtime = "",
			       .source = "" },
	};
}

static inline struct registration_told told_pid(const char *name, pid_t pid)
{
	struct registration_told one = told(name);

	one.container.pid = pid;
	return one;
}

static inline int register_told(struct fixture *f, struct registration_told one,
				uint64_t *ret_id)
{
	const char *reason = NULL;
	int r = watcher_register(f->watcher, &one, ret_id, &reason);

	if (r < 0)
		assert_non_null(reason);
	return r;
}

static inline uint64_t register_one(struct fixture *f,
				    struct registration_told one)
{
	uint64_t id = 0;

	assert_int_equal(register_told(f, one, &id), 0);
	assert_true(id != 0);
	return id;
}

static inline size_t count(struct fixture *f)
{
	size_t n;

	return watcher_registration_count(f->watcher, &n);
}

/* As berthd does when it is started anew. */
static inline void begin_again(struct fixture *f)
{
	f->watcher = watcher_free(f->watcher);
	f->mounts = mounts_free(f->mounts);
	f->timeout = loop_timer_free(f->timeout);
	f->loop = loop_free(f->loop);
	prepare_start(f, 0);
}

#endif
