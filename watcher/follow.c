// SPDX-License-Identifier: Apache-2.0
/* follow.c - follows the names in the watched directories
 *
 * Theory of operation: a name appears in two steps, a file and then a mount
 * over it, and inotify tells only of the file. So a name that leads to no
 * namespace is pending. A name can also lose its namespace by umount(2) alone,
 * of which inotify tells nothing. common/mounts.c tells of both. Where the
 * kernel says which mount came or went, exactly the name under that mount is
 * looked at.
 *
 * Where the kernel does not say so, or when such events were lost, pending
 * names are looked at again at each change of the mounts, the newest first and
 * for some minutes. A timer then begins a sweep, which looks at all names, in
 * slices: a host that mounts all day costs one sweep a second, an idle host
 * nothing. Links are always followed like this, because their targets can be
 * anywhere.
 *
 * Another timer looks again at pending names, with growing pauses, for changes
 * that nothing tells of (the target of a link appears). A name that is still
 * pending after some minutes is only looked at in sweeps.
 *
 * A name can be a link through a process, /proc/PID/ns/net. processes.c tells
 * when the process has ended. But nothing tells that a process went to another
 * namespace, or that a process ended for which there is no descriptor. So these
 * names have a sweep of their own while there are any. The kernel could tell
 * (the connector of processes), but would wake berthd for each process of the
 * host.
 */
#include "watcher/follow.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/dirwatch.h"
#include "common/log.h"
#include "common/util.h"
#include "watcher/fresh.h"
#include "watcher/names.h"
#include "watcher/processes.h"
#include "watcher/sweep.h"

#define SCAN_SLICE 64 /* names; about 0.5 ms */
#define SWEEP_SLICE 256 /* most are one statx(2) */

#define PENDING_PAUSE_MIN_US (10 * USEC_PER_MSEC)
#define PENDING_PAUSE_MAX_US (5 * USEC_PER_SEC)
/* After the pending names were looked at, they rest for this many times as long
 * as that took. */
#define RETRY_PAUSES 4

#define SHORTAGE_PAUSE_MIN_US (10 * USEC_PER_MSEC)
#define SHORTAGE_PAUSE_MAX_US USEC_PER_SEC
#define PROCESSES_MAX 1024 /* watched; the others are swept */
#define PROCESSES_SLICE 64 /* most are one statx(2) through links */

/**
 * struct scan - the listing of one directory
 * @stream:	of the listing at work, or NULL
 * @wanted:	to begin with the next slice, or when the one at work has ended
 * @failed:	the directory could not be opened: again with the next sweep
 */
struct scan {
	DIR *stream;
	bool wanted;
	bool failed;
};

/**
 * struct follow - see follow.h
 * @mounted_elsewhere: in this batch of changes, something was mounted or
 *		unmounted that a link or a pending name may lead to
 * @scans:	one for each directory, in the order of their indexes
 * @registered:	index of NETNS_REGISTERED_DIR among the directories of names
 * @stale_id:	a namespace that its names led away from, or 0
 * @retry_next_us: pending names are not looked at again before this time, for
 *		changes of the mounts
 * @retry_pending: they are to be looked at with the next step
 */
struct follow {
	struct loop *loop;
	struct registry *registry;
	const struct follow_ops *ops;
	void *user_data;
	struct names *names;
	struct dirwatch *dirwatch;
	struct mounts *mounts;
	struct mounts_listener *mounts_listener;
	struct processes *processes;
	struct scan *scans;
	size_t n_scans;
	size_t registered;
	struct sweep names_sweep;
	struct sweep processes_sweep;
	struct loop_timer *pending_timer;
	uint64_t pending_pause_us;
	struct loop_timer *shortage_timer;
	uint64_t shortage_pause_us;
	uint64_t retry_next_us;
	bool retry_pending;
	bool mounted_elsewhere;
	uint64_t stale_id;
	struct fresh fresh;
	unsigned long n_events;
};

