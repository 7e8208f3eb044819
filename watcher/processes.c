// SPDX-License-Identifier: Apache-2.0
/* processes.c - tells when a process has ended
 *
 * A pidfd becomes readable when its process has ended, and stays so. Each wake-
 * up tells a slice of the watches; when all of them were told, the pidfd leaves
 * the loop.
 *
 * Each pidfd is a descriptor, and listeners need descriptors, too. So there is
 * one pidfd for a process, not for a name, and all of them together may take a
 * small part of the limit. A caller whose watch is refused has to look at the
 * process now and then.
 */
#include "watcher/processes.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"

#define PROCESSES_SHARE 8 /* one descriptor in so many may be a pidfd */

#define TOLD_SLICE 64 /* watches told at each wake-up; 20 µs each */

struct process_watch {
	struct process *process;
	void *subject;
	bool told;
	struct process_watch *prev, *next;
};

struct process {
	struct processes *owner;
	uint64_t identity; /* its task's */
	int pid_fd;
	bool telling; /* its handler runs: not to be freed now */
	struct loop_source *source;
	struct process_watch *waiting, *told;
	UT_hash_handle hh; /* by identity, until it has ended */
};

struct processes {
	struct loop *loop;
	void (*ended)(void *subject, void *user_data);
	void *user_data;
	struct process *by_identity;
	unsigned int max;
	unsigned int n;
};

int processes_new(struct loop *loop, unsigned int max,
		  void (*ended)(void *subject, void *user_data),
		  void *user_data, struct processes **ret_processes)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return -ENOMEM;
	processes->loop = loop;
	processes->max = max;
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

static struct process *process_find(struct processes *processes,
				    const struct task *task)
{
	struct process *process;

	HASH_FIND(hh, processes->by_identity, &task->identity,
		  sizeof(task->identity), process);
	return process;
}

static void process_leave_table(struct process *process)
{
	if (process->hh.tbl)
		HASH_DELETE(hh, process->owner->by_identity, process);
	process->hh.tbl = NULL;
}

static void process_free_unused(struct process *process)
{
	if (process->waiting || process->told || process->telling)
		return;
	loop_source_free(process->source);
	process_leave_table(process);
	cleanup_close(&process->pid_fd);
	process->owner->n--;
	free(process);
}

static void process_handler(uint32_t events, void *user_data)
{
	struct process *process = user_data;
	struct processes *owner = process->owner;
	struct process_watch *watch;

	(void)events; /* a pidfd is ready for one reason only */
	process_leave_table(process);
	process->telling = true;
	for (int i = 0; i < TOLD_SLICE && (watch = process->waiting); i++) {
		DL_DELETE(process->waiting, watch);
		DL_APPEND(process->told, watch);
		watch->told = true;
		owner->ended(watch->subject, owner->user_data);
	}
	process->telling = false;
	if (!process->waiting)
		process->source = loop_source_free(process->source);
	process_free_unused(process);
}

/* Takes @pid_fd, also on failure. Return: the process or NULL. */
static struct process *process_add(struct processes *processes,
				   const struct task *task, int pid_fd)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process) {
		(void)close(pid_fd);
		return NULL;
	}
	*process = (struct process){
		.owner = processes,
		.identity = task->identity,
		.pid_fd = pid_fd,
	};
	processes->n++;
	HASH_ADD(hh, processes->by_identity, identity,
		 sizeof(process->identity), process);
	if (!process->hh.tbl ||
	    loop_add(processes->loop, pid_fd, EPOLLIN, process_handler, process,
		     &process->source) < 0) {
		process_free_unused(process);
		return NULL;
	}
	return process;
}

bool processes_full(const struct processes *processes)
{
	struct rlimit limit;

	return processes->n >= processes->max ||
	       getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	       processes->n >= limit.rlim_cur / PROCESSES_SHARE;
}

static struct process_watch *watch_add(struct processes *processes,
				       struct process *process,
				       const struct task *task, int pid_fd,
				       void *subject)
{
	struct process_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		(void)close(pid_fd);
		return NULL;
	}
	if (process)
		(void)close(pid_fd); /* the process has one */
	else
		process = process_add(processes, task, pid_fd);
	if (!process) {
		free(watch);
		return NULL;
	}
	watch->process = process;
	watch->subject = subject;
	DL_APPEND(process->waiting, watch);
	return watch;
}

struct process_watch *processes_watch(struct processes *processes,
				      const struct task *task, int pid_fd,
				      void *subject)
{
	struct process *process = process_find(processes, task);

	if (!process && processes_full(processes)) {
		(void)close(pid_fd);
		return NULL;
	}
	return watch_add(processes, process, task, pid_fd, subject);
}

struct process_watch *processes_forget(struct process_watch *watch)
{
	struct process *process;

	if (!watch)
		return NULL;
	process = watch->process;
	if (watch->told)
		DL_DELETE(process->told, watch);
	else
		DL_DELETE(process->waiting, watch);
	free(watch);
	process_free_unused(process);
	return NULL;
}
