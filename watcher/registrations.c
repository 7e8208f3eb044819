// SPDX-License-Identifier: Apache-2.0
/* registrations.c - the containers that somebody registered, and their life
 *
 * Theory of operation: a registration says that a container is in a namespace,
 * and is known by its key. The container is a fact like those that files tell
 * (containers.c), in the place of the namespace's id.
 *
 * It is a name, too, if the namespace has none in a watched directory. names.c
 * treats this name as any other: it asks registrations_open() where the name
 * leads, and when the last name of a namespace went all is freed. So nothing
 * here knows what depends on a namespace.
 *
 * A registration with a life of its own ends with its process, or its
 * connection; it keeps its namespace when the names in watched directories go.
 * All others end with the last name of their namespace, or with their path.
 *
 * Nothing of the namespace is held open if that can be avoided, since it would
 * live on. It is opened again by its handle (Linux 6.18), else by the process
 * that was told, if that is inside, else by the path. Only without all three
 * a descriptor is held.
 */
#include "watcher/registrations.h"

#include <fcntl.h>
#include <string.h>
#include <utlist.h>

#include "common/util.h"
#include "watcher/locate.h"
#include "watcher/processes.h"
#include "watcher/registration_entry.h"
#include "watcher/shares.h"

static const char reason_host[] =
	"is the host's own namespace, which needs no container: rules choose "
	"it by host";
static const char reason_no_name[] = "the container has no name";
static const char reason_many[] = "there are the most registrations";
static const char reason_many_here[] =
	"the namespace has the most containers that are kept for one";
static const char reason_memory[] = "out of memory";
static const char reason_process[] = "its process has ended";
static const char reason_last_name[] = "its namespace has no name any more";
static const char reason_gone[] = "its namespace is gone";
static const char reason_other[] = "leads to another namespace now";

static struct entry *entry_of(const struct registration *registration)
{
	return container_of((uintptr_t)registration, struct entry, pub);
}

/* Those that end with a connection are not kept for the next berthd. */
static void changed(struct registrations *registrations, bool transient)
{
	if (!transient)
		registrations->ops->changed(registrations->user_data);
}

static void end(struct entry *entry, const char *reason)
{
	struct registrations *registrations = entry->owner;
	bool transient = entry->pub.transient;

	entry_remove(entry);
	registrations->ops->ended(&entry->pub, reason,
				  registrations->user_data);
	(void)entry_free(entry); /* is always NULL */
	changed(registrations, transient);
}

static void process_ended(void *subject, void *user_data)
{
	(void)user_data;
	end(subject, reason_process);
}

static uint64_t now_realtime_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail: Linux */
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

int registrations_new(struct loop *loop, struct registry *registry,
		      const struct registrations_ops *ops, void *user_data,
		      struct registrations **ret_registrations)
{
	struct registrations *registrations = calloc(1, sizeof(*registrations));
	int r;

	if (!registrations)
		return -ENOMEM;
	registrations->registry = registry;
	registrations->ops = ops;
	registrations->user_data = user_data;
	registrations->next_id = now_realtime_us();
	registrations->shares = shares_new();
	r = registrations->shares ? 0 : -ENOMEM;
	if (r == 0)
		r = processes_new(loop, REGISTRATIONS_MAX, process_ended,
				  registrations, &registrations->processes);
	if (r < 0) {
		shares_free(registrations->shares);
		free(registrations);
		return r;
	}
	*ret_registrations = registrations;
	return 0;
}

struct registrations *registrations_free(struct registrations *registrations)
{
	struct entry *entry, *next;

	if (!registrations)
		return NULL;
	HASH_CLEAR(by_key, registrations->by_key);
	HASH_CLEAR(by_name, registrations->by_name);
	HASH_ITER (by_id, registrations->by_id, entry, next) {
		HASH_DELETE(by_id, registrations->by_id, entry);
		(void)entry_free(entry); /* is always NULL */
	}
	processes_free(registrations->processes);
	shares_free(registrations->shares);
	free(registrations);
	return NULL;
}

/* Return: has the namespace a name in a watched directory? */
static bool has_other_name(const struct tracked *tracked)
{
	for (size_t i = 0; tracked && i < tracked->netns.n_names; i++) {
		if (strcmp(tracked->netns.names[i].dir, NETNS_REGISTERED_DIR) !=
		    0)
			return true;
	}
	return false;
}

