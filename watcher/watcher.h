/* SPDX-License-Identifier: Apache-2.0 */
/* watcher.h - which network namespaces exist, their names and addresses */
#ifndef WATCHER_WATCHER_H
#define WATCHER_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/mounts.h"
#include "common/netns.h"
#include "watcher/news.h"
#include "watcher/registration.h"
#include "watcher/status.h"
#include "watcher/told.h"

struct watcher;

/**
 * struct watcher_ops - what the watcher tells; called from its loop handlers
 * @changed:	@netns is new, or its names, interfaces, addresses or
 *		containers are not what they were. It may be called several
 *times in one batch: only mark, act in the loop's after-handler.
 * @gone:	the last name of @netns went (never called for the host's).
 *		Everything born in the namespace must be closed in this call;
 *		the pointer is invalid afterwards.
 * @freed:	the kernel freed a namespace that was gone (RTM_DELNSID),
 *		@elapsed_us after its last name went
 * @registration_ended: @registration ended by itself, for @reason (static
 *		text). It is freed afterwards. Not called when it is
 *		unregistered or replaced.
 * @registrations_changed: there are others than before, or one is another than
 *		before; may be called several times in one batch
 * @news:	what exactly became different, before @changed and @gone are
 *		called; zero: nobody wants to know
 */
struct watcher_ops {
	void (*changed)(struct netns *netns, void *user_data);
	void (*gone)(struct netns *netns, void *user_data);
	void (*freed)(uint64_t netns_id, uint64_t elapsed_us, void *user_data);
	void (*registration_ended)(const struct registration *registration,
				   const char *reason, void *user_data);
	void (*registrations_changed)(void *user_data);
	struct news_teller news;
};

/**
 * struct watcher_config - how to watch
 * @dirs:	absolute paths of the directories of names; copied
 * @mounts:	outlives the watcher
 * @max_addresses: interfaces, and addresses, kept for each namespace; those
 *		beyond are counted
 * @netlink_buffer_bytes: receive buffer of the event socket (SO_RCVBUFFORCE);
 *		0: 4 MiB
 */
struct watcher_config {
	const char *const *dirs;
	size_t n_dirs;
	struct mounts *mounts;
	size_t max_addresses;
	size_t netlink_buffer_bytes;
};

/**
 * watcher_new() - opens inotify and netlink, finds the host's namespace
 * @loop:	outlives the watcher
 * @ops:	copied; @user_data is borrowed and outlives the watcher
 * @ret_watcher: the caller's, to be freed with watcher_free()
 *
 * netns_enter_init() must have been called. Nothing is listed yet; @changed
 * is called for the host's namespace first, from watcher_step().
 * Return: 0; -ENOMEM; -EPERM when CAP_NET_BROADCAST or CAP_NET_ADMIN is
 * missing; -errno of dirwatch_new(), dirwatch_add(), netlink_events_open() or
 * netlink_requests_open().
 */
int watcher_new(struct loop *loop, const struct watcher_config *config,
		const struct watcher_ops *ops, void *user_data,
		struct watcher **ret_watcher);

/** watcher_free() - also frees every struct netns, without telling. NULL is
 * fine. Return: NULL. */
struct watcher *watcher_free(struct watcher *watcher);

/**
 * watcher_step() - does a bounded slice of what waits
 *
 * That are names to look at after a listing, and namespaces to read again after
 * lost events. Names from single events are looked at in their handler and
 * never wait for this. To be called from the loop's after-handler, before
 * changed namespaces are acted on.
 * Return: true while work is left that a further call would do.
 */
bool watcher_step(struct watcher *watcher);

/**
 * watcher_batch_end() - does what has time until everything else is done
 * @idle:	nothing else is left in this batch: also assigns nsids, a slice.
 *		They are needed only to hear when the kernel has freed a
 *		namespace.
 *
 * To be called last in the loop's after-handler, always: until then the
 * watcher may hold namespaces open that were just found, for
 * watcher_open_netns().
 * Return: true while work is left.
 */
bool watcher_batch_end(struct watcher *watcher, bool idle);

/** watcher_settled() - Return: was every name looked at that existed at the
 * start? */
bool watcher_settled(const struct watcher *watcher);

