/* SPDX-License-Identifier: Apache-2.0 */
/* names_ops.h - what the bookkeeping of names asks and tells */
#ifndef WATCHER_NAMES_OPS_H
#define WATCHER_NAMES_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct name;
struct resolution;
struct task;
struct tracked;

/**
 * struct names_ops - a table of functions, so that tests can script the answers
 * @resolve:	finds out what @name in @dir leads to. As resolve_open(), but it
 *		returns 0 instead of a descriptor of the namespace.
 * @unchanged:	see resolve_unchanged()
 * @leads_to:	see resolve_leads_to()
 * @watch_process: waits for the end of @task; names_process_ended() is to be
 *		called then. Takes @pid_fd, also on failure. Return: a handle
 *		for @unwatch_process; NULL when the process cannot be watched:
 *		then only the sweep of processes notices its end.
 * @processes_full: would @watch_process refuse another process?
 * @unwatch_process: stops waiting, also after the process has ended
 * @changed:	@tracked is new, or has other names than before
 * @gone:	@tracked has no name any more; the callee removes it from the
 *		registry
 * @pending:	a name waits for its mount: names_retry() is wanted from now on
 * @shortage:	there were no descriptors or no memory to look at a name:
 *		names_retry_short() is wanted later
 */
struct names_ops {
	int (*resolve)(const char *dir, const char *name,
		       struct resolution *ret, const char **ret_reason,
		       void *user_data);
	bool (*unchanged)(const char *dir, const char *name, uint64_t mount_id,
			  void *user_data);
	bool (*leads_to)(const char *dir, const char *name, ino_t inode,
			 void *user_data);
	void *(*watch_process)(const struct task *task, int pid_fd,
			       struct name *name, void *user_data);
	bool (*processes_full)(void *user_data);
	void (*unwatch_process)(void *handle, void *user_data);
	void (*changed)(struct tracked *tracked, void *user_data);
	void (*gone)(struct tracked *tracked, void *user_data);
	void (*pending)(void *user_data);
	void (*shortage)(void *user_data);
};

#endif
