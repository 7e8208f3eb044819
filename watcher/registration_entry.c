// SPDX-License-Identifier: Apache-2.0
/* registration_entry.c - one registration, and the tables that it is in */
#include "watcher/registration_entry.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include "common/util.h"
#include "watcher/locate.h"
#include "watcher/processes.h"
#include "watcher/shares.h"
#include "watcher/told.h"

#define NAME_BYTES_MAX 255 /* as of a file */
#define SUFFIX_MAX sizeof("-18446744073709551615")
#define USER_MAX sizeof("@4294967295")

static const char reason_many[] = "there are the most containers";
static const char reason_many_processes[] =
	"the most processes are watched: they may take an eighth of the "
	"descriptors";
static const char reason_memory[] = "out of memory";
static const char reason_changed[] = "changed while it was looked at";

struct entry *entry_by_id(const struct registrations *registrations,
			  uint64_t id)
{
	struct entry *entry;

	HASH_FIND(by_id, registrations->by_id, &id, sizeof(id), entry);
	return entry;
}

struct entry *entry_by_name(const struct registrations *registrations,
			    const char *name)
{
	struct entry *entry;

	HASH_FIND(by_name, registrations->by_name, name, strlen(name), entry);
	return entry;
}

struct group *entry_group(const struct registrations *registrations,
			  uint64_t netns_id)
{
	struct group *group;

	HASH_FIND(hh, registrations->groups, &netns_id, sizeof(netns_id),
		  group);
	return group;
}

/* Return: the key, the caller's; NULL: out of memory. */
char *entry_key(uid_t uid, const struct container *container)
{
	char *key;
	int n = *container->id
			? asprintf(&key, "%u id %s", uid, container->id)
			: asprintf(&key, "%u name %zu %s%s", uid,
				   strlen(container->pod_namespace),
				   container->pod_namespace, container->name);

	return n < 0 ? NULL : key;
}

struct entry *entry_by_key(const struct registrations *registrations,
			   const char *key)
{
	struct entry *entry;

	HASH_FIND(by_key, registrations->by_key, key, strlen(key), entry);
	return entry;
}

static void set_held(struct entry *entry, int fd)
{
	struct registrations *registrations = entry->owner;

	if (entry->held_fd >= 0) {
		(void)close(entry->held_fd); /* a namespace: nothing is lost */
		registrations->n_held--;
	}
	entry->held_fd = fd;
	if (fd >= 0)
		registrations->n_held++;
}

/* The name is still in its table. */
void entry_forget_name(struct entry *entry)
{
	struct registrations *registrations = entry->owner;
	_cleanup_free_ char *name = TAKE_PTR(entry->name);

	if (!name)
		return;
	entry->pub.name = NULL;
	HASH_DELETE(by_name, registrations->by_name, entry);
	registrations->ops->name_remove(name, registrations->user_data);
}

static void leave_group(struct entry *entry)
{
	struct group *group = TAKE_PTR(entry->group);

	if (!group)
		return;
	DL_DELETE(group->entries, entry);
	if (--group->n > 0)
		return;
	HASH_DELETE(hh, entry->owner->groups, group);
	free(group);
}

void entry_set_dying(struct entry *entry, bool dying)
{
	if (entry->dying == dying)
		return;
	entry->dying = dying;
	if (dying)
		DL_APPEND2(entry->owner->dying, entry, dying_prev, dying_next);
	else
		DL_DELETE2(entry->owner->dying, entry, dying_prev, dying_next);
}

/* Frees what is in no table of others' any more, or never was. */
struct entry *entry_free(struct entry *entry)
{
	if (!entry)
		return NULL;
	entry_set_dying(entry, false);
	set_held(entry, -1);
	leave_group(entry);
	(void)processes_forget(entry->watch); /* is always NULL */
	if (entry->container && entry->shared)
		shares_give(entry->owner->shares, entry->container->uid,
			    container_bytes(entry->container));
	free(entry->key);
	free(entry->name);
	free(entry->path);
	free(entry->container);
	free(entry);
	return NULL;
}

