// SPDX-License-Identifier: Apache-2.0
/* dirwatch.c - directories that may be missing, come, go and come back
 *
 * Theory of operation: the path of each directory is walked component by
 * component, as the kernel would walk it, and each directory on the way gets a
 * watch for the events that can make the walk end elsewhere:
 *
 *  - one that is followed by a real directory: its own rename (IN_MOVE_SELF),
 *    and the last of them also deletions, because IN_DELETE_SELF of a removed
 *    directory is held back as long as somebody has it open;
 *  - one in which the next component is missing, or a symbolic link: also the
 *    creation, removal and rename of that very entry;
 *  - the directory itself: all entries.
 *
 * When such an event arrives the walk is repeated. If it ends at another
 * watch descriptor, the owner is told GONE for the old directory and SCAN for
 * the new one; at the same one, nothing was lost and nothing is told.
 *
 * The kernel keeps one watch per inode. Here too a struct watch has several
 * users (a directory, and the way to another one), and the kernel's mask is
 * the union of what they want. During a walk masks only grow, so that no
 * event falls between two steps; watches_settle() then shrinks them.
 *
 * A component is watched before the next one is looked up, and the directory
 * before its owner lists it. So an event tells of everything that a lookup
 * misses, except mounts, which inotify does not see. When mounts change,
 * dirwatch looks with one statx(2) for each directory on the way whether it is
 * still the same on the same mount, and repeats the walk only if one is not.
 * Looking at the last directory alone would not do: when something is mounted
 * over a link that leads to it, the directory itself stays where it was. On a
 * host that mounts all day this is done ten times a second.
 *
 * After lost events (IN_Q_OVERFLOW) all walks are repeated and everything is
 * listed again: at once the first time, with growing pauses while events go on
 * being lost.
 */
#include "common/dirwatch.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <utlist.h>

#include "common/file_id.h"
#include "common/holdoff.h"
#include "common/log.h"
#include "common/util.h"

#define READ_BYTES 16384 /* about 500 events in one wake-up */
#define LINKS_MAX 40 /* as many as the kernel follows in one lookup */

#define RETRY_US (5 * USEC_PER_SEC) /* without memory or a free watch */
#define MOUNTS_PAUSE_US (100 * USEC_PER_MSEC) /* between two looks */

#define MASK_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
#define MASK_ENTRY (MASK_SELF | IN_CREATE | IN_DELETE | IN_MOVE)
#define MASK_REMOVAL (MASK_SELF | IN_DELETE)
#define MASK_WRITES (IN_MODIFY | IN_CLOSE_WRITE)
#define MASK_WALK_AGAIN (MASK_SELF | IN_IGNORED | IN_UNMOUNT)

/* wd is -1 once the kernel has dropped the watch (IN_IGNORED) */
struct watch {
	int wd;
	uint32_t mask;
	struct watch *prev, *next;
};

/* struct step - one directory on the way; @entry is the component that matters
 * in it */
struct step {
	struct file_id id; /* as it was before it was watched */
	struct watch *watch;
	uint32_t mask;
	char *path;
	char *entry;
};

struct walk {
	struct step *steps;
	size_t n_steps;
	bool complete; /* the last step is the directory itself */
};

/* struct position - where a walk is: @prefix is walked and has no links in it
 * ("" is the root), @rest is still to be walked */
struct position {
	char *prefix;
	char *rest;
	char *rest_buffer;
	int links;
};

struct directory {
	char *path;
	struct walk walk;
	int wd; /* of the directory that the owner was told of; -1: the owner
		   was told that it is missing */
};

struct dirwatch {
	int inotify_fd;
	uint32_t target_mask;
	struct loop *loop;
	struct loop_source *source;
	struct loop_timer *timer;
	struct mounts_listener *mounts;
	struct loop_timer *mounts_timer;
	uint64_t mounts_next_us; /* the earliest time of the next look */
	dirwatch_handler handler;
	void *user_data;
	struct directory *dirs;
	size_t n_dirs;
	struct watch *watches;
	bool unsettled; /* some masks may be larger than wanted */
	bool lost; /* a rescan waits for the timer */
	struct holdoff holdoff;
	unsigned long overflows;
};

static struct log_ratelimit arm_limit = { .interval_us = 60 * USEC_PER_SEC,
					  .burst = 5 };

