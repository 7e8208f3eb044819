// SPDX-License-Identifier: Apache-2.0
/* names.c - which name leads to which namespace
 *
 * Theory of operation: a name is either linked to a namespace, or pending:
 * it is there, but leads to none (yet). Whatever is told about a name has it
 * resolved again; what the answer says is then made true.
 *
 * An identity decides whether two names lead to the same namespace: the
 * cookie, which is never used twice. On a kernel without cookies it is device
 * and inode, and an inode number is used again soon. So there a namespace is
 * recognized only through a name that leads to it now; one whose last name
 * went is not found any more, and what comes after it is another.
 *
 * A namespace that loses its last name is nameless until names_flush() at the
 * end of the batch of events. A rename is two events, and so is each
 * remounting; when the namespace has a name again by then, nobody was told.
 *
 * A link that leads through a process is bound to it (bindings.c). When it
 * leads to another process with the same number, it is pending, until it is
 * made anew.
 *
 * Names leave the tables while these are being walked (a resolution can show
 * that the name is gone, or that others are). Walks therefore keep their
 * position in struct names, and name_unlist() and name_free() move it on.
 */
#include "watcher/names.h"

#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/bindings.h"

/* Names in one directory: what a host has of namespaces, times ten. */
#define NAMES_MAX 65536

/* Looked at in one go when mounts change; the sweep does the rest. */
#define RETRY_PENDING_MAX 256
#define RETRY_LINKS_MAX 64

/* A file that is no namespace after this long probably never will be. */
#define YOUNG_US (180 * USEC_PER_SEC)

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
	UT_hash_handle hh;
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
	struct name *pending; /* newest first */
	size_t n_pending;
	struct name *links; /* linked names that are symbolic links */
	struct name *processes; /* and those that lead through a process */
	struct bindings bindings;
	struct tracked *nameless;
	uint64_t last_counted_id;
	struct name *walk; /* next in the walk of a list */
	struct name *sweep; /* next in the sweep */
	struct name *sweep_processes; /* next in the sweep of processes */
};

/* The hash key's bytes: the directory's index, then the text. */
struct name_key {
	uint32_t dir;
	char text[NAME_BYTES_MAX + 1];
};

_Static_assert(offsetof(struct name, text) ==
		       offsetof(struct name, dir) + sizeof(uint32_t),
	       "the key lies in one piece");

static struct name *name_of_text(const char *text)
{
	return (struct name *)(void *)((char *)(uintptr_t)text -
				       offsetof(struct name, text));
}

static struct name *name_find(const struct names *names, size_t dir,
			      const char *text)
{
	struct name_key key = { .dir = (uint32_t)dir };
	size_t len = strlen(text);
	struct name *name;

	if (len > NAME_BYTES_MAX)
		return NULL;
	memcpy(key.text, text, len);
	/* NOLINTNEXTLINE: takes the hash to read beyond the key's length */
	HASH_FIND(hh, names->by_text, &key, sizeof(key.dir) + len, name);
	return name;
}

/* The list of linked names that @name is in while it is linked */
static struct name **list_of_links(struct names *names, const struct name *name)
{
	return name->has_task ? &names->processes : &names->links;
}

/* Takes @name out of the list that it is in. */
static void name_unlist(struct names *names, struct name *name)
{
	struct name **list;

	if (names->walk == name)
		names->walk = name->next;
	if (names->sweep_processes == name)
		names->sweep_processes = name->next;
	if (!name->tracked && name->reason) {
		DL_DELETE(names->pending, name);
		names->n_pending--;
		name->reason = NULL;
	} else if (name->tracked && name->is_link) {
		list = list_of_links(names, name);
		DL_DELETE(*list, name);
	}
}

static void name_unwatch(struct names *names, struct name *name)
{
	if (name->process)
		names->ops->unwatch_process(name->process, names->user_data);
	name->process = NULL;
}

static void netns_add_name(struct netns *netns, const struct netns_name *entry)
{
	netns->names[netns->n_names++] = *entry;
	netns->names_version++;
}

