// SPDX-License-Identifier: Apache-2.0
/* follow.c - follows the names in the watched directories
 *
 * Theory of operation: a name appears in two steps, a file and then a mount
 * over it, and inotify tells only of the first. So a name that leads to no
 * namespace is pending. It can also lose its namespace by umount(2) alone, and
 * inotify tells nothing. Both are told by mounts.c. Where the kernel says which
 * mount came or went, exactly the name that it is over is looked at.
 *
 * Where it does not, or when such events were lost, pending names are looked at
 * again at each change of the mounts, the newest first and for some minutes.
 * And a timer is set, after which a sweep looks at all names, in slices: a host
 * that mounts all day costs one sweep a second, an idle one nothing. Sweeps
 * that take long come less often, and one that was begun goes to its end. Links
 * are always followed like this, as what they lead to can be anywhere.
 *
 * A timer retries pending names as well, with growing pauses, for what tells
 * nothing at all (links whose target appears). A name that is still pending
 * after some minutes is only looked at in sweeps.
 *
 * A name can be a link through a process, /proc/PID/ns/net. The end of the
 * process is told (processes.c), but nothing tells that it went to another
 * namespace, or that one ended for which there is no descriptor. While there
 * are such names, they have a sweep of their own. To be told by the kernel
 * (the connector of processes) would wake berthd for each process of the host.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/watcher_internal.h"

#define SCAN_SLICE 64 /* names; about 0.5 ms */
#define SWEEP_SLICE 256 /* most are one statx(2) */

#define PENDING_PAUSE_MIN_US (10 * USEC_PER_MSEC)
#define PENDING_PAUSE_MAX_US (5 * USEC_PER_SEC)
#define RETRY_PAUSES 4 /* of the length of what it took */
#define SHORTAGE_PAUSE_MIN_US (10 * USEC_PER_MSEC)
#define SHORTAGE_PAUSE_MAX_US USEC_PER_SEC
#define SWEEP_PAUSE_US USEC_PER_SEC
#define SWEEP_SHARE 20 /* of the time, at most */
#define PROCESSES_SLICE 64 /* most are one statx(2) through links */

static int resolve(const char *dir, const char *name, struct resolution *ret,
		   const char **ret_reason, void *user_data)
{
	struct watcher *watcher = user_data;
	int fd = resolve_open(dir, name, 0, ret, ret_reason);

	if (fd < 0)
		return fd;
	if (watcher->n_fresh == FRESH_MAX) {
		(void)close(fd); /* a namespace: nothing to be lost */
		return 0;
	}
	watcher->fresh[watcher->n_fresh++] =
		(struct fresh){ .who = *ret, .fd = fd };
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
	struct watcher *watcher = user_data;

	return processes_watch(watcher->processes, task, pid_fd, name);
}

static bool full_of_processes(void *user_data)
{
	const struct watcher *watcher = user_data;

	return processes_full(watcher->processes);
}

static void unwatch_process(void *handle, void *user_data)
{
	(void)user_data;
	(void)processes_forget(handle);
}

static void changed(struct tracked *tracked, void *user_data)
{
	watcher_tell_changed(user_data, tracked);
}

static void gone(struct tracked *tracked, void *user_data)
{
	watcher_tell_gone(user_data, tracked);
}

static void pending(void *user_data)
{
	struct watcher *watcher = user_data;

	watcher->pending_pause_us = PENDING_PAUSE_MIN_US;
	loop_timer_set_earlier(watcher->pending_timer,
			       loop_now_us(watcher->loop) +
				       PENDING_PAUSE_MIN_US);
	mounts_hurry(watcher->mounts, true);
	/* The mount may have come between the look and the watch. */
	watcher->retry_pending = !mounts_tells_which(watcher->mounts);
}

