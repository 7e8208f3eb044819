/* SPDX-License-Identifier: Apache-2.0 */
/* processes.h - tells when a process has ended */
#ifndef WATCHER_PROCESSES_H
#define WATCHER_PROCESSES_H

#include "common/loop.h"

struct process;
struct processes;

/** processes_new() - @ended: called once for each, with its @subject. Return: 0
 * or -ENOMEM. */
int processes_new(struct loop *loop,
		  void (*ended)(void *subject, void *user_data),
		  void *user_data, struct processes **ret_processes);

/** processes_free() - all of its processes must have been forgotten */
struct processes *processes_free(struct processes *processes);

/**
 * processes_watch() - waits for the end of a process
 * @pid_fd:	taken, also on failure
 *
 * Return: a handle, or NULL: out of memory, or there are too many.
 */
struct process *processes_watch(struct processes *processes, int pid_fd,
				void *subject);

/** processes_forget() - also to be called after @ended. Returns NULL. */
struct process *processes_forget(struct process *process);

#endif