void entry_leave_tables(struct entry *entry)
{
	leave_group(entry);
	if (entry->by_id.tbl)
		HASH_DELETE(by_id, entry->owner->by_id, entry);
	if (entry->by_key.tbl)
		HASH_DELETE(by_key, entry->owner->by_key, entry);
	entry->by_id.tbl = entry->by_key.tbl = NULL;
}

/* Takes @entry out of everything, without telling. */
void entry_remove(struct entry *entry)
{
	const struct registrations_ops *ops = entry->owner->ops;

	/* The name goes first: then nobody is told of other containers of a
	 * namespace that goes. */
	entry_forget_name(entry);
	(void)ops->tell(entry->source, NULL, 0, entry->owner->user_data);
	entry_leave_tables(entry);
}

struct tracked *entry_tracked(const struct entry *entry)
{
	return registry_find(entry->owner->registry, entry->pub.netns_id);
}

/* Does the name of @entry lead to its namespace? */
static bool name_leads(const struct entry *entry)
{
	const struct tracked *tracked = entry_tracked(entry);

	for (size_t i = 0; tracked && i < tracked->netns.n_names; i++) {
		if (strcmp(tracked->netns.names[i].name, entry->name) == 0 &&
		    strcmp(tracked->netns.names[i].dir, NETNS_REGISTERED_DIR) ==
			    0)
			return true;
	}
	return false;
}

/* Return: the container's name, of a user's with "@" and their number: nobody
 * gets a name that is another's. Before it the id, if another namespace has
 * that name. The caller's; NULL: out of memory. */
static char *name_make(const struct entry *entry)
{
	struct registrations *registrations = entry->owner;
	const char *wanted = entry->container->name;
	_cleanup_free_ char *name = NULL;
	char user[USER_MAX] = "", *longer;

	if (entry->container->uid != 0)
		(void)snprintf(user, sizeof(user), "@%u",
			       entry->container->uid); /* fits */
	if (asprintf(&name, "%s%s", wanted, user) < 0) {
		name = NULL; /* asprintf(3) leaves it undefined */
		return NULL;
	}
	if (strlen(name) <= NAME_BYTES_MAX &&
	    !entry_by_name(registrations, name) &&
	    !registrations->ops->taken(name, registrations->user_data))
		return TAKE_PTR(name);
	if (asprintf(&longer, "%.*s-%" PRIu64 "%s",
		     (int)(NAME_BYTES_MAX - SUFFIX_MAX - USER_MAX), wanted,
		     entry->pub.id, user) < 0)
		return NULL;
	return longer;
}

/* Gives the namespace the name of @entry. Return: 0; -ENOMEM; -ESTALE: it
 * cannot be opened any more. */
int entry_give_name(struct entry *entry)
{
	struct registrations *registrations = entry->owner;

	entry->name = name_make(entry);
	if (!entry->name)
		return -ENOMEM;
	HASH_ADD_KEYPTR(by_name, registrations->by_name, entry->name,
			strlen(entry->name), entry);
	if (!entry->by_name.tbl) {
		free(TAKE_PTR(entry->name));
		return -ENOMEM;
	}
	entry->pub.name = entry->name;
	registrations->ops->name_add(entry->name, registrations->user_data);
	if (name_leads(entry))
		return 0;
	entry_forget_name(entry);
	return -ESTALE;
}

int entry_move_name(struct entry *before, struct entry *entry)
{
	struct registrations *registrations = entry->owner;

	HASH_ADD_KEYPTR(by_name, registrations->by_name, before->name,
			strlen(before->name), entry);
	if (!entry->by_name.tbl)
		return -ENOMEM;
	HASH_DELETE(by_name, registrations->by_name, before);
	entry->name = TAKE_PTR(before->name);
	entry->pub.name = entry->name;
	return 0;
}