static void netns_remove_name(struct netns *netns, const char *text)
{
	size_t i = 0;

	while (netns->names[i].name != text)
		i++;
	netns->n_names--;
	memmove(&netns->names[i], &netns->names[i + 1],
		(netns->n_names - i) * sizeof(*netns->names));
	netns->names_version++;
}

/* @name leads to its namespace no more. It is in no list afterwards. */
static void name_detach(struct names *names, struct name *name, uint64_t now_us)
{
	struct tracked *tracked = name->tracked;

	name_unlist(names, name);
	name_unwatch(names, name);
	if (!tracked)
		return;
	name->tracked = NULL;
	netns_remove_name(&tracked->netns, name->text);
	if (tracked->netns.n_names > 0 || tracked->netns.host) {
		names->ops->changed(tracked, names->user_data);
		return;
	}
	tracked->nameless = true;
	tracked->nameless_since_us = now_us;
	tracked->last_name = strdup(name->text);
	DL_APPEND2(names->nameless, tracked, nameless_prev, nameless_next);
}

static void name_free(struct names *names, struct name *name, uint64_t now_us)
{
	name_detach(names, name, now_us);
	name->binding = bindings_put(&names->bindings, name->binding);
	if (names->sweep == name)
		names->sweep = name->hh.next;
	names->dirs[name->dir].count--;
	HASH_DELETE(hh, names->by_text, name);
	free(name);
}

static void tracked_has_name_again(struct names *names, struct tracked *tracked)
{
	if (!tracked->nameless)
		return;
	tracked->nameless = false;
	free(tracked->last_name);
	tracked->last_name = NULL;
	DL_DELETE2(names->nameless, tracked, nameless_prev, nameless_next);
}

/* Return: 0 or -ENOMEM, with @name detached. */
static int name_attach(struct names *names, struct name *name,
		       struct tracked *tracked,
		       const struct resolution *resolution)
{
	struct netns *netns = &tracked->netns;
	size_t n = netns->n_names;
	struct netns_name *array = netns->names;
	struct name **list;

	if ((n & (n - 1)) == 0) { /* a power of two or none: it is full */
		array = reallocarray(array, n ? 2 * n : 1, sizeof(*array));
		if (!array)
			return -ENOMEM;
		netns->names = array;
	}
	tracked_has_name_again(names, tracked);
	netns_add_name(netns, &(struct netns_name){
				      .dir = names->dirs[name->dir].path,
				      .name = name->text,
			      });
	name->tracked = tracked;
	name->mount_id = resolution->mount_id;
	name->is_link = resolution->is_link;
	name->has_task = resolution->task.number != 0;
	if (name->is_link) {
		list = list_of_links(names, name);
		DL_PREPEND(*list, name);
	}
	names->ops->changed(tracked, names->user_data);
	return 0;
}

static void name_set_pending(struct names *names, struct name *name,
			     const char *reason, int error, uint64_t now_us)
{
	bool was_pending = !name->tracked && name->reason;

	if (!was_pending) {
		name_detach(names, name, now_us);
		name->since_us = now_us;
		DL_PREPEND(names->pending, name);
		names->n_pending++;
	}
	name->reason = reason;
	name->error = error;
	if (!was_pending)
		names->ops->pending(names->user_data);
}

bool names_is_same(const struct tracked *tracked,
		   const struct resolution *resolution)
{
	if (resolution->cookie)
		return tracked->netns.id == resolution->cookie;
	return tracked->dev == resolution->dev &&
	       tracked->inode == resolution->inode;
}

static struct tracked *tracked_add(struct names *names, uint64_t id,
				   const struct resolution *resolution)
{
	struct tracked *tracked = registry_add(names->registry, id);

	if (!tracked)
		return NULL;
	tracked->dev = resolution->dev;
	tracked->inode = resolution->inode;
	return tracked;
}

/* Without cookies: by a name that leads to it at this moment. */
static struct tracked *find_by_inode(struct names *names,
				     const struct resolution *resolution,
				     uint64_t now_us)
{
	struct tracked *tracked;

	if (names_is_same(names->host, resolution))
		return names->host;
	for (tracked = names->registry->by_id; tracked;
	     tracked = tracked->by_id.next) {
		if (tracked->netns.n_names == 0 || tracked->netns.host ||
		    !names_is_same(tracked, resolution))
			continue;
		names_recheck(names, tracked, now_us);
		if (tracked->netns.n_names > 0)
			return tracked;
	}
	return NULL;
}