/* As resolve_open(), also of the names in NETNS_REGISTERED_DIR. */
static int open_name(struct follow *follow, const char *dir, const char *name,
		     uint64_t known_cookie, struct resolution *ret,
		     const char **ret_reason)
{
	/* The watched directories are absolute. */
	if (strcmp(dir, NETNS_REGISTERED_DIR) == 0)
		return follow->ops->open_registered(name, ret, ret_reason,
						    follow->user_data);
	return resolve_open(dir, name, known_cookie, ret, ret_reason);
}

static int resolve(const char *dir, const char *name, struct resolution *ret,
		   const char **ret_reason, void *user_data)
{
	struct follow *follow = user_data;
	int fd = open_name(follow, dir, name, 0, ret, ret_reason);

	if (fd < 0)
		return fd;
	fresh_keep(&follow->fresh, fd, ret);
	return 0;
}

static bool unchanged(const char *dir, const char *name, uint64_t mount_id,
		      void *user_data)
{
	(void)user_data;
	return resolve_unchanged(dir, name, mount_id);
}

static bool leads_to(const char *dir, const char *name, ino_t inode,
		     void *user_data)
{
	(void)user_data;
	return resolve_leads_to(dir, name, inode);
}

static void *watch_process(const struct task *task, int pid_fd,
			   struct name *name, void *user_data)
{
	struct follow *follow = user_data;

	return processes_watch(follow->processes, task, pid_fd, name);
}

static bool full_of_processes(void *user_data)
{
	const struct follow *follow = user_data;

	return processes_full(follow->processes);
}

static void unwatch_process(void *handle, void *user_data)
{
	(void)user_data;
	(void)processes_forget(handle);
}

static void changed(struct tracked *tracked, void *user_data)
{
	struct follow *follow = user_data;

	follow->ops->changed(tracked, follow->user_data);
}

static void gone(struct tracked *tracked, void *user_data)
{
	struct follow *follow = user_data;

	follow->ops->gone(tracked, follow->user_data);
}

static void pending(void *user_data)
{
	struct follow *follow = user_data;

	follow->pending_pause_us = PENDING_PAUSE_MIN_US;
	loop_timer_set_earlier(follow->pending_timer,
			       loop_now_us(follow->loop) +
				       PENDING_PAUSE_MIN_US);
	mounts_hurry(follow->mounts, true);
	/* The mount may have come after the look, and before the mounts were
	 * watched more closely. */
	follow->retry_pending = !mounts_tells_which(follow->mounts);
}

static void shortage(void *user_data)
{
	struct follow *follow = user_data;

	if (!loop_timer_is_set(follow->shortage_timer))
		loop_timer_set(follow->shortage_timer,
			       loop_now_us(follow->loop) +
				       follow->shortage_pause_us);
}

static const struct names_ops names_ops = {
	.resolve = resolve,
	.unchanged = unchanged,
	.leads_to = leads_to,
	.watch_process = watch_process,
	.processes_full = full_of_processes,
	.unwatch_process = unwatch_process,
	.changed = changed,
	.gone = gone,
	.pending = pending,
	.shortage = shortage,
};

static void pending_handler(void *user_data)
{
	struct follow *follow = user_data;
	uint64_t now_us = loop_now_us(follow->loop);

	follow->pending_pause_us *= 2;
	if (follow->pending_pause_us > PENDING_PAUSE_MAX_US)
		follow->pending_pause_us = PENDING_PAUSE_MAX_US;
	names_retry(follow->names, now_us);
	if (names_young(follow->names, now_us))
		loop_timer_set_earlier(follow->pending_timer,
				       now_us + follow->pending_pause_us);
}

/* While the shortage lasts, only the first name is looked at in vain. */
static void shortage_handler(void *user_data)
{
	struct follow *follow = user_data;
	uint64_t now_us = loop_now_us(follow->loop);
	int r = names_retry_short(follow->names, SCAN_SLICE, now_us);

	if (r >= 0) {
		follow->shortage_pause_us = SHORTAGE_PAUSE_MIN_US;
		if (r > 0)
			loop_timer_set(follow->shortage_timer, now_us);
		return;
	}
	follow->shortage_pause_us *= 2;
	if (follow->shortage_pause_us > SHORTAGE_PAUSE_MAX_US)
		follow->shortage_pause_us = SHORTAGE_PAUSE_MAX_US;
	loop_timer_set(follow->shortage_timer,
		       now_us + follow->shortage_pause_us);
}