/* The room of a user who has only a share of all. */
static int check_share(const struct registrations *registrations,
		       const struct entry *before,
		       const struct container *container,
		       const char **ret_reason)
{
	bool same = before && before->container->uid == container->uid;
	size_t replaced = same ? container_bytes(before->container) : 0;
	const char *reason =
		shares_refusal(registrations->shares, container->uid,
			       container_bytes(container), replaced);

	if (reason)
		*ret_reason = reason;
	return reason ? -ENOSPC : 0;
}

/* In a namespace of theirs, users leave room for what root says of it. */
static unsigned int room_in_netns(uid_t uid)
{
	return uid == 0 ? REGISTRATIONS_PER_NETNS_MAX
			: REGISTRATIONS_OF_USER_PER_NETNS_MAX;
}

static int check_room(const struct registrations *registrations,
		      const struct entry *before, uint64_t netns_id, uid_t uid,
		      const char **ret_reason)
{
	const struct group *group = entry_group(registrations, netns_id);
	size_t n = HASH_CNT(by_id, registrations->by_id);

	if (before && before->group == group)
		return 0;
	*ret_reason = reason_many;
	if (n - (before != NULL) >= REGISTRATIONS_MAX)
		return -ENOSPC;
	*ret_reason = reason_many_here;
	return group && group->n >= room_in_netns(uid) ? -ENOSPC : 0;
}

/* In the place of @before, of the same namespace and with the same id. */
static int entry_replace(struct entry *before, struct entry *entry,
			 const char **ret_reason)
{
	bool named = before->name != NULL;
	bool same = strcmp(before->container->name, entry->container->name) ==
		    0;
	int r;

	entry_leave_tables(before);
	*ret_reason = reason_memory;
	r = entry_enter_tables(entry);
	if (r == 0 && named && same)
		r = entry_move_name(before, entry);
	if (r == 0)
		r = entry_settle(entry, named && !same, ret_reason);
	/* After the new one, so that the namespace has a name all the time. */
	entry_forget_name(before);
	(void)entry_free(before); /* is always NULL */
	return r;
}

static int entry_enter(struct entry *entry, bool named, const char **ret_reason)
{
	int r = entry_enter_tables(entry);

	*ret_reason = reason_memory;
	return r < 0 ? r : entry_settle(entry, named, ret_reason);
}

/* Takes @entry, which was found, into the tables. Frees it on failure. */
static int entry_add(struct entry *entry, struct entry *before, bool named,
		     const char **ret_reason)
{
	struct registrations *registrations = entry->owner;
	bool transient = entry->pub.transient &&
			 (!before || before->pub.transient);
	int r;

	if (before && before->pub.id == entry->pub.id) {
		r = entry_replace(before, entry, ret_reason);
	} else {
		if (before) {
			entry_remove(before);
			(void)entry_free(before); /* is always NULL */
		}
		r = entry_enter(entry, named, ret_reason);
	}
	if (r < 0) {
		entry_remove(entry);
		(void)entry_free(entry); /* is always NULL */
	}
	changed(registrations, transient);
	return r;
}

/* The namespace was found: registers what was told of it. */
static int add_located(struct registrations *registrations,
		       const struct registration_told *told,
		       struct located *located, uint64_t *ret_id,
		       const char **ret_reason)
{
	_cleanup_free_ char *key = entry_key(told->uid, &told->container);
	uint64_t netns_id = located->found.cookie;
	struct tracked *tracked;
	struct entry *entry, *before;
	bool same;
	int r;

	*ret_reason = reason_memory;
	if (!key)
		return -ENOMEM;
	if (told->path)
		registrations->ops->look_at(told->path,
					    registrations->user_data);
	tracked = registry_find(registrations->registry, netns_id);
	*ret_reason = reason_host;
	if (tracked && tracked->netns.host)
		return -EINVAL;
	before = entry_by_key(registrations, key);
	r = check_room(registrations, before, netns_id, told->container.uid,
		       ret_reason);
	if (r == 0)
		r = check_share(registrations, before, &told->container,
				ret_reason);
	if (r < 0)
		return r;
	same = before && before->pub.netns_id == netns_id;
	*ret_reason = reason_memory;
	entry = entry_new(registrations, told,
			  same ? before->pub.id : registrations->next_id);
	r = entry ? entry_take(entry, located, ret_reason) : -ENOMEM;
	if (r < 0) {
		(void)entry_free(entry); /* is always NULL */
		return r;
	}
	registrations->next_id += !same;
	*ret_id = entry->pub.id;
	return entry_add(entry, before, !has_other_name(tracked), ret_reason);
}

/* As locate(). A user who has no room is told so before anything is opened:
 * that is what it costs to answer one who asks without end. */
