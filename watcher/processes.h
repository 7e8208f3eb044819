/* SPDX-License-Identifier: Apache-2.0 */
/* processes.h - tells when a process has ended */
#ifndef WATCHER_PROCESSES_H
#define WATCHER_PROCESSES_H

#include "common/loop.h"
#include "watcher/link.h"

struct process_watch;
struct processes;

/** processes_new() - @ended: called once for each watch, with its @subject.
 * Return: 0 or -ENOMEM. */
int processes_new(struct loop *loop,
		  void (*ended)(void *subject, void *user_data),
		  void *user_data, struct processes **ret_processes);

/** processes_free() - all of its watches must have been forgotten */
struct processes *processes_free(struct processes *processes);

/**
 * processes_watch() - waits for the end of @task
 * @pid_fd:	of @task; taken, also on failure. One is kept for each task,
 *		however many watches it has.
 *
 * Return: a handle, or NULL: out of memory, or there are too many.
 */
struct process_watch *processes_watch(struct processes *processes,
				      const struct task *task, int pid_fd,
				      void *subject);

/** processes_full() - would a watch on another process be refused? */
bool processes_full(const struct processes *processes);

/** processes_forget() - also to be called after @ended. Returns NULL. */
struct process_watch *processes_forget(struct process_watch *watch);

#endif