static void process_ended(void *subject, void *user_data)
{
	struct follow *follow = user_data;

	names_process_ended(follow->names, subject, loop_now_us(follow->loop));
}

/* Looks at the pending names and the links, now or after their rest. */
static void retry(struct follow *follow)
{
	uint64_t now_us = loop_now_us(follow->loop), began_us;

	if (now_us < follow->retry_next_us) {
		loop_timer_set_earlier(follow->pending_timer,
				       follow->retry_next_us);
		return;
	}
	began_us = monotonic_us();
	names_retry(follow->names, now_us);
	follow->retry_next_us =
		now_us + (monotonic_us() - began_us) * RETRY_PAUSES;
}

/* Looks at the name that has @path, if a watched directory has it. */
static void look_at_path(struct follow *follow, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	for (size_t i = 0; i < follow->n_scans && slash; i++) {
		const char *dir = dirwatch_real_path(follow->dirwatch, i);

		if (dir && strlen(dir) == len && memcmp(dir, path, len) == 0) {
			names_mounted(follow->names, i, slash + 1,
				      loop_now_us(follow->loop));
			return;
		}
	}
}

static void attached(struct follow *follow, uint64_t mount_id)
{
	char path[PATH_MAX];
	int r;

	if (names_has_mount(follow->names, mount_id))
		return; /* found before the event was read */
	r = mounts_path(mount_id, path);
	if (r == 0)
		look_at_path(follow, path);
	/* A link may lead to that name. */
	if ((r < 0 && r != -ENOENT) || names_need_retry(follow->names))
		follow->mounted_elsewhere = true;
}

static bool any_omitted(const struct follow *follow)
{
	for (size_t i = 0; i < follow->n_scans; i++) {
		if (names_omitted(follow->names, i))
			return true;
	}
	return false;
}

static void mounts_changed(struct follow *follow)
{
	if (follow->mounted_elsewhere) {
		retry(follow);
		sweep_want(&follow->names_sweep);
	} else if (any_omitted(follow)) {
		sweep_want(&follow->names_sweep);
	}
	follow->mounted_elsewhere = false;
	mounts_hurry(follow->mounts,
		     names_young(follow->names, loop_now_us(follow->loop)));
}

static void mounts_told(const struct mounts_change *change, void *user_data)
{
	struct follow *follow = user_data;

	switch (change->event) {
	case MOUNTS_ATTACHED:
		attached(follow, change->mount_id);
		break;
	case MOUNTS_DETACHED:
		names_unmounted(follow->names, change->mount_id,
				loop_now_us(follow->loop));
		/* A link may lead to the mount of that name. */
		if (names_need_retry(follow->names))
			follow->mounted_elsewhere = true;
		break;
	case MOUNTS_UNKNOWN:
		follow->mounted_elsewhere = true;
		break;
	case MOUNTS_EARLY:
		retry(follow);
		break;
	case MOUNTS_CHANGED:
		mounts_changed(follow);
		break;
	}
}

int follow_open_netns(struct follow *follow, const struct tracked *tracked)
{
	const struct netns *netns = &tracked->netns;
	struct resolution resolution;
	const char *reason;
	int fd, result = -ESTALE;

	if (netns->host)
		return -EINVAL;
	fd = fresh_take(&follow->fresh, tracked);
	if (fd >= 0)
		return fd;
	for (size_t i = 0; i < netns->n_names; i++) {
		fd = open_name(follow, netns->names[i].dir,
			       netns->names[i].name, netns->id, &resolution,
			       &reason);
		if (fd == -ENOENT || fd == -ENOLINK || fd == -EMEDIUMTYPE)
			continue;
		if (fd < 0) {
			result = fd;
			continue;
		}
		if (resolution.pid_fd >= 0)
			(void)close(resolution.pid_fd);
		if (tracked_is(tracked, &resolution))
			return fd;
		(void)close(fd);
	}
	if (result == -ESTALE)
		follow->stale_id = netns->id;
	return result;
}

