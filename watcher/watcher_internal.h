/* SPDX-License-Identifier: Apache-2.0 */
/* watcher_internal.h - what the parts of the watcher share
 *
 * watcher.c puts them together; follow.c keeps the names up to date, monitor.c
 * the nsids, interfaces and addresses.
 */
#ifndef WATCHER_INTERNAL_H
#define WATCHER_INTERNAL_H

#include <dirent.h>

#include "common/dirwatch.h"
#include "common/mounts.h"
#include "watcher/lingering.h"
#include "watcher/names.h"
#include "watcher/netlink_events.h"
#include "watcher/netlink_requests.h"
#include "watcher/processes.h"
#include "watcher/registry.h"
#include "watcher/watcher.h"

/**
 * struct scan - the listing of one directory
 * @wanted:	to begin with the next slice, or when the one at work has ended
 * @failed:	could not be opened: again with the next sweep
 */
struct scan {
	DIR *stream;
	bool wanted;
	bool failed;
};

/**
 * struct sweep - looks at many names again, now and then, in slices
 * @step:	a slice of it. Return: is there more?
 * @again:	asked for while it runs: another one follows
 * @took_us:	of the slices so far
 * @pause_us:	between the end of one and the next
 */
struct sweep {
	struct loop_timer *timer;
	bool (*step)(struct names *names, size_t max, uint64_t now_us);
	bool running;
	bool again;
	uint64_t took_us;
	uint64_t pause_us;
};

/* One slice of listing opens this many at the most. */
#define FRESH_MAX 64

/**
 * struct fresh - a namespace that was just opened to find out which it is
 *
 * Whoever is told of it wants to enter it, in the same batch.
 */
struct fresh {
	struct resolution who;
	int fd;
};

struct watcher {
	struct loop *loop;
	struct watcher_ops ops;
	void *user_data;
	bool host_told;
	bool settled;
	struct registry registry;
	struct watcher_stats stats;

	/* follow.c */
	struct names *names;
	struct dirwatch *dirwatch;
	struct mounts *mounts; /* the owner's */
	struct mounts_listener *mounts_listener;
	bool mounted_elsewhere; /* or unmounted, in this batch of changes */
	struct processes *processes;
	struct scan *scans; /* one for each directory */
	size_t n_scans;
	struct loop_timer *pending_timer;
	uint64_t pending_pause_us;
	struct loop_timer *shortage_timer;
	uint64_t shortage_pause_us;
	struct sweep names_sweep, processes_sweep;
	uint64_t stale_id; /* a namespace that its names led away from, or 0 */
	struct fresh fresh[FRESH_MAX];
	size_t n_fresh;
	uint64_t retry_next_us; /* pending names are not tried before */
	bool retry_pending;

	/* monitor.c */
	struct netlink_events *events;
	struct netlink_requests *requests;
	size_t max_addresses;
	struct lingering lingering;
	struct tracked *read_due, *read_held;
	struct tracked *nsid_waiting;
	uint64_t nsid_pause_until_us;
	unsigned long nsid_round;
	struct holdoff resync_holdoff;
	uint64_t resync_at_us; /* 0: none waits */
	struct loop_timer *monitor_timer;
};

/* Is called for each namespace that is new or whose names changed. */
void watcher_tell_changed(struct watcher *watcher, struct tracked *tracked);
void watcher_tell_gone(struct watcher *watcher, struct tracked *tracked);

int follow_open(struct watcher *watcher, const char *const *dirs,
		size_t n_dirs);
void follow_close(struct watcher *watcher);

/** follow_step() - a slice of listing or sweeping. Return: is there more? */
bool follow_step(struct watcher *watcher);

/** follow_take_fresh() - the descriptor of @tracked that is open already, or
 * -1; the caller closes it */
int follow_take_fresh(struct watcher *watcher, const struct tracked *tracked);

/** follow_batch_end() - closes what nobody took, pauses what nobody needs */
void follow_batch_end(struct watcher *watcher);

/** follow_stale() - none of @tracked's names leads to it: looks at them again,
 * with the next step */
void follow_stale(struct watcher *watcher, const struct tracked *tracked);

/** follow_scanning() - is a directory being listed? */
bool follow_scanning(const struct watcher *watcher);

int monitor_open(struct watcher *watcher, size_t buffer_bytes);
void monitor_close(struct watcher *watcher);

/** monitor_step() - a slice of reading addresses. Return: is there more? */
bool monitor_step(struct watcher *watcher);

/** monitor_assign_step() - a slice of assigning nsids. Return: is there more?
 */
bool monitor_assign_step(struct watcher *watcher);

/** monitor_added() - @tracked needs an nsid, in the background */
void monitor_added(struct watcher *watcher, struct tracked *tracked);

/** monitor_gone() - out of all lists; waits for the kernel to free it */
void monitor_gone(struct watcher *watcher, struct tracked *tracked);

/** monitor_observe() - see watcher_observe_addresses() */
int monitor_observe(struct watcher *watcher, struct tracked *tracked);

#endif