static int locate_of(const struct registrations *registrations,
		     const struct registration_told *told, struct located *ret,
		     const char **ret_reason)
{
	_cleanup_free_ char *key = NULL;
	int r;

	if (told->container.uid == 0)
		return locate(told->path, told->fd, told->container.pid, ret,
			      ret_reason);
	key = entry_key(told->uid, &told->container);
	*ret_reason = reason_memory;
	if (!key)
		return -ENOMEM;
	r = check_share(registrations, entry_by_key(registrations, key),
			&told->container, ret_reason);
	return r < 0 ? r : locate_of_user(told, ret, ret_reason);
}

int registrations_add(struct registrations *registrations,
		      const struct registration_told *told, uint64_t *ret_id,
		      const char **ret_reason)
{
	struct located located;
	uint64_t id = 0;
	int r;

	*ret_reason = reason_no_name;
	if (!*told->container.name)
		return -EINVAL;
	r = locate_of(registrations, told, &located, ret_reason);
	if (r < 0)
		return r;
	registrations->at_hand = &located;
	r = add_located(registrations, told, &located, &id, ret_reason);
	registrations->at_hand = NULL;
	located_done(&located);
	if (r == 0)
		*ret_id = id;
	return r;
}

/* Return: 0: it is the namespace, and the process, that was registered;
 * -errno. */
static int locate_same(const struct registration *was, const char *path, int fd,
		       struct located *ret, const char **ret_reason)
{
	int r = locate(path, fd, was->task.number, ret, ret_reason);

	if (r < 0)
		return r;
	if (ret->task.number == was->task.number &&
	    ret->task.identity == was->task.identity &&
	    ret->found.cookie == was->netns_id)
		return 0;
	*ret_reason = ret->found.cookie == was->netns_id ? reason_process
							 : reason_other;
	located_done(ret);
	return -ESTALE;
}

/* Finds what an earlier berthd had. A path without a process must still lead
 * to the namespace. */
static int locate_was(const struct registration *was, struct located *ret,
		      const char **ret_reason)
{
	bool by_path = was->path && was->task.number == 0;
	_cleanup_close_ int fd = -1;
	int r;

	*ret_reason = reason_gone;
	if (was->handle.n > 0) {
		fd = netns_handle_open(&was->handle);
		if (fd < 0)
			return fd;
	}
	if (!by_path) {
		r = locate_same(was, NULL, fd, ret, ret_reason);
		if (r == 0 || fd >= 0 || !was->path)
			return r;
	}
	return locate_same(was, was->path, -1, ret, ret_reason);
}

int registrations_restore(struct registrations *registrations,
			  const struct registration *was,
			  const char **ret_reason)
{
	const struct registration_told told = {
		.path = was->path,
		.fd = -1,
		.uid = was->uid,
		.source = was->source,
		.container = *was->container,
	};
	struct located located;
	struct entry *entry;
	int r;

	*ret_reason = reason_other;
	if (entry_by_id(registrations, was->id) || !*was->container->name)
		return -EINVAL;
	r = check_room(registrations, NULL, was->netns_id, was->container->uid,
		       ret_reason);
	if (r == 0)
		r = check_share(registrations, NULL, was->container,
				ret_reason);
	if (r == 0)
		r = locate_was(was, &located, ret_reason);
	if (r < 0)
		return r;
	*ret_reason = reason_memory;
	entry = entry_new(registrations, &told, was->id);
	r = entry ? entry_take(entry, &located, ret_reason) : -ENOMEM;
	if (r < 0) {
		(void)entry_free(entry); /* is always NULL */
		located_done(&located);
		return r;
	}
	entry->unsettled = !was->name;
	if (registrations->next_id <= was->id)
		registrations->next_id = was->id + 1;
	registrations->at_hand = &located;
	r = entry_add(entry, entry_by_key(registrations, entry->key),
		      was->name != NULL, ret_reason);
	registrations->at_hand = NULL;
	located_done(&located);
	return r;
}

void registrations_settled(struct registrations *registrations)
{
	struct entry *entry, *next;

	HASH_ITER (by_id, registrations->by_id, entry, next) {
		if (!entry->unsettled)
			continue;
		entry->unsettled = false;
		if (entry_tracked(entry))
			continue;
		if (!entry->own_life || entry_give_name(entry) < 0)
			end(entry, reason_last_name);
	}
}

bool registrations_end(struct registrations *registrations, uint64_t id)
{
	struct entry *entry = entry_by_id(registrations, id);
	bool transient;

	if (!entry)
		return false;
	transient = entry->pub.transient;
	entry_remove(entry);
	(void)entry_free(entry); /* is always NULL */
	changed(registrations, transient);
	return true;
}