static int tell(struct entry *entry)
{
	struct registrations *registrations = entry->owner;
	const struct container_told told = {
		.netns_id = entry->pub.netns_id,
		.container = *entry->container,
	};

	return registrations->ops->tell(entry->source, &told, 1,
					registrations->user_data);
}

static int enter_group(struct entry *entry)
{
	struct registrations *registrations = entry->owner;
	struct group *group = entry_group(registrations, entry->pub.netns_id);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->netns_id = entry->pub.netns_id;
		HASH_ADD(hh, registrations->groups, netns_id,
			 sizeof(group->netns_id), group);
		if (!group->hh.tbl) {
			free(group);
			return -ENOMEM;
		}
	}
	DL_APPEND(group->entries, entry);
	group->n++;
	entry->group = group;
	return 0;
}

int entry_enter_tables(struct entry *entry)
{
	struct registrations *registrations = entry->owner;
	int r = enter_group(entry);

	if (r < 0)
		return r;
	HASH_ADD(by_id, registrations->by_id, pub.id, sizeof(entry->pub.id),
		 entry);
	HASH_ADD_KEYPTR(by_key, registrations->by_key, entry->key,
			strlen(entry->key), entry);
	return entry->by_id.tbl && entry->by_key.tbl ? 0 : -ENOMEM;
}

static struct container *copy_container(const struct container *container,
					const char *source)
{
	struct container copy = *container;

	copy.source = source;
	return container_copy(&copy);
}

/* Return: a registration in no table; NULL: out of memory. */
struct entry *entry_new(struct registrations *registrations,
			const struct registration_told *told, uint64_t id)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->owner = registrations;
	entry->held_fd = -1;
	entry->pub.id = id;
	entry->pub.uid = told->uid;
	entry->pub.transient = told->transient;
	entry->pub.source = told->source;
	(void)snprintf(entry->source, sizeof(entry->source),
		       "register:%" PRIu64, id); /* fits */
	entry->key = entry_key(told->uid, &told->container);
	entry->container = copy_container(&told->container, entry->source);
	entry->path = told->path ? strdup(told->path) : NULL;
	entry->pub.container = entry->container;
	entry->pub.path = entry->path;
	if (!entry->key || !entry->container || (told->path && !entry->path) ||
	    shares_take(registrations->shares, entry->container->uid,
			container_bytes(entry->container)) < 0)
		return entry_free(entry);
	entry->shared = true;
	return entry;
}

/* Takes over what was found: from now on the process is watched, and the
 * namespace is held if it must be. */
int entry_take(struct entry *entry, struct located *located,
	       const char **ret_reason)
{
	struct registrations *registrations = entry->owner;

	entry->pub.netns_id = located->found.cookie;
	entry->pub.handle = located->handle;
	entry->pub.task = located->task;
	entry->inside = located->inside;
	entry->own_life = located->pid_fd >= 0 || entry->pub.transient;
	if (located->pid_fd >= 0) {
		entry->watch = processes_watch(registrations->processes,
					       &located->task,
					       TAKE_FD(located->pid_fd), entry);
		*ret_reason = reason_many_processes;
		if (!entry->watch)
			return -ENOSPC;
	}
	if (located->handle.n == 0 && !located->inside &&
	    (entry->own_life || !entry->path))
		set_held(entry, TAKE_FD(located->fd));
	return 0;
}

/* Gives the container of @entry, which is in all tables, its place in the
 * namespace; and the namespace its name, with @named. */
int entry_settle(struct entry *entry, bool named, const char **ret_reason)
{
	int r = tell(entry);

	if (r == 0 && named)
		r = entry_give_name(entry);
	*ret_reason = r == -ESTALE   ? reason_changed
		      : r == -ENOSPC ? reason_many
				     : reason_memory;
	return r;
}