void follow_batch_end(struct follow *follow)
{
	fresh_close(&follow->fresh);
	if (names_has_processes(follow->names) &&
	    !follow->processes_sweep.running)
		sweep_want(&follow->processes_sweep);
}

static void scan_close(struct scan *scan)
{
	if (scan->stream)
		(void)closedir(scan->stream); /* only read from */
	scan->stream = NULL;
}

/* A listing at work goes on to its end, and the next begins then: if it were
 * begun anew each time, it might never end. */
static void scan_want(struct follow *follow, size_t dir)
{
	follow->scans[dir].wanted = true;
	if (!follow->scans[dir].stream)
		names_scan_begin(follow->names, dir);
}

static void dirwatch_told(enum dirwatch_event event, size_t dir,
			  const char *name, void *user_data)
{
	struct follow *follow = user_data;
	uint64_t now_us = loop_now_us(follow->loop);

	follow->n_events++;
	switch (event) {
	case DIRWATCH_SCAN:
		scan_want(follow, dir);
		break;
	case DIRWATCH_GONE:
		scan_close(&follow->scans[dir]);
		follow->scans[dir] = (struct scan){ 0 };
		names_dir_gone(follow->names, dir);
		break;
	case DIRWATCH_CREATED:
	case DIRWATCH_MOVED_IN:
		names_created(follow->names, dir, name, now_us);
		break;
	case DIRWATCH_REMOVED:
		names_removed(follow->names, dir, name, now_us);
		break;
	case DIRWATCH_MODIFIED:
	case DIRWATCH_WRITTEN:
		break; /* not asked for */
	}
}

static void sweep_handler(void *user_data)
{
	struct follow *follow = user_data;

	for (size_t i = 0; i < follow->n_scans; i++) {
		struct scan *scan = &follow->scans[i];

		if (!scan->stream &&
		    (scan->failed || names_omitted(follow->names, i)))
			scan_want(follow, i);
	}
	names_sweep_begin(follow->names);
	sweep_begin(&follow->names_sweep);
}

static void processes_handler(void *user_data)
{
	struct follow *follow = user_data;

	names_processes_begin(follow->names);
	sweep_begin(&follow->processes_sweep);
}

/* The directory cannot be listed now; the next sweep tries again. */
static void scan_fail(struct follow *follow, size_t dir)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 5 };

	if (log_ratelimit_ok(&limit))
		log_error_errno(-errno, "cannot list directory '%s'; retrying",
				dirwatch_path(follow->dirwatch, dir));
	scan_close(&follow->scans[dir]);
	follow->scans[dir].failed = true;
	sweep_want(&follow->names_sweep);
}

static void scan_open(struct follow *follow, size_t dir)
{
	struct scan *scan = &follow->scans[dir];

	scan->wanted = scan->failed = false;
	scan->stream = opendir(dirwatch_path(follow->dirwatch, dir));
	if (scan->stream)
		names_scan_begin(follow->names, dir);
	else if (errno != ENOENT && errno != ENOTDIR)
		scan_fail(follow, dir);
	/* Else the directory is gone again: the event is on its way. */
}

/* Return: is there more? */
static bool scan_entry(struct follow *follow, size_t dir)
{
	struct scan *scan = &follow->scans[dir];
	uint64_t now_us = loop_now_us(follow->loop);
	const struct dirent *entry;

	errno = 0;
	entry = readdir(scan->stream);
	if (!entry && errno == ENOENT) {
		scan_close(scan); /* removed: the event is on its way */
	} else if (!entry && errno) {
		scan_fail(follow, dir);
	} else if (!entry) {
		names_scan_end(follow->names, dir, now_us);
		scan_close(scan);
	} else if (strcmp(entry->d_name, ".") != 0 &&
		   strcmp(entry->d_name, "..") != 0) {
		names_scan_entry(follow->names, dir, entry->d_name, now_us);
	}
	return scan->stream;
}

static void scan_slice(struct follow *follow, size_t dir)
{
	struct scan *scan = &follow->scans[dir];

	if (scan->wanted && !scan->stream)
		scan_open(follow, dir);
	for (int i = 0; i < SCAN_SLICE && scan->stream; i++) {
		if (!scan_entry(follow, dir))
			break;
	}
}

