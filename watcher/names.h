/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - which name leads to which namespace
 *
 * Bookkeeping only: what a name leads to is asked through struct names_ops.
 * Every @now_us is monotonic time. None of these functions fails for want of
 * memory: a name that finds none is left out, or pending, and is looked at
 * again later. Each of them may call the functions of struct names_ops.
 */
#ifndef WATCHER_NAMES_H
#define WATCHER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/names_ops.h"
#include "watcher/registry.h"
#include "watcher/resolve.h"
#include "watcher/status.h"

struct names;

/**
 * names_new() - an empty table of names
 * @registry:	gets the host's namespace now, and each that a name leads to;
 *		outlives the names
 * @host:	the namespace that the process lives in, from resolve_host()
 * @ops:	borrowed, and so is @user_data: both outlive the names
 * @ret_names:	the caller's, to be freed with names_free()
 *
 * Return: 0 or -ENOMEM.
 */
int names_new(struct registry *registry, const struct resolution *host,
	      const struct names_ops *ops, void *user_data,
	      struct names **ret_names);

/** names_free() - forgets all names, without telling; what was watched is
 * unwatched. NULL is fine. Return: NULL. */
struct names *names_free(struct names *names);

/**
 * names_add_dir() - adds a directory of names
 * @path:	copied
 *
 * Return: its index (0, 1, …) for the functions below; -ENOMEM.
 */
int names_add_dir(struct names *names, const char *path);

/** names_created() - the entry @name of the directory @dir was made, or another
 * was moved in its place */
void names_created(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);

/** names_removed() - the entry @name of the directory @dir went */
void names_removed(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);

/** names_dir_gone() - the directory went: if no listing of it begins before
 * names_flush(), its names are gone */
void names_dir_gone(struct names *names, size_t dir);

/** names_scan_begin() - a listing of the directory begins, from its start */
void names_scan_begin(struct names *names, size_t dir);

/** names_scan_entry() - the listing has the entry @name; "." and ".." are not
 * to be given */
void names_scan_entry(struct names *names, size_t dir, const char *name,
		      uint64_t now_us);

/** names_scan_end() - the listing is complete: names that it did not have are
 * gone. Not to be called when it was given up. */
void names_scan_end(struct names *names, size_t dir, uint64_t now_us);

/**
 * names_lookup() - what a name leads to
 *
 * Return: the namespace; of several directories the first one's counts. NULL:
 * the name leads to no namespace.
 */
struct tracked *names_lookup(const struct names *names, const char *text);

/** names_lookup_in() - Return: the namespace that the entry @text of the
 * directory @dir leads to; NULL: it leads to none. */
struct tracked *names_lookup_in(const struct names *names, size_t dir,
				const char *text);

/** names_mounted() - something was mounted over the entry @name of @dir */
void names_mounted(struct names *names, size_t dir, const char *name,
		   uint64_t now_us);

/** names_has_mount() - Return: does a name lead to its namespace by this mount?
 * @mount_id is unique (STATX_MNT_ID_UNIQUE). */
bool names_has_mount(const struct names *names, uint64_t mount_id);

/** names_unmounted() - this mount went: looks again at a name that led to its
 * namespace by it */
void names_unmounted(struct names *names, uint64_t mount_id, uint64_t now_us);

/** names_need_retry() - Return: is there a link, or a name that leads nowhere?
 * What it waits for can be mounted anywhere. */
bool names_need_retry(const struct names *names);

/** names_omitted() - Return: were entries of the directory left out, for the
 * limit or for want of memory? Then it is to be listed again later. */
bool names_omitted(const struct names *names, size_t dir);

/** names_flush() - tells of the namespaces that have lost their last name, at
 * the end of a batch of events */
void names_flush(struct names *names, uint64_t now_us);

/** names_flush_due() - Return: would names_flush() tell of any namespace? */
bool names_flush_due(const struct names *names);

/** names_process_ended() - the process that @name leads through has ended */
void names_process_ended(struct names *names, struct name *name,
			 uint64_t now_us);

/**
 * names_retry() - mounts changed: looks again at young pending names
 *
 * And at links: what they lead to may have been unmounted. A bounded number of
 * both.
 */
void names_retry(struct names *names, uint64_t now_us);

/**
 * names_retry_short() - looks again at names after a shortage, at most @max
 *
 * Return: 0: none is left; 1: there are more; -EAGAIN: there still are no
 * descriptors or no memory, as the first of them showed.
 */
int names_retry_short(struct names *names, size_t max, uint64_t now_us);

/** names_young() - Return: is a pending name young enough to be waited for? */
bool names_young(const struct names *names, uint64_t now_us);

/** names_sweep_begin() - begins to look again at every name that leads through
 * no process */
void names_sweep_begin(struct names *names);

/** names_sweep_step() - looks at the next @max of them. Return: are there
 * more? */
bool names_sweep_step(struct names *names, size_t max, uint64_t now_us);

/** names_has_processes() - Return: does a name lead through a process? */
bool names_has_processes(const struct names *names);

/** names_processes_begin() - begins to look again at every name that leads
 * through a process: no event tells that one went to another namespace, or
 * that one ended which is not watched */
void names_processes_begin(struct names *names);

/** names_processes_step() - as names_sweep_step(), for these names */
bool names_processes_step(struct names *names, size_t max, uint64_t now_us);

/** names_recheck() - looks again at all names of @tracked, which may have none
 * afterwards; names_flush() then tells so */
void names_recheck(struct names *names, struct tracked *tracked,
		   uint64_t now_us);

/**
 * names_pending() - lists the names that lead to no namespace
 * @ret_pending: the first @max of them, the newest first
 *
 * Return: how many there are in all.
 */
size_t names_pending(const struct names *names,
		     struct watcher_pending *ret_pending, size_t max);

/** names_unreadable() - how many of those are there, and cannot be opened */
size_t names_unreadable(const struct names *names);

#endif