/* Errors that tell about berthd, and nothing about the namespace. */
static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Return: the namespace that was opened to register it; -1: it is another, or
 * was given before. */
static int take_at_hand(const struct entry *entry, struct resolution *ret)
{
	struct located *at_hand = entry->owner->at_hand;

	if (!at_hand || at_hand->found.cookie != entry->pub.netns_id)
		return -1;
	*ret = (struct resolution){
		.cookie = at_hand->found.cookie,
		.dev = at_hand->found.dev,
		.inode = at_hand->found.inode,
		.since_us = at_hand->found.since_us,
		.pid_fd = -1,
	};
	return TAKE_FD(at_hand->fd);
}

/* Opens the namespace in the first way that there is, see the theory above. */
static int entry_open(struct entry *entry, struct resolution *ret,
		      const char **ret_reason)
{
	const struct registration *pub = &entry->pub;
	_cleanup_close_ int fd = take_at_hand(entry, ret);
	int r;

	*ret_reason = reason_gone;
	if (fd >= 0)
		return TAKE_FD(fd);
	/* Its path is its life. */
	if (entry->path && !entry->own_life)
		return locate_again(entry->path, &pub->task, pub->netns_id, ret,
				    ret_reason);
	if (pub->handle.n > 0)
		fd = netns_handle_open(&pub->handle);
	else if (entry->held_fd >= 0)
		fd = fcntl(entry->held_fd, F_DUPFD_CLOEXEC, 0);
	else
		return locate_again(NULL, &pub->task, pub->netns_id, ret,
				    ret_reason);
	if (fd < 0)
		return pub->handle.n > 0 ? fd : -errno;
	r = resolve_fd(fd, ret, ret_reason);
	if (r == 0 && ret->cookie != pub->netns_id)
		r = -ESTALE;
	return r < 0 ? r : TAKE_FD(fd);
}

int registrations_open(struct registrations *registrations, const char *name,
		       struct resolution *ret, const char **ret_reason)
{
	struct entry *entry = entry_by_name(registrations, name);
	int fd;

	*ret_reason = reason_gone;
	if (!entry)
		return -ENOENT;
	fd = entry_open(entry, ret, ret_reason);
	if (fd >= 0)
		ret->uid = entry->container->uid;
	if (fd >= 0 || is_shortage(fd))
		return fd;
	entry_set_dying(entry, true);
	return -ENOENT;
}

bool registrations_step(struct registrations *registrations)
{
	struct entry *entry;
	bool any = registrations->dying != NULL;

	while ((entry = registrations->dying))
		end(entry, reason_gone);
	return any;
}

bool registrations_keep(struct registrations *registrations,
			struct tracked *tracked)
{
	struct group *group = entry_group(registrations, tracked->netns.id);
	struct entry *entry;

	DL_FOREACH (group ? group->entries : NULL, entry) {
		/* What cannot give a name ends with the namespace. */
		if (entry->own_life && !entry->name && !entry->dying)
			(void)entry_give_name(entry);
	}
	return tracked->netns.n_names > 0;
}

void registrations_gone(struct registrations *registrations,
			const struct tracked *tracked)
{
	struct group *group = entry_group(registrations, tracked->netns.id);
	struct entry *entry, *next;

	/* The group ends with its last registration. */
	for (entry = group ? group->entries : NULL; entry; entry = next) {
		next = entry->next;
		end(entry, entry->dying ? reason_gone : reason_last_name);
	}
}

const struct registration *
registrations_find(const struct registrations *registrations, uint64_t id)
{
	const struct entry *entry = entry_by_id(registrations, id);

	return entry ? &entry->pub : NULL;
}

const struct registration *
registrations_find_key(const struct registrations *registrations, uid_t uid,
		       const struct container *container)
{
	_cleanup_free_ char *key = entry_key(uid, container);
	const struct entry *entry = key ? entry_by_key(registrations, key)
					: NULL;

	return entry ? &entry->pub : NULL;
}

const struct registration *
registrations_next(const struct registrations *registrations,
		   const struct registration *previous)
{
	const struct entry *entry = previous ? entry_of(previous)->by_id.next
					     : registrations->by_id;

	return entry ? &entry->pub : NULL;
}

size_t registrations_count(const struct registrations *registrations,
			   size_t *ret_held)
{
	*ret_held = registrations->n_held;
	return HASH_CNT(by_id, registrations->by_id);
}