static struct watch *watch_find(const struct dirwatch *dw, int wd)
{
	struct watch *watch;

	DL_FOREACH (dw->watches, watch) {
		if (watch->wd == wd)
			return watch;
	}
	return NULL;
}

/* Adds @mask to the watch on @path, which must be a directory and no link. */
static int watch_get(struct dirwatch *dw, const char *path, uint32_t mask,
		     struct watch **ret_watch)
{
	struct watch *watch;
	int wd = inotify_add_watch(dw->inotify_fd, path,
				   mask | IN_MASK_ADD | IN_ONLYDIR |
					   IN_DONT_FOLLOW);

	if (wd < 0)
		return -errno;
	watch = watch_find(dw, wd);
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch) {
			(void)inotify_rm_watch(dw->inotify_fd, wd);
			return -ENOMEM;
		}
		watch->wd = wd;
		DL_APPEND(dw->watches, watch);
	}
	watch->mask |= mask;
	dw->unsettled = true;
	*ret_watch = watch;
	return 0;
}

static uint32_t watch_wanted_mask(const struct dirwatch *dw,
				  const struct watch *watch,
				  const char **ret_path)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < dw->n_dirs; i++) {
		const struct walk *walk = &dw->dirs[i].walk;

		for (size_t j = 0; j < walk->n_steps; j++) {
			if (walk->steps[j].watch != watch)
				continue;
			mask |= walk->steps[j].mask;
			*ret_path = walk->steps[j].path;
		}
	}
	return mask;
}

/* Sets the kernel's mask to @mask; @path led to @watch when it was walked. */
static void watch_shrink(struct dirwatch *dw, struct watch *watch,
			 const char *path, uint32_t mask)
{
	const uint32_t how = IN_ONLYDIR | IN_DONT_FOLLOW;
	int wd = inotify_add_watch(dw->inotify_fd, path, mask | how);
	struct watch *other;

	if (wd == watch->wd) {
		watch->mask = mask;
		return;
	}
	/* @path leads elsewhere by now, or nowhere; the event that says so is
	 * queued. If the call above changed the watch of another directory,
	 * give that its mask back. */
	if (wd < 0)
		return;
	other = watch_find(dw, wd);
	if (other)
		(void)inotify_add_watch(dw->inotify_fd, path,
					other->mask | how | IN_MASK_ADD);
	else
		(void)inotify_rm_watch(dw->inotify_fd, wd);
}

/* Gives the kernel exactly the masks that the walks want. */
static void watches_settle(struct dirwatch *dw)
{
	struct watch *watch, *next;

	if (!dw->unsettled)
		return;
	dw->unsettled = false;
	DL_FOREACH_SAFE (dw->watches, watch, next) {
		const char *path = NULL;
		uint32_t mask = watch_wanted_mask(dw, watch, &path);

		if (mask == 0) {
			if (watch->wd >= 0) /* fails if the kernel has dropped
					       the watch already */
				(void)inotify_rm_watch(dw->inotify_fd,
						       watch->wd);
			DL_DELETE(dw->watches, watch);
			free(watch);
		} else if (watch->wd >= 0 && mask != watch->mask) {
			watch_shrink(dw, watch, path, mask);
		}
	}
}

static void walk_done(struct walk *walk)
{
	for (size_t i = 0; i < walk->n_steps; i++) {
		free(walk->steps[i].path);
		free(walk->steps[i].entry);
	}
	free(walk->steps);
	*walk = (struct walk){ 0 };
}

static void position_done(struct position *at)
{
	free(at->prefix);
	free(at->rest_buffer);
}

/* Watches directory @path as the next step. */
static int walk_step(struct dirwatch *dw, struct walk *walk, const char *path)
{
	_cleanup_free_ char *copy = NULL;
	struct file_id id = file_id_get(path);
	struct watch *watch = NULL;
	struct step *steps;
	int r = watch_get(dw, path, MASK_ENTRY, &watch);

	/* A directory that may not be read cannot be watched, but the walk can
	 * pass through it. */
	if (r < 0 && r != -EACCES)
		return r;
	copy = strdup(path);
	steps = reallocarray(walk->steps, walk->n_steps + 1, sizeof(*steps));
	if (steps)
		walk->steps = steps;
	if (!steps || !copy)
		return -ENOMEM;
	steps[walk->n_steps++] = (struct step){
		.id = id,
		.watch = watch,
		.mask = MASK_ENTRY,
		.path = TAKE_PTR(copy),
	};
	return 0;
}