static struct tracked *find_or_add(struct names *names,
				   const struct resolution *resolution,
				   uint64_t now_us)
{
	struct tracked *tracked;
	uint64_t id = resolution->cookie;

	if (id)
		tracked = registry_find(names->registry, id);
	else
		tracked = find_by_inode(names, resolution, now_us);
	if (tracked)
		return tracked;
	if (!id)
		id = ID_COUNTED | ++names->last_counted_id;
	return tracked_add(names, id, resolution);
}

/* Nobody was told of one that could not be given its first name. */
static void tracked_drop_unnamed(struct names *names, struct tracked *tracked)
{
	if (tracked && tracked->netns.n_names == 0 && !tracked->nameless &&
	    !tracked->netns.host)
		registry_remove(names->registry, tracked);
}

/* Makes it true that @name leads to where @resolution says. */
static void name_apply(struct names *names, struct name *name,
		       const struct resolution *resolution, uint64_t now_us)
{
	struct tracked *tracked = name->tracked;

	if (tracked && names_is_same(tracked, resolution) &&
	    name->is_link == resolution->is_link &&
	    name->has_task == (resolution->task.number != 0)) {
		name->mount_id = resolution->mount_id;
	} else {
		name_detach(names, name, now_us);
		tracked = find_or_add(names, resolution, now_us);
		if (!tracked ||
		    name_attach(names, name, tracked, resolution) < 0) {
			if (resolution->pid_fd >= 0)
				(void)close(resolution->pid_fd);
			tracked_drop_unnamed(names, tracked);
			name_set_pending(names, name, "out of memory", ENOMEM,
					 now_us);
			return;
		}
	}
	name_unwatch(names, name);
	if (resolution->pid_fd >= 0)
		name->process = names->ops->watch_process(&resolution->task,
							  resolution->pid_fd,
							  name,
							  names->user_data);
}

/*
 * Binds @name to the process that it leads through, if it does. Return: 0;
 * -ENOLINK: it is bound to one that had the number before; -ENOMEM.
 */
static int name_bind(struct names *names, struct name *name,
		     const struct resolution *resolution,
		     const char **ret_reason)
{
	struct binding *binding = NULL;

	if (resolution->task.number != 0) {
		binding = bindings_get(&names->bindings, resolution->link,
				       &resolution->task);
		if (!binding) {
			*ret_reason = "out of memory";
			return -ENOMEM;
		}
	}
	(void)bindings_put(&names->bindings, name->binding); /* NULL */
	name->binding = binding;
	if (!binding || binding_is(binding, &resolution->task))
		return 0;
	*ret_reason = "dangling link (its process has ended, another has the "
		      "number)";
	return -ENOLINK;
}

/* Errors that tell about us, and nothing about the name. */
static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Looks at @name again; it may be freed. */
static void name_resolve(struct names *names, struct name *name,
			 uint64_t now_us)
{
	struct resolution resolution = { .pid_fd = -1 };
	const char *reason = NULL;
	int r = names->ops->resolve(names->dirs[name->dir].path, name->text,
				    &resolution, &reason, names->user_data);

	if (r == 0) {
		r = name_bind(names, name, &resolution, &reason);
		if (r < 0)
			cleanup_close(&resolution.pid_fd);
	}
	if (r == 0)
		name_apply(names, name, &resolution, now_us);
	else if (r == -ENOENT)
		name_free(names, name, now_us);
	else if (name->tracked && is_shortage(r))
		names->ops->pending(names->user_data); /* look again later */
	else
		name_set_pending(names, name, reason, -r, now_us);
}

/* As above, but only when the same mount is not there any more. */
static void name_check(struct names *names, struct name *name, uint64_t now_us)
{
	if (name->tracked && name->mount_id &&
	    names->ops->unchanged(names->dirs[name->dir].path, name->text,
				  name->mount_id, names->user_data))
		return;
	name_resolve(names, name, now_us);
}