bool follow_scanning(const struct follow *follow)
{
	for (size_t i = 0; i < follow->n_scans; i++) {
		if (follow->scans[i].wanted || follow->scans[i].stream)
			return true;
	}
	return false;
}

void follow_recheck(struct follow *follow, struct tracked *tracked)
{
	names_recheck(follow->names, tracked, loop_now_us(follow->loop));
}

static void recheck_stale(struct follow *follow)
{
	struct tracked *tracked =
		registry_find(follow->registry, follow->stale_id);

	follow->stale_id = 0;
	if (tracked)
		follow_recheck(follow, tracked);
}

bool follow_step(struct follow *follow)
{
	names_flush(follow->names, loop_now_us(follow->loop));
	if (follow->stale_id)
		recheck_stale(follow);
	if (follow->retry_pending) {
		follow->retry_pending = false;
		names_retry(follow->names, loop_now_us(follow->loop));
	}
	if (follow->processes_sweep.running)
		sweep_slice(&follow->processes_sweep, names_processes_step,
			    follow->names, PROCESSES_SLICE);
	for (size_t i = 0; i < follow->n_scans; i++) {
		if (follow->scans[i].wanted || follow->scans[i].stream) {
			scan_slice(follow, i);
			return true;
		}
	}
	if (follow->names_sweep.running)
		sweep_slice(&follow->names_sweep, names_sweep_step,
			    follow->names, SWEEP_SLICE);
	return follow->names_sweep.running || follow->processes_sweep.running;
}

static int add_dir(struct follow *follow, const char *path)
{
	struct scan *scans;
	int r;

	for (size_t i = 0; i < follow->n_scans; i++) {
		if (strcmp(dirwatch_path(follow->dirwatch, i), path) == 0)
			return 0; /* given twice */
	}
	scans = reallocarray(follow->scans, follow->n_scans + 1,
			     sizeof(*scans));
	if (!scans)
		return -ENOMEM;
	follow->scans = scans;
	scans[follow->n_scans++] = (struct scan){ 0 };
	r = names_add_dir(follow->names, path);
	if (r < 0)
		return r;
	r = dirwatch_add(follow->dirwatch, path);
	if (r < 0)
		return log_error_errno(r, "cannot watch directory '%s'%s", path,
				       r == -ENOSPC ? " (fs.inotify."
						      "max_user_watches)"
						    : "");
	return 0;
}

static int open_timers(struct follow *follow)
{
	int r = loop_timer_new(follow->loop, pending_handler, follow,
			       &follow->pending_timer);

	follow->shortage_pause_us = SHORTAGE_PAUSE_MIN_US;
	if (r == 0)
		r = loop_timer_new(follow->loop, shortage_handler, follow,
				   &follow->shortage_timer);
	if (r == 0)
		r = sweep_init(&follow->names_sweep, follow->loop,
			       sweep_handler, follow);
	if (r == 0)
		r = sweep_init(&follow->processes_sweep, follow->loop,
			       processes_handler, follow);
	return r;
}

static int open_dirs(struct follow *follow, const struct follow_config *config)
{
	int r = dirwatch_new(follow->loop, 0, dirwatch_told, follow,
			     &follow->dirwatch);

	if (r < 0)
		return log_error_errno(r, "cannot watch directories%s",
				       r == -EMFILE ? " (fs.inotify."
						      "max_user_instances)"
						    : "");
	r = dirwatch_follow_mounts(follow->dirwatch, follow->mounts);
	for (size_t i = 0; i < config->n_dirs && r == 0; i++)
		r = add_dir(follow, config->dirs[i]);
	if (r == 0)
		r = names_add_dir(follow->names, NETNS_REGISTERED_DIR);
	if (r < 0)
		return r;
	follow->registered = (size_t)r;
	return 0;
}

