// SPDX-License-Identifier: Apache-2.0
/* names.c - which name leads to which namespace
 *
 * A look at a name during a walk over a table can remove that name, or others,
 * from the table. So the walks keep their position in struct names, and
 * name_unlist() and name_free() move it on when they remove that very name.
 */
#include "watcher/names.h"

#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/name.h"

/* Names in one directory: ten times the namespaces of a large host. */
#define NAMES_MAX 65536

/* So many are looked at in one go when mounts change; the sweep looks at the
 * rest. */
#define RETRY_PENDING_MAX 256
#define RETRY_LINKS_MAX 64

/* A file that is no namespace after this long probably never will be. */
#define YOUNG_US (180 * USEC_PER_SEC)

/* The hash key's bytes: the directory's index, then the text. */
struct name_key {
	uint32_t dir;
	char text[NAME_BYTES_MAX + 1];
};

_Static_assert(offsetof(struct name, text) ==
		       offsetof(struct name, dir) + sizeof(uint32_t),
	       "the key lies in one piece");

static struct name *name_find(const struct names *names, size_t dir,
			      const char *text)
{
	struct name_key key = { .dir = (uint32_t)dir };
	size_t len = strlen(text);
	struct name *name;

	if (len > NAME_BYTES_MAX)
		return NULL;
	memcpy(key.text, text, len);
	/* NOLINTNEXTLINE: the analyzer thinks that the hash reads too far */
	HASH_FIND(hh, names->by_text, &key, sizeof(key.dir) + len, name);
	return name;
}

/* Leaves an entry out; the directory is listed again later. Return: NULL. */
static struct name *name_omit(struct directory *dir, const char *text,
			      const char *reason)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 2 };

	dir->omitted = true;
	if (log_ratelimit_ok(&limit))
		log_warning("directory '%s': %s; ignoring '%s'", dir->path,
			    reason, text);
	return NULL;
}

/* Return: the new name; NULL: there is no room for it. */
static struct name *name_add(struct names *names, size_t dir_index,
			     const char *text)
{
	struct directory *dir = &names->dirs[dir_index];
	size_t len = strlen(text);
	struct name *name;

	if (len > NAME_BYTES_MAX)
		return name_omit(dir, text, "a name is too long");
	if (dir->count >= NAMES_MAX)
		return name_omit(dir, text, "it has too many names");
	name = calloc(1, sizeof(*name) + len + 1);
	if (!name)
		return name_omit(dir, text, "out of memory");
	name->dir = (uint32_t)dir_index;
	memcpy(name->text, text, len + 1);
	name->round = dir->round;
	HASH_ADD_KEYPTR(hh, names->by_text, &name->dir, sizeof(name->dir) + len,
			name);
	if (!name->hh.tbl) {
		free(name);
		return name_omit(dir, text, "out of memory");
	}
	dir->count++;
	return name;
}

int names_new(struct registry *registry, const struct resolution *host,
	      const struct names_ops *ops, void *user_data,
	      struct names **ret_names)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names->registry = registry;
	names->ops = ops;
	names->user_data = user_data;
	registry->host = name_tracked_add(names, host->cookie, host);
	if (!registry->host) {
		free(names);
		return -ENOMEM;
	}
	registry->host->netns.host = true;
	registry->host->netns.since_us = 0;
	*ret_names = names;
	return 0;
}

struct names *names_free(struct names *names)
{
	struct name *name, *next;

	if (!names)
		return NULL;
	HASH_CLEAR(by_mount, names->by_mount);
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

struct tracked *names_lookup_in(const struct names *names, size_t dir,
				const char *text)
{
	const struct name *name = name_find(names, dir, text);

	return name ? name->tracked : NULL;
}

struct tracked *names_lookup(const struct names *names, const char *text)
{
	for (size_t dir = 0; dir < names->n_dirs; dir++) {
		struct tracked *tracked = names_lookup_in(names, dir, text);

		if (tracked)
			return tracked;
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

	/* What the name led to before does not matter: the entry is new. */
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

/* Frees the names of @dir that its last listing did not have, or all. */
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

void names_mounted(struct names *names, size_t dir, const char *text,
		   uint64_t now_us)
{
	struct name *name = name_find(names, dir, text);

	/* If there is no name yet, the event of the entry is on its way. */
	if (name)
		name_resolve(names, name, now_us);
}

static struct name *find_by_mount(const struct names *names, uint64_t mount_id)
{
	struct name *name;

	HASH_FIND(by_mount, names->by_mount, &mount_id, sizeof(mount_id), name);
	return name;
}

bool names_has_mount(const struct names *names, uint64_t mount_id)
{
	return find_by_mount(names, mount_id);
}

void names_unmounted(struct names *names, uint64_t mount_id, uint64_t now_us)
{
	struct name *name = find_by_mount(names, mount_id);

	if (name)
		name_resolve(names, name, now_us);
}

bool names_need_retry(const struct names *names)
{
	return names->links || names->pending;
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

int names_retry_short(struct names *names, size_t max, uint64_t now_us)
{
	unsigned long before = names->n_shortages;
	struct name *name;

	while (max-- > 0 && (name = names->shorts)) {
		name_forget_short(names, name);
		name_resolve(names, name, now_us);
		if (names->n_shortages != before)
			return -EAGAIN;
	}
	return names->shorts != NULL;
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
	name_recheck_all(names, tracked, now_us);
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

size_t names_unreadable(const struct names *names)
{
	const struct name *name;
	size_t n = 0;

	DL_FOREACH (names->pending, name)
		n += name->error != 0 && name->error != ENOLINK &&
		     name->error != EMEDIUMTYPE;
	return n;
}