static void shortage(void *user_data)
{
	struct watcher *watcher = user_data;

	if (!loop_timer_is_set(watcher->shortage_timer))
		loop_timer_set(watcher->shortage_timer,
			       loop_now_us(watcher->loop) +
				       watcher->shortage_pause_us);
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

static void sweep_want(struct watcher *watcher, struct sweep *sweep)
{
	if (sweep->running)
		sweep->again = true;
	else if (!loop_timer_is_set(sweep->timer))
		loop_timer_set(sweep->timer,
			       loop_now_us(watcher->loop) + sweep->pause_us);
}

static void sweep_begin(struct sweep *sweep)
{
	sweep->running = true;
	sweep->again = false;
	sweep->took_us = 0;
}

static void sweep_slice(struct watcher *watcher, struct sweep *sweep,
			size_t max)
{
	uint64_t began_us = monotonic_us();

	sweep->running =
		sweep->step(watcher->names, max, loop_now_us(watcher->loop));
	sweep->took_us += monotonic_us() - began_us;
	if (sweep->running)
		return;
	sweep->pause_us = sweep->took_us * SWEEP_SHARE > SWEEP_PAUSE_US
				  ? sweep->took_us * SWEEP_SHARE
				  : SWEEP_PAUSE_US;
	if (sweep->again)
		sweep_want(watcher, sweep);
}

static void pending_handler(void *user_data)
{
	struct watcher *watcher = user_data;
	uint64_t now_us = loop_now_us(watcher->loop);

	watcher->pending_pause_us *= 2;
	if (watcher->pending_pause_us > PENDING_PAUSE_MAX_US)
		watcher->pending_pause_us = PENDING_PAUSE_MAX_US;
	names_retry(watcher->names, now_us);
	if (names_young(watcher->names, now_us))
		loop_timer_set_earlier(watcher->pending_timer,
				       now_us + watcher->pending_pause_us);
}

/* Only the first name is looked at in vain while it lasts. */
static void shortage_handler(void *user_data)
{
	struct watcher *watcher = user_data;
	uint64_t now_us = loop_now_us(watcher->loop);
	int r = names_retry_short(watcher->names, SCAN_SLICE, now_us);

	if (r >= 0) {
		watcher->shortage_pause_us = SHORTAGE_PAUSE_MIN_US;
		if (r > 0)
			loop_timer_set(watcher->shortage_timer, now_us);
		return;
	}
	watcher->shortage_pause_us *= 2;
	if (watcher->shortage_pause_us > SHORTAGE_PAUSE_MAX_US)
		watcher->shortage_pause_us = SHORTAGE_PAUSE_MAX_US;
	loop_timer_set(watcher->shortage_timer,
		       now_us + watcher->shortage_pause_us);
}

static void process_ended(void *subject, void *user_data)
{
	struct watcher *watcher = user_data;

	names_process_ended(watcher->names, subject,
			    loop_now_us(watcher->loop));
}

/* Tries the pending names and the links, now or when it is their turn. */
static void retry(struct watcher *watcher)
{
	uint64_t now_us = loop_now_us(watcher->loop), began_us;

	if (now_us < watcher->retry_next_us) {
		loop_timer_set_earlier(watcher->pending_timer,
				       watcher->retry_next_us);
		return;
	}
	began_us = monotonic_us();
	names_retry(watcher->names, now_us);
	watcher->retry_next_us =
		now_us + (monotonic_us() - began_us) * RETRY_PAUSES;
}

/* Looks at the name that has @path, if a watched directory has it. */
static void look_at_path(struct watcher *watcher, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	for (size_t i = 0; i < watcher->n_scans && slash; i++) {
		const char *dir = dirwatch_real_path(watcher->dirwatch, i);

		if (dir && strlen(dir) == len && memcmp(dir, path, len) == 0) {
			names_mounted(watcher->names, i, slash + 1,
				      loop_now_us(watcher->loop));
			return;
		}
	}
}

static void attached(struct watcher *watcher, uint64_t mount_id)
{
	char path[PATH_MAX];
	int r;

	if (names_has_mount(watcher->names, mount_id))
		return; /* it was found before it was told */
	r = mounts_path(mount_id, path);
	if (r == 0)
		look_at_path(watcher, path);
	/* A link may lead to the name found. */
	if ((r < 0 && r != -ENOENT) || names_need_retry(watcher->names))
		watcher->mounted_elsewhere = true;
}

static bool any_omitted(const struct watcher *watcher)
{
	for (size_t i = 0; i < watcher->n_scans; i++) {
		if (names_omitted(watcher->names, i))
			return true;
	}
	return false;
}

static void mounts_changed(struct watcher *watcher)
{
	if (watcher->mounted_elsewhere) {
		retry(watcher);
		sweep_want(watcher, &watcher->names_sweep);
	} else if (any_omitted(watcher)) {
		sweep_want(watcher, &watcher->names_sweep);
	}
	watcher->mounted_elsewhere = false;
	mounts_hurry(watcher->mounts,
		     names_young(watcher->names, loop_now_us(watcher->loop)));
}

static void mounts_told(const struct mounts_change *change, void *user_data)
{
	struct watcher *watcher = user_data;

	switch (change->event) {
	case MOUNTS_ATTACHED:
		attached(watcher, change->mount_id);
		break;
	case MOUNTS_DETACHED:
		names_unmounted(watcher->names, change->mount_id,
				loop_now_us(watcher->loop));
		/* A link may lead to the same mount as the name found. */
		if (names_need_retry(watcher->names))
			watcher->mounted_elsewhere = true;
		break;
	case MOUNTS_UNKNOWN:
		watcher->mounted_elsewhere = true;
		break;
	case MOUNTS_EARLY:
		retry(watcher);
		break;
	case MOUNTS_CHANGED:
		mounts_changed(watcher);
		break;
	}
}

int follow_take_fresh(struct watcher *watcher, const struct tracked *tracked)
{
	for (size_t i = 0; i < watcher->n_fresh; i++) {
		if (watcher->fresh[i].fd >= 0 &&
		    names_is_same(tracked, &watcher->fresh[i].who))
			return TAKE_FD(watcher->fresh[i].fd);
	}
	return -1;
}

void follow_batch_end(struct watcher *watcher)
{
	while (watcher->n_fresh > 0)
		cleanup_close(&watcher->fresh[--watcher->n_fresh].fd);
	if (names_has_processes(watcher->names) &&
	    !watcher->processes_sweep.running)
		sweep_want(watcher, &watcher->processes_sweep);
}

static void scan_close(struct scan *scan)
{
	if (scan->stream)
		(void)closedir(scan->stream); /* only read from */
	scan->stream = NULL;
}

/* A listing that is at work goes on to its end, for another might be wanted
 * before the next ends, for ever; then the next begins. */
static void scan_want(struct watcher *watcher, size_t dir)
{
	watcher->scans[dir].wanted = true;
	if (!watcher->scans[dir].stream)
		names_scan_begin(watcher->names, dir);
}

static void dirwatch_told(enum dirwatch_event event, size_t dir,
			  const char *name, void *user_data)
{
	struct watcher *watcher = user_data;
	uint64_t now_us = loop_now_us(watcher->loop);

	watcher->stats.names_events++;
	switch (event) {
	case DIRWATCH_SCAN:
		scan_want(watcher, dir);
		break;
	case DIRWATCH_GONE:
		scan_close(&watcher->scans[dir]);
		watcher->scans[dir] = (struct scan){ 0 };
		names_dir_gone(watcher->names, dir);
		break;
	case DIRWATCH_CREATED:
	case DIRWATCH_MOVED_IN:
		names_created(watcher->names, dir, name, now_us);
		break;
	case DIRWATCH_REMOVED:
		names_removed(watcher->names, dir, name, now_us);
		break;
	case DIRWATCH_MODIFIED:
	case DIRWATCH_WRITTEN:
		break; /* not asked for */
	}
}

static void sweep_handler(void *user_data)
{
	struct watcher *watcher = user_data;

	for (size_t i = 0; i < watcher->n_scans; i++) {
		struct scan *scan = &watcher->scans[i];

		if (!scan->stream &&
		    (scan->failed || names_omitted(watcher->names, i)))
			scan_want(watcher, i);
	}
	names_sweep_begin(watcher->names);
	sweep_begin(&watcher->names_sweep);
}

static void processes_handler(void *user_data)
{
	struct watcher *watcher = user_data;

	names_processes_begin(watcher->names);
	sweep_begin(&watcher->processes_sweep);
}

/* The directory could not be listed now: later. */
static void scan_fail(struct watcher *watcher, size_t dir)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 5 };

	if (log_ratelimit_ok(&limit))
		log_error_errno(-errno, "cannot list directory '%s'; retrying",
				dirwatch_path(watcher->dirwatch, dir));
	scan_close(&watcher->scans[dir]);
	watcher->scans[dir].failed = true;
	sweep_want(watcher, &watcher->names_sweep);
}

