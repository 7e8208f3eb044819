// SPDX-License-Identifier: Apache-2.0
/* name.c - what one name leads to
 *
 * Theory of operation: a name either leads to a namespace (it is attached), or
 * it is pending: the name is there, but leads to none (yet). Whenever something
 * is told about a name, it is looked at again, and the tables are made to agree
 * with the answer.
 *
 * Two names lead to the same namespace if its identity is the same: the cookie,
 * which the kernel never uses twice. On a kernel without cookies the identity
 * is device and inode, and the kernel uses an inode number again soon. So there
 * a namespace is recognized only through another name that leads to it at this
 * moment. A namespace that has lost its last name is not found again; what has
 * the same inode number later counts as another namespace.
 *
 * A namespace that loses its last name is nameless until names_flush() at the
 * end of the batch of events. A rename is two events, and so is a mount over
 * another one. If the namespace has a name again by then, nobody is told.
 *
 * A look that fails for want of descriptors or memory says nothing about the
 * name. The name stays what it was, and is looked at again when there may be
 * room.
 *
 * A link that leads through a process is bound to that process (bindings.c). If
 * the link leads to another process with the same number, the name is pending
 * until the link is made anew. The same holds for a link whose process had
 * ended before the link was first seen.
 */
#include "watcher/name.h"

#include <string.h>
#include <utlist.h>

#include "common/util.h"

static struct name *name_of_text(const char *text)
{
	return (struct name *)(void *)((char *)(uintptr_t)text -
				       offsetof(struct name, text));
}

/* Return: the list that @name, a link, is in while it leads to a namespace. */
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

void name_unwatch(struct names *names, struct name *name)
{
	if (name->process)
		names->ops->unwatch_process(name->process, names->user_data);
	name->process = NULL;
}

/* Notes by which mount @name leads to its namespace; 0: it is not known. */
static void name_set_mount(struct names *names, struct name *name,
			   uint64_t mount_id)
{
	if (name->mount_id == mount_id)
		return;
	if (name->mount_id && name->by_mount.tbl)
		HASH_DELETE(by_mount, names->by_mount, name);
	name->by_mount.tbl = NULL;
	name->mount_id = mount_id;
	/* Without memory the mount is not found in the table; the sweep looks
	 * at the name all the same. */
	if (mount_id)
		HASH_ADD(by_mount, names->by_mount, mount_id, sizeof(mount_id),
			 name);
}

/* Behind the others, but what root calls a namespace comes first. */
static void netns_add_name(struct netns *netns, const struct netns_name *entry)
{
	size_t at = netns->n_names++;

	for (; at > 0 && entry->uid == 0 && netns->names[at - 1].uid != 0; at--)
		netns->names[at] = netns->names[at - 1];
	netns->names[at] = *entry;
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

void name_detach(struct names *names, struct name *name, uint64_t now_us)
{
	struct tracked *tracked = name->tracked;

	name_unlist(names, name);
	name_unwatch(names, name);
	name_set_mount(names, name, 0);
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
	free(tracked->last_name); /* it was kept in spite of that */
	tracked->last_name = strdup(name->text);
	DL_APPEND2(names->nameless, tracked, nameless_prev, nameless_next);
}

void name_forget_short(struct names *names, struct name *name)
{
	if (name->is_short)
		DL_DELETE2(names->shorts, name, short_prev, short_next);
	name->is_short = false;
}

static void name_note_short(struct names *names, struct name *name)
{
	names->n_shortages++;
	if (!name->is_short)
		DL_APPEND2(names->shorts, name, short_prev, short_next);
	name->is_short = true;
	names->ops->shortage(names->user_data);
}

void name_free(struct names *names, struct name *name, uint64_t now_us)
{
	name_detach(names, name, now_us);
	name_forget_short(names, name);
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

/* @name, which is detached, leads to @tracked from now on. Return: 0; -ENOMEM:
 * it is still detached. */
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
				      .uid = resolution->uid,
			      });
	name->tracked = tracked;
	name_set_mount(names, name, resolution->mount_id);
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