/* Return: the new name, NULL: there is no room for it. */
static struct name *name_add(struct names *names, size_t dir_index,
			     const char *text)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 2 };
	struct directory *dir = &names->dirs[dir_index];
	size_t len = strlen(text);
	struct name *name = NULL;

	if (len <= NAME_BYTES_MAX && dir->count < NAMES_MAX)
		name = calloc(1, sizeof(*name) + len + 1);
	if (!name) {
		dir->omitted = true;
		if (log_ratelimit_ok(&limit))
			log_warning("directory '%s' has more than %u names, or "
				    "there is no memory for '%s'; ignoring it",
				    dir->path, NAMES_MAX, text);
		return NULL;
	}
	name->dir = (uint32_t)dir_index;
	memcpy(name->text, text, len + 1);
	name->round = dir->round;
	HASH_ADD_KEYPTR(hh, names->by_text, &name->dir, sizeof(name->dir) + len,
			name);
	if (!name->hh.tbl) {
		free(name);
		return NULL;
	}
	dir->count++;
	return name;
}

int names_new(struct registry *registry, const struct resolution *host,
	      const struct names_ops *ops, void *user_data,
	      struct names **ret_names)
{
	struct names *names = calloc(1, sizeof(*names));
	uint64_t id = host->cookie;

	if (!names)
		return -ENOMEM;
	names->registry = registry;
	names->ops = ops;
	names->user_data = user_data;
	if (!id)
		id = ID_COUNTED | ++names->last_counted_id;
	names->host = tracked_add(names, id, host);
	if (!names->host) {
		free(names);
		return -ENOMEM;
	}
	names->host->netns.host = true;
	*ret_names = names;
	return 0;
}

struct names *names_free(struct names *names)
{
	struct name *name, *next;

	if (!names)
		return NULL;
	HASH_ITER (hh, names->by_text, name, next) {
		name_unwatch(names, name);
		HASH_DELETE(hh, names->by_text, name);
		free(name);
	}
	bindings_done(&names->bindings);
	for (size_t i = 0; i < names->n_dirs; i++)
		free(names->dirs[i].path);
	free(names->dirs);
	free(names);
	return NULL;
}

struct tracked *names_host(const struct names *names)
{
	return names->host;
}

struct tracked *names_lookup(const struct names *names, const char *text)
{
	for (size_t dir = 0; dir < names->n_dirs; dir++) {
		const struct name *name = name_find(names, dir, text);

		if (name && name->tracked)
			return name->tracked;
	}
	return NULL;
}

int names_add_dir(struct names *names, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct directory *dirs =
		reallocarray(names->dirs, names->n_dirs + 1, sizeof(*dirs));

	if (dirs)
		names->dirs = dirs;
	if (!dirs || !copy)
		return -ENOMEM;
	dirs[names->n_dirs] = (struct directory){ .path = TAKE_PTR(copy) };
	return (int)names->n_dirs++;
}

void names_created(struct names *names, size_t dir, const char *text,
		   uint64_t now_us)
{
	struct name *name = name_find(names, dir, text);

	/* Whatever was there before, this is something else. */
	if (name)
		name_detach(names, name, now_us);
	else
		name = name_add(names, dir, text);
	if (name)
		name_resolve(names, name, now_us);
}

void names_removed(struct names *names, size_t dir, const char *text,
		   uint64_t now_us)
{
	struct name *name = name_find(names, dir, text);

	if (name)
		name_free(names, name, now_us);
}

void names_dir_gone(struct names *names, size_t dir)
{
	names->dirs[dir].gone = true;
}

void names_scan_begin(struct names *names, size_t dir)
{
	names->dirs[dir].gone = false;
	names->dirs[dir].omitted = false;
	names->dirs[dir].round++;
}

void names_scan_entry(struct names *names, size_t dir, const char *text,
		      uint64_t now_us)
{
	struct name *name = name_find(names, dir, text);

	if (!name)
		name = name_add(names, dir, text);
	if (!name)
		return;
	name->round = names->dirs[dir].round;
	name_check(names, name, now_us);
}

/* Frees what the last listing of @dir did not see, or all of it. */
static void remove_unseen(struct names *names, size_t dir, bool all,
			  uint64_t now_us)
{
	struct name *name, *next;

	HASH_ITER (hh, names->by_text, name, next) {
		if (name->dir == dir &&
		    (all || name->round != names->dirs[dir].round))
			name_free(names, name, now_us);
	}
}