/* Splits "a//b/c" into "a" and "b/c"; NULL when nothing is left. */
static char *next_component(char **rest)
{
	char *component = *rest + strspn(*rest, "/");

	if (!*component)
		return NULL;
	*rest = component + strcspn(component, "/");
	if (**rest)
		*(*rest)++ = '\0';
	return component;
}

/* Moves the walk to where the link at @link leads. */
static int follow_link(const char *link, struct position *at)
{
	char target[PATH_MAX], *joined;
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (asprintf(&joined, "%s/%s", target, at->rest) < 0)
		return -ENOMEM;
	if (*target == '/')
		at->prefix[0] = '\0';
	free(at->rest_buffer);
	at->rest_buffer = at->rest = joined;
	return 0;
}

/*
 * Enters @component, or the place that it links to, as the next step.
 * Return: 0; -ENOENT and the like when the walk ends here; -ENOSPC, -ENOMEM.
 */
static int walk_component(struct dirwatch *dw, struct walk *walk,
			  struct position *at, const char *component)
{
	struct step *parent = &walk->steps[walk->n_steps - 1];
	_cleanup_free_ char *path = NULL;
	int r;

	free(parent->entry);
	parent->entry = strdup(component);
	if (!parent->entry ||
	    asprintf(&path, "%s/%s", at->prefix, component) < 0)
		return -ENOMEM;
	r = walk_step(dw, walk, path);
	if (r == 0) {
		walk->steps[walk->n_steps - 2].mask = MASK_SELF;
		free(at->prefix);
		at->prefix = TAKE_PTR(path);
		return 0;
	}
	if (r != -ENOTDIR || ++at->links > LINKS_MAX)
		return r;
	r = follow_link(path, at);
	if (r < 0)
		return r;
	return walk_step(dw, walk, *at->prefix ? at->prefix : "/");
}

/* The walk has arrived: its last step is the directory itself. */
static int walk_complete(struct dirwatch *dw, struct walk *walk)
{
	struct step *last = &walk->steps[walk->n_steps - 1];
	int r = watch_get(dw, last->path, dw->target_mask, &last->watch);

	if (r < 0)
		return r;
	assert(last->watch); /* for the static analyzer, which thinks that errno
				can be 0 */
	last->mask = dw->target_mask;
	if (walk->n_steps > 1 && last[-1].mask == MASK_SELF)
		last[-1].mask = MASK_REMOVAL;
	walk->complete = true;
	return 0;
}

/*
 * Walks @path. Return: 0, with ret_walk->complete saying whether the
 * directory is there; -ENOSPC, -ENOMEM.
 */
static int walk_path(struct dirwatch *dw, const char *path,
		     struct walk *ret_walk)
{
	_cleanup_(position_done) struct position at = { 0 };
	_cleanup_(walk_done) struct walk walk = { 0 };
	const char *component;
	int r;

	at.prefix = calloc(1, 1);
	at.rest_buffer = at.rest = strdup(path);
	if (!at.prefix || !at.rest)
		return -ENOMEM;
	r = walk_step(dw, &walk, "/");
	while (r == 0 && (component = next_component(&at.rest)))
		r = walk_component(dw, &walk, &at, component);
	if (r == 0)
		r = walk_complete(dw, &walk);
	if (r == -ENOSPC || r == -ENOMEM)
		return r;
	*ret_walk = walk;
	walk = (struct walk){ 0 };
	return 0;
}

static void tell(struct dirwatch *dw, enum dirwatch_event event, size_t index,
		 const char *name)
{
	dw->handler(event, index, name, dw->user_data);
}

/* Return: 0, or -errno when the walk could not be made and must be repeated:
 * then the directory stays as it was last told. */
static int directory_walk(struct dirwatch *dw, size_t index, bool scan)
{
	struct directory *dir = &dw->dirs[index];
	struct walk walk = { 0 };
	int old_wd = dir->wd, new_wd = -1;
	int r = walk_path(dw, dir->path, &walk);

	dw->unsettled = true;
	if (r < 0)
		return r;
	walk_done(&dir->walk);
	dir->walk = walk;
	if (walk.complete)
		new_wd = walk.steps[walk.n_steps - 1].watch->wd;
	dir->wd = new_wd;
	/* @dir is not valid from here on: a handler may add a directory, which
	 * moves the array. */
	if (old_wd >= 0 && old_wd != new_wd)
		tell(dw, DIRWATCH_GONE, index, NULL);
	if (new_wd >= 0 && (scan || old_wd != new_wd))
		tell(dw, DIRWATCH_SCAN, index, NULL);
	return 0;
}

