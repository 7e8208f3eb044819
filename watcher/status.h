/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - what the watcher tells about itself, for people */
#ifndef WATCHER_STATUS_H
#define WATCHER_STATUS_H

#include <stdint.h>

struct container;

/**
 * struct watcher_pending - a name that leads to no namespace
 * @dir, @name:	borrowed until the next event
 * @reason:	static text: "not a namespace (no mount over it yet)",
 *		"dangling link", "cannot be opened"
 * @error:	positive errno, or 0
 * @since_us:	when it was first seen so; monotonic
 */
struct watcher_pending {
	const char *dir;
	const char *name;
	const char *reason;
	int error;
	uint64_t since_us;
};

/**
 * struct watcher_pending_container - a container without a namespace
 * @container, @path: what was told, and the path that should lead to its
 *		namespace; borrowed until the next event
 * @reason:	why it has none; static text
 * @error:	positive errno, or 0
 */
struct watcher_pending_container {
	const struct container *container;
	const char *path;
	const char *reason;
	int error;
};

/**
 * struct watcher_lingering - a namespace without a name that still lives
 * @name:	its last name, "" when there was no memory for it; borrowed
 *until the next event
 * @nsid:	as seen from the host
 * @since_us:	when its last name went; monotonic
 */
struct watcher_lingering {
	uint64_t netns_id;
	const char *name;
	int nsid;
	uint64_t since_us;
};

/**
 * struct watcher_stats - counters since the start
 * @names_events: what was told of entries of the watched directories
 * @netlink_events: messages of rtnetlink
 * @names_overflows: how often inotify lost events (IN_Q_OVERFLOW)
 * @netlink_overflows: how often rtnetlink lost events (ENOBUFS)
 * @resyncs:	how often all nsids and addresses were read again after that
 * @freed:	namespaces that the kernel freed after their last name went
 * @freed_last_us, @freed_max_us: from the removal of the last name to that; of
 *		the last one, and the longest
 */
struct watcher_stats {
	unsigned long names_events;
	unsigned long netlink_events;
	unsigned long names_overflows;
	unsigned long netlink_overflows;
	unsigned long resyncs;
	unsigned long freed;
	uint64_t freed_last_us;
	uint64_t freed_max_us;
};

#endif
