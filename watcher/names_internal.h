/* SPDX-License-Identifier: Apache-2.0 */
/* names_internal.h - what the two halves of names.h share
 *
 * names.c keeps the tables and walks over them; name.c looks at one name and
 * makes it true what was found.
 */
#ifndef WATCHER_NAMES_INTERNAL_H
#define WATCHER_NAMES_INTERNAL_H

#include "watcher/bindings.h"
#include "watcher/names.h"

#define NAME_BYTES_MAX 255 /* NAME_MAX of every Linux file system */

struct name {
	struct tracked *tracked; /* NULL: pending */
	uint64_t mount_id;
	bool is_link;
	bool has_task; /* it leads through a process */
	struct binding *binding;
	void *process; /* what watch_process() returned */
	const char *reason;
	int error;
	uint64_t since_us;
	unsigned long round; /* the listing that saw it last */
	struct name *prev, *next; /* pending, or in links or processes */
	bool is_short;
	struct name *short_prev, *short_next;
	UT_hash_handle hh;
	UT_hash_handle by_mount; /* with a mount_id */
	uint32_t dir; /* with text the hash key */
	char text[];
};

struct directory {
	char *path;
	size_t count;
	bool gone;
	bool omitted;
	unsigned long round;
};

struct names {
	struct registry *registry;
	struct tracked *host;
	const struct names_ops *ops;
	void *user_data;
	struct directory *dirs;
	size_t n_dirs;
	struct name *by_text;
	struct name *by_mount;
	struct name *pending; /* newest first */
	size_t n_pending;
	struct name *links; /* linked names that are symbolic links */
	struct name *processes; /* and those that lead through a process */
	struct bindings bindings;
	struct name *shorts; /* could not be looked at: a shortage */
	unsigned long n_shortages; /* how often that was */
	struct tracked *nameless;
	uint64_t last_counted_id;
	struct name *walk; /* next in the walk of a list */
	struct name *sweep; /* next in the sweep */
	struct name *sweep_processes; /* next in the sweep of processes */
};

/** name_unwatch() - its process's end is not waited for any more */
void name_unwatch(struct names *names, struct name *name);

/** name_detach() - @name leads to its namespace no more. It is in no list
 * afterwards. */
void name_detach(struct names *names, struct name *name, uint64_t now_us);

/** name_forget_short() - it need not be looked at again for a shortage */
void name_forget_short(struct names *names, struct name *name);

void name_free(struct names *names, struct name *name, uint64_t now_us);

/** name_tracked_add() - a namespace that no name leads to yet. Return: NULL:
 * out of memory. */
struct tracked *name_tracked_add(struct names *names, uint64_t id,
				 const struct resolution *resolution);

/** name_resolve() - looks at @name again; it may be freed */
void name_resolve(struct names *names, struct name *name, uint64_t now_us);

/** name_check() - as name_resolve(), but only when the same mount is not there
 * any more */
void name_check(struct names *names, struct name *name, uint64_t now_us);

#endif
