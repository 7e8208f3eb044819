/* SPDX-License-Identifier: Apache-2.0 */
/* name.h - one name, and the tables that it is in; for names.c and name.c
 *
 * names.c walks over the tables; name.c looks at one name and makes true what
 * was found.
 */
#ifndef WATCHER_NAME_H
#define WATCHER_NAME_H

#include "watcher/bindings.h"
#include "watcher/names_ops.h"
#include "watcher/registry.h"
#include "watcher/resolve.h"

#define NAME_BYTES_MAX 255 /* NAME_MAX of every Linux file system */

/**
 * struct name - an entry of a watched directory
 * @tracked:	the namespace that it leads to; NULL: it is pending
 * @mount_id:	of the mount by which it leads there; 0: not known
 * @is_link:	it is a symbolic link
 * @has_task:	the link leads through a process
 * @binding:	the process that the link is bound to, or NULL
 * @process:	what watch_process() returned, or NULL
 * @reason:	while pending: why; static text. NULL before the first look.
 * @error:	while pending: positive errno
 * @since_us:	while pending: since when; monotonic
 * @round:	the last listing of its directory that had it
 * @prev, @next: in the list of pending names, or while it leads to a
 *		namespace of links, or of links through processes
 * @is_short:	it is in the list of names to be looked at after a shortage
 * @by_mount:	its place in the table by mounts, with a @mount_id
 * @dir:	its directory's index; with @text, behind it, the hash key
 */
struct name {
	struct tracked *tracked;
	uint64_t mount_id;
	bool is_link;
	bool has_task;
	struct binding *binding;
	void *process;
	const char *reason;
	int error;
	uint64_t since_us;
	unsigned long round;
	struct name *prev, *next;
	bool is_short;
	struct name *short_prev, *short_next;
	UT_hash_handle hh;
	UT_hash_handle by_mount;
	uint32_t dir;
	char text[];
};

/**
 * struct directory - a watched directory
 * @count:	names that it has
 * @gone:	it went, and no listing has begun since
 * @omitted:	names were left out since the last listing began
 * @round:	the number of that listing
 */
struct directory {
	char *path;
	size_t count;
	bool gone;
	bool omitted;
	unsigned long round;
};

/**
 * struct names - the names, and the lists that they are in
 * @pending:	names that lead to no namespace, the newest first
 * @links:	names that are links and lead to a namespace through no process
 * @processes:	names that are links and lead to one through a process
 * @shorts:	names that there were no descriptors or no memory to look at
 * @n_shortages: how often that was
 * @nameless:	namespaces that lost their last name since names_flush()
 * @last_counted_id: of a namespace, where the kernel has no cookies
 * @walk, @sweep, @sweep_processes: the next name in a walk over a list, in the
 *		sweep over all names, in the sweep over @processes; moved on
 *		when that name leaves its list
 */
struct names {
	struct registry *registry;
	const struct names_ops *ops;
	void *user_data;
	struct directory *dirs;
	size_t n_dirs;
	struct name *by_text;
	struct name *by_mount;
	struct name *pending;
	size_t n_pending;
	struct name *links;
	struct name *processes;
	struct bindings bindings;
	struct name *shorts;
	unsigned long n_shortages;
	struct tracked *nameless;
	uint64_t last_counted_id;
	struct name *walk;
	struct name *sweep;
	struct name *sweep_processes;
};

/** name_unwatch() - stops waiting for the end of @name's process, if it is
 * watched */
void name_unwatch(struct names *names, struct name *name);

/** name_detach() - @name leads to its namespace no more. It is in no list
 * afterwards, except that of shortages. Tells if the namespace has another
 * name; if not, it is nameless. */
void name_detach(struct names *names, struct name *name, uint64_t now_us);

/** name_forget_short() - @name need not be looked at again for a shortage */
void name_forget_short(struct names *names, struct name *name);

/** name_free() - detaches @name, takes it out of all tables, and frees it */
void name_free(struct names *names, struct name *name, uint64_t now_us);

/**
 * name_tracked_add() - adds a namespace that no name leads to yet
 * @id:		its cookie; 0: the kernel has none, a number is given
 *
 * Return: the namespace, the registry's; NULL: out of memory.
 */
struct tracked *name_tracked_add(struct names *names, uint64_t id,
				 const struct resolution *resolution);

/** name_resolve() - looks at @name again, and makes true what is found; @name
 * may be freed afterwards */
void name_resolve(struct names *names, struct name *name, uint64_t now_us);

/** name_check() - as name_resolve(), unless the same mount still is there */
void name_check(struct names *names, struct name *name, uint64_t now_us);

/** name_recheck_all() - as name_resolve(), for all names of @tracked */
void name_recheck_all(struct names *names, struct tracked *tracked,
		      uint64_t now_us);

#endif
