// SPDX-License-Identifier: Apache-2.0
/* processes.c - tells when a process has ended
 *
 * A pidfd is readable when its process has ended. One that was told stays
 * readable, so it leaves the loop with that.
 */
#include "watcher/processes.h"

#include <sys/epoll.h>

#include "common/log.h"
#include "common/util.h"

/* Each costs a descriptor. Beyond it the end is noticed when mounts change. */
#define PROCESSES_MAX 1024

struct process {
	struct processes *owner;
	int pid_fd;
	struct loop_source *source;
	void *subject;
};

struct processes {
	struct loop *loop;
	void (*ended)(void *subject, void *user_data);
	void *user_data;
	unsigned int n;
};

int processes_new(struct loop *loop,
		  void (*ended)(void *subject, void *user_data),
		  void *user_data, struct processes **ret_processes)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return -ENOMEM;
	processes->loop = loop;
	processes->ended = ended;
	processes->user_data = user_data;
	*ret_processes = processes;
	return 0;
}

struct processes *processes_free(struct processes *processes)
{
	free(processes);
	return NULL;
}

static void process_handler(uint32_t events, void *user_data)
{
	struct process *process = user_data;

	(void)events; /* one meaning only */
	process->source = loop_source_free(process->source);
	process->owner->ended(process->subject, process->owner->user_data);
}

struct process *processes_watch(struct processes *processes, int pid_fd,
				void *subject)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 2 };
	struct process *process = NULL;
	int r = -EMFILE;

	if (processes->n < PROCESSES_MAX) {
		process = calloc(1, sizeof(*process));
		r = -ENOMEM;
	}
	if (process) {
		process->owner = processes;
		process->pid_fd = pid_fd;
		process->subject = subject;
		r = loop_add(processes->loop, pid_fd, EPOLLIN, process_handler,
			     process, "process", &process->source);
	}
	if (r < 0) {
		if (log_ratelimit_ok(&limit))
			log_warning_errno(r, "cannot watch the process behind "
					     "a link; noticing its end late");
		(void)close(pid_fd);
		free(process);
		return NULL;
	}
	processes->n++;
	return process;
}

struct process *processes_forget(struct process *process)
{
	if (!process)
		return NULL;
	loop_source_free(process->source);
	(void)close(process->pid_fd);
	process->owner->n--;
	free(process);
	return NULL;
}
