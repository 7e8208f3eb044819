/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - which name leads to which namespace
 *
 * Bookkeeping only: what a name leads to is asked through a table of
 * functions, so that tests can script it.
 */
#ifndef WATCHER_NAMES_H
#define WATCHER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/registry.h"
#include "watcher/resolve.h"
#include "watcher/watcher.h"

struct name;
struct names;

/**
 * struct names_ops - what the bookkeeping asks and tells
 * @resolve:	see resolve_open(); without keeping it open for the caller
 * @unchanged:	see resolve_unchanged()
 * @leads_to:	see resolve_leads_to()
 * @watch_process: takes @pid_fd of @task; names_process_ended() is to be called
 *		when it ends. Return: a handle for @unwatch_process, NULL when
 *		it cannot be watched: then only the sweep of processes sees it.
 * @processes_full: would @watch_process refuse another process?
 * @changed:	new, or with other names than before
 * @gone:	without a name; freed when this returns
 * @pending:	a name waits for its mount: names_retry() from now on
 * @shortage:	a name could not be looked at for want of descriptors or memory:
 *		names_retry_short() later
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

/**
 * names_new() - @host: where the process lives, from resolve_host()
 * Return: 0 or -ENOMEM.
 */
int names_new(struct registry *registry, const struct resolution *host,
	      const struct names_ops *ops, void *user_data,
	      struct names **ret_names);
struct names *names_free(struct names *names);
struct tracked *names_host(const struct names *names);

/** names_add_dir() - Return: its index (0, 1, …) or -ENOMEM. */
int names_add_dir(struct names *names, const char *path);

/* Single events, in their order. @now_us: monotonic. */
void names_created(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);
void names_removed(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);

/** names_dir_gone() - unless a scan begins before names_flush(), its names are
 * gone */
void names_dir_gone(struct names *names, size_t dir);

/* A listing: begin, each entry, then what was not seen is gone. */
void names_scan_begin(struct names *names, size_t dir);
void names_scan_entry(struct names *names, size_t dir, const char *name,
		      uint64_t now_us);
void names_scan_end(struct names *names, size_t dir, uint64_t now_us);

/** names_lookup() - what a name leads to: of several directories the first
 * one's counts. NULL: to no namespace. */
struct tracked *names_lookup(const struct names *names, const char *text);

/** names_mounted() - something was mounted over the entry @name of @dir */
void names_mounted(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);

/** names_has_mount() - is it the mount by which a name leads to its namespace?
 */
bool names_has_mount(const struct names *names, uint64_t mount_id);

/** names_unmounted() - this mount went: looks at the name that it was over, or
 * at one link that leads to it */
void names_unmounted(struct names *names, uint64_t mount_id, uint64_t now_us);

/** names_need_retry() - is there a link, or a name that leads nowhere? What
 * they wait for can be mounted anywhere. */
bool names_need_retry(const struct names *names);

/** names_omitted() - was the directory longer than the limit? Then it is worth
 * another listing later. */
bool names_omitted(const struct names *names, size_t dir);

/** names_flush() - tells of namespaces that are without a name by now, at the
 * end of a batch of events */
void names_flush(struct names *names, uint64_t now_us);

/** names_flush_due() - would names_flush() tell of any? */
bool names_flush_due(const struct names *names);

/** names_process_ended() - the process behind a link did */
void names_process_ended(struct names *names, struct name *name,
			 uint64_t now_us);

/**
 * names_retry() - mounts changed: looks at young pending names again
 *
 * At links, too: what they lead to may have been unmounted. A bounded number.
 */
void names_retry(struct names *names, uint64_t now_us);

/**
 * names_retry_short() - looks again at names after a shortage, at most @max
 *
 * Return: 0: none is left; 1: there are more; -EAGAIN: still short, at the
 * first of them.
 */
int names_retry_short(struct names *names, size_t max, uint64_t now_us);

/** names_young() - is a pending name young enough to be waited for? */
bool names_young(const struct names *names, uint64_t now_us);

/* A sweep looks at every name again that leads through no process: begin, then
 * slices until false. */
void names_sweep_begin(struct names *names);
bool names_sweep_step(struct names *names, size_t max, uint64_t now_us);

/** names_has_processes() - is there a name that leads through a process? */
bool names_has_processes(const struct names *names);

/* A sweep of those: a process goes to another namespace without an event, and
 * the end of one that is not watched is not told. As names_sweep_begin(). */
void names_processes_begin(struct names *names);
bool names_processes_step(struct names *names, size_t max, uint64_t now_us);

/** names_recheck() - looks at the names of one namespace again; it may be
 * without one afterwards */
void names_recheck(struct names *names, struct tracked *tracked,
		   uint64_t now_us);

/** names_is_same() - is it the namespace that was found? */
bool names_is_same(const struct tracked *tracked,
		   const struct resolution *resolution);

size_t names_pending(const struct names *names,
		     struct watcher_pending *ret_pending, size_t max);

#endif
