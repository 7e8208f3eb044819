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
#include "watcher/status.h"

struct watcher;

/**
 * struct watcher_ops - what the watcher tells; called from its loop handlers
 * @changed:	@netns is new, or its names, interfaces or addresses are not
 *		what they were. May be called several times in one batch:
 *		only mark, act in the loop's after-handler.
 * @gone:	the last name went (never called for the host's). Everything
 *		born in the namespace must be closed in this call; the pointer
 *		is invalid afterwards.
 * @freed:	the kernel freed a namespace that was gone
 *		(RTM_DELNSID); @elapsed_us since its last name went.
 */
struct watcher_ops {
	void (*changed)(struct netns *netns, void *user_data);
	void (*gone)(struct netns *netns, void *user_data);
	void (*freed)(uint64_t netns_id, uint64_t elapsed_us, void *user_data);
};

/**
 * struct watcher_config - how to watch
 * @dirs:	absolute paths; copied
 * @mounts:	outlives the watcher
 * @max_addresses: kept per namespace, the rest is counted
 * @netlink_buffer_bytes: SO_RCVBUFFORCE of the event socket; 0: 4 MiB
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
 *
 * netns_enter_init() must have been called. Nothing is listed yet; @changed
 * is called for the host's namespace first, from watcher_step().
 * Return: 0; -ENOMEM; -errno of dirwatch_new(), socket(2), bind(2); -EPERM
 * when CAP_NET_BROADCAST or CAP_NET_ADMIN is missing.
 */
int watcher_new(struct loop *loop, const struct watcher_config *config,
		const struct watcher_ops *ops, void *user_data,
		struct watcher **ret_watcher);
struct watcher *watcher_free(struct watcher *watcher);

/**
 * watcher_step() - does a bounded slice of what waits
 *
 * Names to resolve after a scan, namespaces to read again after lost events.
 * To be called from the loop's after-handler, before the
 * dirty namespaces are looked at. Names from single events are resolved in
 * their handler and never wait here.
 * Return: true while work is left that a further call would do.
 */
bool watcher_step(struct watcher *watcher);

/**
 * watcher_batch_end() - what has time until everything else is done
 * @idle:	nothing else is left in this batch: also assign nsids, a slice.
 *		They are needed only to hear when the kernel has freed a
 *		namespace.
 *
 * To be called last in the loop's after-handler, always: until then the
 * watcher may hold namespaces open that were just found, for
 * watcher_open_netns().
 * Return: true while work is left.
 */
bool watcher_batch_end(struct watcher *watcher, bool idle);

/** watcher_settled() - was everything that existed at the start resolved? */
bool watcher_settled(const struct watcher *watcher);

/**
 * watcher_open_netns() - a descriptor of the namespace, for setns(2)
 *
 * Opens one of its names and verifies that it still is this namespace. Not
 * for the host's (-EINVAL). The caller closes it soon: it pins the namespace.
 * Return: the descriptor; -ESTALE when no name leads to it any more (the
 * event that says so is on its way); -errno of open(2).
 */
int watcher_open_netns(struct watcher *watcher, const struct netns *netns);

/**
 * watcher_observe_addresses() - has interfaces and addresses kept from now on
 *
 * Assigns an nsid and reads them before it returns; changes are told by
 * @changed. Costs about 30 µs once per namespace; no-op when already observed.
 * Return: 0; -ESTALE; -errno of the netlink request.
 */
int watcher_observe_addresses(struct watcher *watcher, struct netns *netns);

/** watcher_next() - iterates over the namespaces that have a name, and the
 * host's; NULL starts and ends. Nothing may be freed in between. */
struct netns *watcher_next(struct watcher *watcher, struct netns *previous);

/** watcher_find() - by id; NULL when it is not there (any more) */
struct netns *watcher_find(struct watcher *watcher, uint64_t netns_id);

/** watcher_find_name() - by name; of several directories the first one's
 * counts. NULL when it leads to no namespace. */
const struct netns *watcher_find_name(const struct watcher *watcher,
				      const char *name);

/** watcher_nsid() - the namespace's nsid as seen from the host, -1: none yet */
int watcher_nsid(const struct watcher *watcher, const struct netns *netns);

/** watcher_pending_names() - fills up to @max entries, borrowed until the next
 * event. Return: how many there are in all. */
size_t watcher_pending_names(const struct watcher *watcher,
			     struct watcher_pending *ret_pending, size_t max);

/**
 * watcher_lingering() - lists the namespaces without a name that still live
 * @ret_lingering: the first @max of them, the oldest first; their names are
 *		borrowed until the next event
 *
 * Return: how many there are in all.
 */
size_t watcher_lingering(const struct watcher *watcher,
			 struct watcher_lingering *ret_lingering, size_t max);

/** watcher_get_stats() - the counters since the start */
void watcher_get_stats(const struct watcher *watcher,
		       struct watcher_stats *ret_stats);

/** watcher_dir_count(), watcher_dir() - the watched directories, for status */
size_t watcher_dir_count(const struct watcher *watcher);
const char *watcher_dir(const struct watcher *watcher, size_t index,
			bool *ret_exists);

#endif