static void scan_open(struct watcher *watcher, size_t dir)
{
	struct scan *scan = &watcher->scans[dir];

	scan->wanted = scan->failed = false;
	scan->stream = opendir(dirwatch_path(watcher->dirwatch, dir));
	if (scan->stream)
		names_scan_begin(watcher->names, dir);
	else if (errno != ENOENT && errno != ENOTDIR)
		scan_fail(watcher, dir);
	/* Else it is gone again: the event is on its way. */
}

/* Return: is there more? */
static bool scan_entry(struct watcher *watcher, size_t dir)
{
	struct scan *scan = &watcher->scans[dir];
	uint64_t now_us = loop_now_us(watcher->loop);
	const struct dirent *entry;

	errno = 0;
	entry = readdir(scan->stream);
	if (!entry && errno == ENOENT) {
		scan_close(scan); /* it was removed: the event is on its way */
	} else if (!entry && errno) {
		scan_fail(watcher, dir);
	} else if (!entry) {
		names_scan_end(watcher->names, dir, now_us);
		scan_close(scan);
	} else if (strcmp(entry->d_name, ".") != 0 &&
		   strcmp(entry->d_name, "..") != 0) {
		names_scan_entry(watcher->names, dir, entry->d_name, now_us);
	}
	return scan->stream;
}