static void walk_again(struct dirwatch *dw, size_t index, bool scan)
{
	int r = directory_walk(dw, index, scan);

	if (r == 0)
		return;
	if (log_ratelimit_ok(&arm_limit))
		log_error_errno(r, "cannot watch directory '%s'; retrying",
				dw->dirs[index].path);
	dw->lost = true;
	loop_timer_set_earlier(dw->timer, loop_now_us(dw->loop) + RETRY_US);
}

static void rescan_all(struct dirwatch *dw)
{
	dw->lost = false;
	for (size_t i = 0; i < dw->n_dirs; i++)
		walk_again(dw, i, /* scan= */ true);
	watches_settle(dw);
}

static void timer_handler(void *user_data)
{
	struct dirwatch *dw = user_data;

	if (dw->lost)
		rescan_all(dw);
}

/* Does each step of the walk still lead to the directory to which it led? */
static bool is_way_the_same(const struct walk *walk)
{
	struct file_id id;

	for (size_t i = 0; i < walk->n_steps; i++) {
		id = file_id_get(walk->steps[i].path);
		if (!file_id_equal(&id, &walk->steps[i].id))
			return false;
	}
	return walk->n_steps > 0;
}

static void check_mounts(struct dirwatch *dw)
{
	dw->mounts_next_us = loop_now_us(dw->loop) + MOUNTS_PAUSE_US;
	for (size_t i = 0; i < dw->n_dirs; i++) {
		/* A directory that is reached by another mount has other
		 * entries, even if it is the same. */
		if (!is_way_the_same(&dw->dirs[i].walk))
			walk_again(dw, i, /* scan= */ true);
	}
	watches_settle(dw);
}

static void mounts_changed(const struct mounts_change *change, void *user_data)
{
	struct dirwatch *dw = user_data;

	if (change->event != MOUNTS_CHANGED)
		return;
	if (loop_now_us(dw->loop) >= dw->mounts_next_us)
		check_mounts(dw);
	else
		loop_timer_set_earlier(dw->mounts_timer, dw->mounts_next_us);
}

static void mounts_timer_handler(void *user_data)
{
	check_mounts(user_data);
}

static void handle_overflow(struct dirwatch *dw)
{
	uint64_t now_us = loop_now_us(dw->loop), at_us;

	dw->overflows++;
	if (dw->lost)
		return;
	at_us = holdoff_next(&dw->holdoff, now_us);
	if (at_us <= now_us) {
		rescan_all(dw);
	} else {
		dw->lost = true;
		loop_timer_set_earlier(dw->timer, at_us);
	}
}

static void tell_entry(struct dirwatch *dw, size_t index,
		       const struct inotify_event *event)
{
	static const struct {
		uint32_t mask;
		enum dirwatch_event event;
	} told[] = {
		{ IN_CREATE, DIRWATCH_CREATED },
		{ IN_MOVED_TO, DIRWATCH_MOVED_IN },
		{ IN_DELETE | IN_MOVED_FROM, DIRWATCH_REMOVED },
		{ IN_MODIFY, DIRWATCH_MODIFIED },
		{ IN_CLOSE_WRITE, DIRWATCH_WRITTEN },
	};

	if (event->len == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		if (event->mask & told[i].mask) {
			tell(dw, told[i].event, index, event->name);
			return;
		}
	}
}

static void directory_event(struct dirwatch *dw, size_t index,
			    const struct inotify_event *event)
{
	const struct walk *walk = &dw->dirs[index].walk;
	bool is_target = event->wd == dw->dirs[index].wd, again = false;

	for (size_t i = 0; i < walk->n_steps; i++) {
		const struct step *step = &walk->steps[i];

		if (!step->watch || step->watch->wd != event->wd)
			continue;
		if (event->mask & MASK_WALK_AGAIN)
			again = true;
		else if (step->entry && event->len > 0 &&
			 !(event->mask & MASK_WRITES) &&
			 strcmp(step->entry, event->name) == 0)
			again = true;
	}
	if (is_target)
		tell_entry(dw, index, event);
	if (again)
		walk_again(dw, index, /* scan= */ false);
}