void names_scan_end(struct names *names, size_t dir, uint64_t now_us)
{
	remove_unseen(names, dir, /* all= */ false, now_us);
}

bool names_omitted(const struct names *names, size_t dir)
{
	return names->dirs[dir].omitted;
}

void names_flush(struct names *names, uint64_t now_us)
{
	struct tracked *tracked;

	for (size_t i = 0; i < names->n_dirs; i++) {
		if (!names->dirs[i].gone)
			continue;
		names->dirs[i].gone = false;
		remove_unseen(names, i, /* all= */ true, now_us);
	}
	while ((tracked = names->nameless)) {
		tracked->nameless = false;
		DL_DELETE2(names->nameless, tracked, nameless_prev,
			   nameless_next);
		names->ops->gone(tracked, names->user_data);
	}
}

bool names_flush_due(const struct names *names)
{
	return names->nameless;
}

void names_process_ended(struct names *names, struct name *name,
			 uint64_t now_us)
{
	name_unwatch(names, name);
	name_resolve(names, name, now_us);
}

static bool is_young(const struct name *name, uint64_t now_us)
{
	return now_us < name->since_us + YOUNG_US;
}

void names_retry(struct names *names, uint64_t now_us)
{
	struct name *name;
	size_t n = 0;

	names->walk = names->pending;
	while ((name = names->walk) && n++ < RETRY_PENDING_MAX &&
	       is_young(name, now_us)) {
		names->walk = name->next;
		name_resolve(names, name, now_us);
	}
	n = 0;
	names->walk = names->links;
	while ((name = names->walk) && n++ < RETRY_LINKS_MAX) {
		names->walk = name->next;
		name_resolve(names, name, now_us);
	}
	names->walk = NULL;
}

bool names_young(const struct names *names, uint64_t now_us)
{
	return names->pending && is_young(names->pending, now_us);
}

void names_sweep_begin(struct names *names)
{
	names->sweep = names->by_text;
}

bool names_sweep_step(struct names *names, size_t max, uint64_t now_us)
{
	struct name *name;

	while (max-- > 0 && (name = names->sweep)) {
		names->sweep = name->hh.next;
		if (!name->tracked || !name->has_task)
			name_check(names, name, now_us);
	}
	return names->sweep != NULL;
}

bool names_has_processes(const struct names *names)
{
	return names->processes;
}

void names_processes_begin(struct names *names)
{
	names->sweep_processes = names->processes;
}

/* May the process have ended, or gone to another namespace? */
static bool is_process_to_check(const struct names *names,
				const struct name *name)
{
	return (!name->process &&
		!names->ops->processes_full(names->user_data)) ||
	       !names->ops->leads_to(names->dirs[name->dir].path, name->text,
				     name->tracked->inode, names->user_data);
}

bool names_processes_step(struct names *names, size_t max, uint64_t now_us)
{
	struct name *name;

	while (max-- > 0 && (name = names->sweep_processes)) {
		names->sweep_processes = name->next;
		if (is_process_to_check(names, name))
			name_resolve(names, name, now_us);
	}
	return names->sweep_processes != NULL;
}

void names_recheck(struct names *names, struct tracked *tracked,
		   uint64_t now_us)
{
	/* From the end: a name that leads elsewhere leaves the array. */
	for (size_t i = tracked->netns.n_names; i-- > 0;) {
		/* One answer can have shown that others left, too. */
		if (i < tracked->netns.n_names)
			name_resolve(names,
				     name_of_text(tracked->netns.names[i].name),
				     now_us);
	}
}

size_t names_pending(const struct names *names,
		     struct watcher_pending *ret_pending, size_t max)
{
	const struct name *name;
	size_t n = 0;

	DL_FOREACH (names->pending, name) {
		if (n == max)
			break;
		ret_pending[n++] = (struct watcher_pending){
			.dir = names->dirs[name->dir].path,
			.name = name->text,
			.reason = name->reason,
			.error = name->error,
			.since_us = name->since_us,
		};
	}
	return names->n_pending;
}