static void scan_slice(struct watcher *watcher, size_t dir)
{
	struct scan *scan = &watcher->scans[dir];

	if (scan->wanted && !scan->stream)
		scan_open(watcher, dir);
	for (int i = 0; i < SCAN_SLICE && scan->stream; i++) {
		if (!scan_entry(watcher, dir))
			break;
	}
}

bool follow_scanning(const struct watcher *watcher)
{
	for (size_t i = 0; i < watcher->n_scans; i++) {
		if (watcher->scans[i].wanted || watcher->scans[i].stream)
			return true;
	}
	return false;
}

void follow_stale(struct watcher *watcher, const struct tracked *tracked)
{
	watcher->stale_id = tracked->netns.id;
}

static void recheck_stale(struct watcher *watcher)
{
	struct tracked *tracked =
		registry_find(&watcher->registry, watcher->stale_id);

	watcher->stale_id = 0;
	if (tracked)
		names_recheck(watcher->names, tracked,
			      loop_now_us(watcher->loop));
}

bool follow_step(struct watcher *watcher)
{
	if (watcher->stale_id)
		recheck_stale(watcher);
	if (watcher->retry_pending) {
		watcher->retry_pending = false;
		names_retry(watcher->names, loop_now_us(watcher->loop));
	}
	if (watcher->processes_sweep.running)
		sweep_slice(watcher, &watcher->processes_sweep,
			    PROCESSES_SLICE);
	for (size_t i = 0; i < watcher->n_scans; i++) {
		if (watcher->scans[i].wanted || watcher->scans[i].stream) {
			scan_slice(watcher, i);
			return true;
		}
	}
	if (watcher->names_sweep.running)
		sweep_slice(watcher, &watcher->names_sweep, SWEEP_SLICE);
	return watcher->names_sweep.running || watcher->processes_sweep.running;
}