struct tracked *name_tracked_add(struct names *names, uint64_t id,
				 const struct resolution *resolution)
{
	struct tracked *tracked;

	if (!id)
		id = ID_COUNTED | ++names->last_counted_id;
	tracked = registry_add(names->registry, id);
	if (!tracked)
		return NULL;
	tracked->dev = resolution->dev;
	tracked->inode = resolution->inode;
	if (resolution->since_us)
		tracked->netns.since_us = resolution->since_us;
	return tracked;
}

/* Without cookies: finds the namespace by another name, which must lead to it
 * at this moment. */
static struct tracked *find_by_inode(struct names *names,
				     const struct resolution *resolution,
				     uint64_t now_us)
{
	struct tracked *tracked;

	if (tracked_is(names->registry->host, resolution))
		return names->registry->host;
	for (tracked = names->registry->by_id; tracked;
	     tracked = tracked->by_id.next) {
		if (tracked->netns.n_names == 0 || tracked->netns.host ||
		    !tracked_is(tracked, resolution))
			continue;
		name_recheck_all(names, tracked, now_us);
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
	return tracked ? tracked : name_tracked_add(names, id, resolution);
}

/* Removes a namespace that could not be given its first name: nobody was told
 * of it. */
static void tracked_drop_unnamed(struct names *names, struct tracked *tracked)
{
	if (tracked && tracked->netns.n_names == 0 && !tracked->nameless &&
	    !tracked->netns.host)
		registry_remove(names->registry, tracked);
}

/* Has @name lead to where @resolution says. */
static void name_apply(struct names *names, struct name *name,
		       const struct resolution *resolution, uint64_t now_us)
{
	struct tracked *tracked = name->tracked;

	if (tracked && tracked_is(tracked, resolution) &&
	    name->is_link == resolution->is_link &&
	    name->has_task == (resolution->task.number != 0)) {
		name_set_mount(names, name, resolution->mount_id);
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
			name_note_short(names, name);
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
 * Binds @name to the process that it leads through, or led through before the
 * process ended; unbinds it if it leads through none.
 * Return: 0; -ENOLINK: the link is bound to another process that had the number
 * before; -ENOMEM.
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

/* The same for a link that leads nowhere. Return: -ENOLINK or -ENOMEM. */
static int name_bind_ended(struct names *names, struct name *name,
			   const struct resolution *resolution,
			   const char **ret_reason)
{
	const char *reason = *ret_reason;
	int r = name_bind(names, name, resolution, ret_reason);

	if (r == -ENOMEM)
		return r;
	*ret_reason = reason;
	return -ENOLINK;
}

/* Errors that tell about berthd, and nothing about the name. */
static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

void name_resolve(struct names *names, struct name *name, uint64_t now_us)
{
	struct resolution resolution = { .pid_fd = -1 };
	const char *reason = NULL;
	int r = names->ops->resolve(names->dirs[name->dir].path, name->text,
				    &resolution, &reason, names->user_data);

	if (r == 0) {
		r = name_bind(names, name, &resolution, &reason);
		if (r < 0)
			cleanup_close(&resolution.pid_fd);
	} else if (r == -ENOLINK && resolution.task.number != 0) {
		r = name_bind_ended(names, name, &resolution, &reason);
	}
	if (is_shortage(r))
		name_note_short(names, name);
	else
		name_forget_short(names, name);
	if (r == 0)
		name_apply(names, name, &resolution, now_us);
	else if (r == -ENOENT)
		name_free(names, name, now_us);
	else if (!name->tracked || !is_shortage(r))
		name_set_pending(names, name, reason, -r, now_us);
}

void name_check(struct names *names, struct name *name, uint64_t now_us)
{
	if (name->tracked && name->mount_id &&
	    names->ops->unchanged(names->dirs[name->dir].path, name->text,
				  name->mount_id, names->user_data))
		return;
	name_resolve(names, name, now_us);
}

void name_recheck_all(struct names *names, struct tracked *tracked,
		      uint64_t now_us)
{
	/* From the end: a name that leads elsewhere is removed from the array.
	 */
	for (size_t i = tracked->netns.n_names; i-- > 0;) {
		/* A look at one name can detach others, too. */
		if (i < tracked->netns.n_names)
			name_resolve(names,
				     name_of_text(tracked->netns.names[i].name),
				     now_us);
	}
}