/**
 * watcher_open_netns() - opens a namespace, for setns(2)
 *
 * Opens one of its names and verifies that it still leads to this namespace.
 * Return: a descriptor, the caller's, who closes it soon because it pins the
 * namespace; -EINVAL for the host's; -ESTALE when no name leads to it any more
 * (@gone follows, or other names do); -errno of open(2).
 */
int watcher_open_netns(struct watcher *watcher, const struct netns *netns);

/**
 * watcher_read_addresses() - keeps addresses from now on, to be shown
 *
 * As watcher_observe_addresses(), but without interfaces, and @changed tells
 * nothing. When events were lost they are forgotten, and to be read again.
 */
int watcher_read_addresses(struct watcher *watcher, struct netns *netns);

/**
 * watcher_observe_addresses() - keeps interfaces and addresses from now on
 *
 * Assigns an nsid and reads them before it returns; @changed tells of changes.
 * Costs about 30 µs once for each namespace; no-op when it is observed already.
 * Return: 0; -ESTALE when the namespace is on its way out; -ENOMEM; -errno of
 * open(2) or of the requests, see watcher/netlink_requests.h.
 */
int watcher_observe_addresses(struct watcher *watcher, struct netns *netns);

/**
 * watcher_next() - iterates over the namespaces that have a name, and the
 * host's
 * @previous:	the last one, or NULL to begin
 *
 * No namespace may have gone in between. Return: the next one, the watcher's,
 * until @gone is called for it; NULL at the end.
 */
struct netns *watcher_next(struct watcher *watcher, struct netns *previous);

/** watcher_find() - by id. Return: the namespace, as watcher_next(); NULL:
 * there is none (any more). */
struct netns *watcher_find(struct watcher *watcher, uint64_t netns_id);

/** watcher_find_name() - by name. Return: the namespace, as watcher_next(), of
 * several directories the first one's; NULL: the name leads to none. */
const struct netns *watcher_find_name(const struct watcher *watcher,
				      const char *name);

/**
 * watcher_find_path() - by a path: of a name, or of a file of nsfs
 * @path:	absolute
 * @ret_reason:	static text, on failure
 *
 * Return: 0; -ESTALE when it leads to a namespace that berthd does not know;
 * -EINVAL for what is no absolute path of a file; -errno of resolve_open().
 */
int watcher_find_path(struct watcher *watcher, const char *path,
		      struct netns **ret_netns, const char **ret_reason);

/**
 * watcher_tell_containers() - somebody tells which containers there are
 * @source:	who: the path of a file. All that it told before and does not
 *		tell now is forgotten.
 * @told:	copied, @n of them; 0: the source tells nothing any more. Each
 *		has a path, or a pid.
 *
 * What is the same as before stays what it is, with the namespace that was
 * found. @changed is called for each namespace that has other containers now.
 * Return: 0; -ENOSPC when there are too many of them (CONTAINERS_MAX,
 * CONTAINERS_BYTES_MAX), and -ENOMEM, with everything as it was.
 */
int watcher_tell_containers(struct watcher *watcher, const char *source,
			    const struct container_told *told, size_t n);

/**
 * watcher_pending_containers() - lists the containers without a namespace
 * @ret_pending: the first @max of them; what they point to is borrowed until
 *the next event
 *
 * Return: how many there are in all.
 */
size_t watcher_pending_containers(const struct watcher *watcher,
				  struct watcher_pending_container *ret_pending,
				  size_t max);

/** watcher_container_count() - Return: how many containers were told of, with
 * and without a namespace. */
size_t watcher_container_count(const struct watcher *watcher);

/**
 * watcher_register() - registers a container, and with it its namespace
 * @ret_id:	of the registration; also when one with the same key was
 *		replaced. In the same namespace it keeps its id, and only the
 *		container is exchanged.
 * @ret_reason:	static text, on failure
 *
 * A namespace without a name gets the container's, in NETNS_REGISTERED_DIR, and
 * @changed is called for it before this returns. The registration ends with the
 * process that was told. Without one, and if it is not transient, it ends with
 * the last name of a namespace that has any, or with @told->path.
 * Of users, whose word is not root's (@told->container.uid), only descriptors
 *and processes are looked at, and what they cannot be shown to have is -EPERM
 *in the same words, whatever it is; they have a share of the room only. Return:
 *0; -EINVAL: not told clearly, or the host's own namespace; -EPERM; -ESRCH:
 * there is no such process; -EMEDIUMTYPE: no network namespace; -ESTALE: it
 * changed while it was looked at; -ENOSPC: its namespace has the most
 * containers, or there are the most registrations or processes; -EOPNOTSUPP:
 * this kernel cannot tell namespaces apart (before 5.14); -ENOENT, -ENOLINK and
 * others of resolve_open(); -ENOMEM. Then all is as it was.
 */