static void dispatch(struct dirwatch *dw, const struct inotify_event *event)
{
	struct watch *watch;

	if (event->mask & IN_Q_OVERFLOW) {
		handle_overflow(dw);
		return;
	}
	for (size_t i = 0; i < dw->n_dirs; i++)
		directory_event(dw, i, event);
	if (event->mask & IN_IGNORED) {
		watch = watch_find(dw, event->wd);
		if (watch)
			watch->wd = -1;
	}
	watches_settle(dw);
}

static void inotify_handler(uint32_t events, void *user_data)
{
	struct dirwatch *dw = user_data;
	char buffer[READ_BYTES]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	(void)events; /* only EPOLLIN can be */
	n = read(dw->inotify_fd, buffer, sizeof(buffer));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (void *)(buffer + at);

		dispatch(dw, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

int dirwatch_new(struct loop *loop, unsigned int flags,
		 dirwatch_handler handler, void *user_data,
		 struct dirwatch **ret_dirwatch)
{
	struct dirwatch *dw = calloc(1, sizeof(*dw));
	int r;

	if (!dw)
		return -ENOMEM;
	*dw = (struct dirwatch){
		.target_mask = MASK_ENTRY |
			       (flags & DIRWATCH_WRITES ? MASK_WRITES : 0),
		.loop = loop,
		.handler = handler,
		.user_data = user_data,
	};
	dw->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = dw->inotify_fd < 0 ? -errno : 0;
	if (r == 0)
		r = loop_timer_new(loop, timer_handler, dw, &dw->timer);
	if (r == 0)
		r = loop_timer_new(loop, mounts_timer_handler, dw,
				   &dw->mounts_timer);
	if (r == 0)
		r = loop_add(loop, dw->inotify_fd, EPOLLIN, inotify_handler, dw,
			     &dw->source);
	if (r < 0) {
		dirwatch_free(dw);
		return r;
	}
	*ret_dirwatch = dw;
	return 0;
}

int dirwatch_follow_mounts(struct dirwatch *dw, struct mounts *mounts)
{
	return mounts_listen(mounts, mounts_changed, dw, &dw->mounts);
}

struct dirwatch *dirwatch_free(struct dirwatch *dw)
{
	struct watch *watch, *next;

	if (!dw)
		return NULL;
	mounts_listener_free(dw->mounts);
	loop_source_free(dw->source);
	loop_timer_free(dw->timer);
	loop_timer_free(dw->mounts_timer);
	cleanup_close(&dw->inotify_fd);
	for (size_t i = 0; i < dw->n_dirs; i++) {
		walk_done(&dw->dirs[i].walk);
		free(dw->dirs[i].path);
	}
	DL_FOREACH_SAFE (dw->watches, watch, next)
		free(watch);
	free(dw->dirs);
	free(dw);
	return NULL;
}

int dirwatch_add(struct dirwatch *dw, const char *path)
{
	_cleanup_free_ char *copy = NULL;
	struct directory *dirs;
	size_t index = dw->n_dirs;
	int r;

	if (*path != '/')
		return -EINVAL;
	copy = strdup(path);
	dirs = reallocarray(dw->dirs, index + 1, sizeof(*dirs));
	if (dirs)
		dw->dirs = dirs;
	if (!dirs || !copy)
		return -ENOMEM;
	dirs[index] = (struct directory){ .path = TAKE_PTR(copy), .wd = -1 };
	dw->n_dirs++;
	r = directory_walk(dw, index, /* scan= */ true);
	if (r < 0) {
		free(dw->dirs[--dw->n_dirs].path);
		watches_settle(dw);
		return r;
	}
	watches_settle(dw);
	return (int)index;
}

bool dirwatch_exists(const struct dirwatch *dw, size_t index)
{
	return dw->dirs[index].wd >= 0;
}

const char *dirwatch_path(const struct dirwatch *dw, size_t index)
{
	return dw->dirs[index].path;
}

const char *dirwatch_real_path(const struct dirwatch *dw, size_t index)
{
	const struct walk *walk = &dw->dirs[index].walk;

	return walk->complete ? walk->steps[walk->n_steps - 1].path : NULL;
}

unsigned long dirwatch_overflows(const struct dirwatch *dw)
{
	return dw->overflows;
}