static int open_all(struct follow *follow, const struct follow_config *config)
{
	struct resolution host;
	int r = resolve_host(&host);

	if (r < 0)
		return r;
	r = names_new(follow->registry, &host, &names_ops, follow,
		      &follow->names);
	if (r == 0)
		r = processes_new(follow->loop, PROCESSES_MAX, process_ended,
				  follow, &follow->processes);
	if (r == 0)
		r = open_timers(follow);
	if (r == 0)
		r = mounts_listen(follow->mounts, mounts_told, follow,
				  &follow->mounts_listener);
	return r < 0 ? r : open_dirs(follow, config);
}

int follow_new(const struct follow_config *config, const struct follow_ops *ops,
	       void *user_data, struct follow **ret_follow)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	int r;

	if (!follow)
		return -ENOMEM;
	follow->loop = config->loop;
	follow->registry = config->registry;
	follow->mounts = config->mounts;
	follow->ops = ops;
	follow->user_data = user_data;
	r = open_all(follow, config);
	if (r < 0) {
		follow_free(follow);
		return r;
	}
	*ret_follow = follow;
	return 0;
}

struct follow *follow_free(struct follow *follow)
{
	if (!follow)
		return NULL;
	fresh_close(&follow->fresh);
	dirwatch_free(follow->dirwatch);
	mounts_listener_free(follow->mounts_listener);
	loop_timer_free(follow->pending_timer);
	loop_timer_free(follow->shortage_timer);
	sweep_done(&follow->names_sweep);
	sweep_done(&follow->processes_sweep);
	for (size_t i = 0; i < follow->n_scans; i++)
		scan_close(&follow->scans[i]);
	free(follow->scans);
	names_free(follow->names); /* unwatches its processes */
	processes_free(follow->processes);
	free(follow);
	return NULL;
}

void follow_registered(struct follow *follow, const char *name, bool is_there)
{
	uint64_t now_us = loop_now_us(follow->loop);

	if (is_there)
		names_created(follow->names, follow->registered, name, now_us);
	else
		names_removed(follow->names, follow->registered, name, now_us);
}

void follow_look_at(struct follow *follow, const char *dir, const char *name)
{
	for (size_t i = 0; i < follow->n_scans; i++) {
		if (strcmp(dirwatch_path(follow->dirwatch, i), dir) == 0 &&
		    !names_lookup_in(follow->names, i, name))
			names_created(follow->names, i, name,
				      loop_now_us(follow->loop));
	}
}

bool follow_step_due(const struct follow *follow)
{
	return follow->stale_id || names_flush_due(follow->names);
}

struct tracked *follow_find_name(const struct follow *follow, const char *name)
{
	return names_lookup(follow->names, name);
}

struct tracked *follow_find_in(const struct follow *follow, const char *dir,
			       const char *name)
{
	for (size_t i = 0; i < follow->n_scans; i++) {
		if (strcmp(dirwatch_path(follow->dirwatch, i), dir) == 0)
			return names_lookup_in(follow->names, i, name);
	}
	return NULL;
}

const char *follow_watched_dir(const struct follow *follow, const char *dir)
{
	for (size_t i = 0; i < follow->n_scans; i++) {
		const char *path = dirwatch_path(follow->dirwatch, i);
		const char *real = dirwatch_real_path(follow->dirwatch, i);

		if (strcmp(path, dir) == 0 || (real && strcmp(real, dir) == 0))
			return path;
	}
	return NULL;
}

size_t follow_pending(const struct follow *follow,
		      struct watcher_pending *ret_pending, size_t max)
{
	return names_pending(follow->names, ret_pending, max);
}

size_t follow_unreadable(const struct follow *follow)
{
	return names_unreadable(follow->names);
}

size_t follow_dir_count(const struct follow *follow)
{
	return follow->n_scans;
}

const char *follow_dir(const struct follow *follow, size_t index,
		       bool *ret_exists)
{
	*ret_exists = dirwatch_exists(follow->dirwatch, index);
	return dirwatch_path(follow->dirwatch, index);
}

void follow_get_stats(const struct follow *follow,
		      struct watcher_stats *ret_stats)
{
	ret_stats->names_events = follow->n_events;
	ret_stats->names_overflows = dirwatch_overflows(follow->dirwatch);
}
