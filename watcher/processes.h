/* SPDX-License-Identifier: Apache-2.0 */
/* processes.h - tells when a process has ended */
#ifndef WATCHER_PROCESSES_H
#define WATCHER_PROCESSES_H

#include "common/loop.h"
#include "watcher/link.h"

struct process_watch;
struct processes;

/**
 * processes_new() - a table of processes whose end is waited for
 * @loop:	outlives the table
 * @max:	so many are watched at the most; fewer if that were more than
 *		an eighth of the descriptors
 * @ended:	called from the loop, once for each watch, with its @subject;
 *may forget any watch
 * @ret_processes: the caller's, to be freed with processes_free()
 *
 * Return: 0 or -ENOMEM.
 */
int processes_new(struct loop *loop, unsigned int max,
		  void (*ended)(void *subject, void *user_data),
		  void *user_data, struct processes **ret_processes);

/** processes_free() - all of its watches must have been forgotten. NULL is
 * fine. Return: NULL. */
struct processes *processes_free(struct processes *processes);

/**
 * processes_watch() - waits for the end of @task
 * @pid_fd:	of @task; taken, also on failure. One is kept for each task,
 *		however many watches it has.
 *
 * Return: a watch, the caller's, to be forgotten with processes_forget(); NULL:
 * out of memory, or there are too many processes.
 */
struct process_watch *processes_watch(struct processes *processes,
				      const struct task *task, int pid_fd,
				      void *subject);

/** processes_full() - Return: would a watch on another process be refused? */
bool processes_full(const struct processes *processes);

/** processes_forget() - ends a watch, also after @ended was called for it. NULL
 * is fine. Return: NULL. */
struct process_watch *processes_forget(struct process_watch *watch);

#endif