int watcher_register(struct watcher *watcher,
		     const struct registration_told *told, uint64_t *ret_id,
		     const char **ret_reason);

/** watcher_unregister() - ends a registration; @gone follows in this batch if
 * the namespace has no other name. Return: was there one? */
bool watcher_unregister(struct watcher *watcher, uint64_t id);

/** watcher_find_registration() - by id. Return: the registration, borrowed
 * until the next event; NULL: there is none (any more). */
const struct registration *
watcher_find_registration(const struct watcher *watcher, uint64_t id);

/** watcher_find_registration_key() - by the key of what somebody of @uid
 * registered, see struct registration_told. Only the container's id, name and
 * pod namespace are looked at. Return: as watcher_find_registration(). */
const struct registration *
watcher_find_registration_key(const struct watcher *watcher, uid_t uid,
			      const struct container *container);

/** watcher_next_registration() - iterates over the registrations, the oldest
 * first. @previous: the last one, which must be there still; NULL to begin.
 * Return: the next one; NULL at the end. */
const struct registration *
watcher_next_registration(const struct watcher *watcher,
			  const struct registration *previous);

/** watcher_registration_count() - Return: how many there are.
 * @ret_held:	of how many the namespace is held open */
size_t watcher_registration_count(const struct watcher *watcher,
				  size_t *ret_held);

/**
 * watcher_restore_registration() - as it was before berthd was started anew
 * @was:	with the id that it had; copied. Before the first
 *		watcher_step().
 * @ret_reason:	static text, on failure
 *
 * It is checked against the kernel. Return: 0; -errno: it is not in force.
 */
int watcher_restore_registration(struct watcher *watcher,
				 const struct registration *was,
				 const char **ret_reason);

/** watcher_nsid() - Return: the namespace's nsid as seen from the host; -1: it
 * has none yet. */
int watcher_nsid(const struct watcher *watcher, const struct netns *netns);

/**
 * watcher_pending_names() - lists the names that lead to no namespace
 * @ret_pending: the first @max of them, the newest first; what they point to is
 *		borrowed until the next event
 *
 * Return: how many there are in all.
 */
size_t watcher_pending_names(const struct watcher *watcher,
			     struct watcher_pending *ret_pending, size_t max);

/** watcher_unreadable_names() - how many of those are there, and cannot be
 * opened */
size_t watcher_unreadable_names(const struct watcher *watcher);

/** watcher_last_name() - what a namespace without a name that still lives was
 * called; borrowed until the next event. NULL: unknown */
const char *watcher_last_name(const struct watcher *watcher, uint64_t netns_id);

/**
 * watcher_lingering() - lists the namespaces without a name that still live
 * @ret_lingering: the first @max of them, the oldest first; their names are
 *		borrowed until the next event
 *
 * Return: how many there are in all.
 */
size_t watcher_lingering(const struct watcher *watcher,
			 struct watcher_lingering *ret_lingering, size_t max);

/** watcher_set_max_addresses() - as in struct watcher_config, from now on; all
 * addresses that are kept are read again */
void watcher_set_max_addresses(struct watcher *watcher, size_t max_addresses);

/** watcher_get_stats() - fills in all counters */
void watcher_get_stats(const struct watcher *watcher,
		       struct watcher_stats *ret_stats);

/** watcher_dir_count() - Return: the number of watched directories. */
size_t watcher_dir_count(const struct watcher *watcher);

/** watcher_dir() - Return: the path of a watched directory, borrowed.
 * @index:	below watcher_dir_count()
 * @ret_exists:	is the directory there? */
const char *watcher_dir(const struct watcher *watcher, size_t index,
			bool *ret_exists);

#endif