static int add_dir(struct watcher *watcher, const char *path)
{
	struct scan *scans;
	int r;

	for (size_t i = 0; i < watcher->n_scans; i++) {
		if (strcmp(dirwatch_path(watcher->dirwatch, i), path) == 0)
			return 0; /* given twice */
	}
	scans = reallocarray(watcher->scans, watcher->n_scans + 1,
			     sizeof(*scans));
	if (!scans)
		return -ENOMEM;
	watcher->scans = scans;
	scans[watcher->n_scans++] = (struct scan){ 0 };
	r = names_add_dir(watcher->names, path);
	if (r < 0)
		return r;
	r = dirwatch_add(watcher->dirwatch, path);
	if (r < 0)
		return log_error_errno(r, "cannot watch directory '%s'%s", path,
				       r == -ENOSPC ? " (fs.inotify."
						      "max_user_watches)"
						    : "");
	return 0;
}

static int open_sweeps(struct watcher *watcher)
{
	int r;

	watcher->names_sweep = (struct sweep){
		.step = names_sweep_step,
		.pause_us = SWEEP_PAUSE_US,
	};
	watcher->processes_sweep = (struct sweep){
		.step = names_processes_step,
		.pause_us = SWEEP_PAUSE_US,
	};
	r = loop_timer_new(watcher->loop, sweep_handler, watcher,
			   &watcher->names_sweep.timer);
	if (r < 0)
		return r;
	return loop_timer_new(watcher->loop, processes_handler, watcher,
			      &watcher->processes_sweep.timer);
}

int follow_open(struct watcher *watcher, const char *const *dirs, size_t n_dirs)
{
	struct resolution host;
	int r = resolve_host(&host);

	if (r < 0)
		return r;
	r = names_new(&watcher->registry, &host, &names_ops, watcher,
		      &watcher->names);
	if (r == 0)
		r = processes_new(watcher->loop, process_ended, watcher,
				  &watcher->processes);
	if (r == 0)
		r = loop_timer_new(watcher->loop, pending_handler, watcher,
				   &watcher->pending_timer);
	watcher->shortage_pause_us = SHORTAGE_PAUSE_MIN_US;
	if (r == 0)
		r = loop_timer_new(watcher->loop, shortage_handler, watcher,
				   &watcher->shortage_timer);
	if (r == 0)
		r = open_sweeps(watcher);
	if (r == 0)
		r = mounts_listen(watcher->mounts, mounts_told, watcher,
				  &watcher->mounts_listener);
	if (r < 0)
		return r;
	r = dirwatch_new(watcher->loop, 0, dirwatch_told, watcher,
			 &watcher->dirwatch);
	if (r < 0)
		return log_error_errno(r, "cannot watch directories%s",
				       r == -EMFILE ? " (fs.inotify."
						      "max_user_instances)"
						    : "");
	r = dirwatch_follow_mounts(watcher->dirwatch, watcher->mounts);
	for (size_t i = 0; i < n_dirs && r == 0; i++)
		r = add_dir(watcher, dirs[i]);
	return r;
}

void follow_close(struct watcher *watcher)
{
	while (watcher->n_fresh > 0)
		cleanup_close(&watcher->fresh[--watcher->n_fresh].fd);
	dirwatch_free(watcher->dirwatch);
	mounts_listener_free(watcher->mounts_listener);
	loop_timer_free(watcher->pending_timer);
	loop_timer_free(watcher->shortage_timer);
	loop_timer_free(watcher->names_sweep.timer);
	loop_timer_free(watcher->processes_sweep.timer);
	for (size_t i = 0; i < watcher->n_scans; i++)
		scan_close(&watcher->scans[i]);
	free(watcher->scans);
	names_free(watcher->names); /* forgets its processes */
	processes_free(watcher->processes);
}
