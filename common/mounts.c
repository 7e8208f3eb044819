// SPDX-License-Identifier: Apache-2.0
/* mounts.c - tells what is mounted and unmounted in our mount namespace
 *
 * Theory of operation: fanotify(7) tells of each mount that comes (ATTACH) and
 * goes (DETACH), with its number; statmount(2) says where it is. When the
 * queue overflows, an event without a number says so: then any mount may have
 * changed.
 *
 * A kernel that cannot do this, or does not permit it, has
 * /proc/self/mountinfo: it is ready with EPOLLPRI (and EPOLLERR) once after
 * each change, without being read; see proc(5). Reading it would cost time for
 * every mount of the host. Because it wakes the loop for each mount, it is not
 * polled for a second after a change, unless mounts_hurry() asked for that.
 * Polling consumes the event, and adding the file to an epoll set polls it, so
 * a change during the pause would be lost: therefore one change is told after
 * each pause.
 *
 * Where the kernel has both, mounts_hurry() has mountinfo polled as well,
 * because it wakes the loop while mount(2) is still at work, some 20 µs before
 * fanotify does.
 */
#include "common/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "common/mounts_kernel.h"
#include "common/util.h"

#define READ_BYTES 16384 /* about 400 events in one wake-up */
#define PAUSE_US USEC_PER_SEC

struct mounts_listener {
	struct mounts *owner;
	mounts_handler handler;
	void *user_data;
	struct mounts_listener *prev, *next;
};

struct mounts {
	int fanotify_fd; /* -1: the kernel does not tell which mount changed */
	int mountinfo_fd;
	bool hurry;
	bool paused; /* mountinfo is not polled until the timer fires */
	struct loop *loop;
	struct loop_source *fanotify, *mountinfo;
	struct loop_timer *timer;
	struct mounts_listener *listeners;
};

static void tell(const struct mounts *mounts,
		 const struct mounts_change *change)
{
	const struct mounts_listener *listener;

	DL_FOREACH (mounts->listeners, listener)
		listener->handler(change, listener->user_data);
}

static void tell_unknown(const struct mounts *mounts)
{
	tell(mounts, &(struct mounts_change){ .event = MOUNTS_UNKNOWN });
}

static void tell_changed(const struct mounts *mounts)
{
	tell(mounts, &(struct mounts_change){ .event = MOUNTS_CHANGED });
}

static void tell_which(const struct mounts *mounts, enum mounts_event event,
		       uint64_t mount_id)
{
	tell(mounts, &(struct mounts_change){
			     .event = event,
			     .mount_id = mount_id,
		     });
}

static void dispatch(const struct mounts *mounts,
		     const struct fanotify_event_metadata *event)
{
	const struct mount_info_record *info =
		(const void *)((const char *)event + event->metadata_len);

	if (event->mask & FAN_Q_OVERFLOW ||
	    event->vers != FANOTIFY_METADATA_VERSION ||
	    event->event_len < event->metadata_len + sizeof(*info) ||
	    info->header.info_type != FAN_EVENT_INFO_TYPE_MNT) {
		tell_unknown(mounts);
		return;
	}
	/* A mount that was moved has both flags: it went first. */
	if (event->mask & FAN_MNT_DETACH)
		tell_which(mounts, MOUNTS_DETACHED, info->mount_id);
	if (event->mask & FAN_MNT_ATTACH)
		tell_which(mounts, MOUNTS_ATTACHED, info->mount_id);
}

static void fanotify_handler(uint32_t events, void *user_data)
{
	struct mounts *mounts = user_data;
	char buffer[READ_BYTES]
		__attribute__((aligned(__alignof__(struct mount_info_record))));
	const struct fanotify_event_metadata *event = (const void *)buffer;
	ssize_t n = read(mounts->fanotify_fd, buffer, sizeof(buffer));

	(void)events; /* only EPOLLIN can be */
	if (n <= 0)
		return;
	for (; FAN_EVENT_OK(event, n); event = FAN_EVENT_NEXT(event, n))
		dispatch(mounts, event);
	tell_changed(mounts);
}

static void mountinfo_handler(uint32_t events, void *user_data)
{
	struct mounts *mounts = user_data;

	(void)events; /* readiness has one meaning here */
	if (mounts_tells_which(mounts)) {
		tell(mounts, &(struct mounts_change){ .event = MOUNTS_EARLY });
		return;
	}
	tell_unknown(mounts);
	tell_changed(mounts);
	if (mounts->hurry)
		return;
	/* Taking a descriptor out of the epoll set cannot fail. */
	(void)loop_source_set_events(mounts->mountinfo, 0);
	mounts->paused = true;
	loop_timer_set(mounts->timer, loop_now_us(mounts->loop) + PAUSE_US);
}

/* Ends the pause. The timer tells in the next batch what happened during it. */
static void resume(struct mounts *mounts)
{
	uint64_t now_us = loop_now_us(mounts->loop);

	if (loop_source_set_events(mounts->mountinfo, EPOLLPRI) < 0) {
		loop_timer_set(mounts->timer, now_us + PAUSE_US); /* later */
		return;
	}
	mounts->paused = false;
	loop_timer_set(mounts->timer, now_us);
}

static void timer_handler(void *user_data)
{
	struct mounts *mounts = user_data;

	if (mounts->paused) {
		resume(mounts);
		return;
	}
	tell_unknown(mounts);
	tell_changed(mounts);
}

/* Return: a fanotify descriptor that tells of each mount of our mount
 * namespace; -1 if the kernel cannot do this, or does not permit it. */
static int open_fanotify(void)
{
	_cleanup_close_ int fd = -1, mntns_fd = -1;

	fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_MNT | FAN_CLOEXEC |
				   FAN_NONBLOCK,
			   0);
	if (fd < 0)
		return -1;
	mntns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (mntns_fd < 0 ||
	    fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MNTNS,
			  FAN_MNT_ATTACH | FAN_MNT_DETACH, mntns_fd, NULL) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int open_sources(struct mounts *mounts, unsigned int flags)
{
	bool tells_which;
	int r = 0;

	if (!(flags & MOUNTS_POLL_ONLY))
		mounts->fanotify_fd = open_fanotify();
	tells_which = mounts->fanotify_fd >= 0;
	if (tells_which)
		r = loop_add(mounts->loop, mounts->fanotify_fd, EPOLLIN,
			     fanotify_handler, mounts, &mounts->fanotify);
	if (r < 0)
		return r;
	mounts->mountinfo_fd =
		open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (mounts->mountinfo_fd < 0)
		return -errno;
	return loop_add(mounts->loop, mounts->mountinfo_fd,
			tells_which ? 0 : EPOLLPRI, mountinfo_handler, mounts,
			&mounts->mountinfo);
}

int mounts_new(struct loop *loop, unsigned int flags,
	       struct mounts **ret_mounts)
{
	struct mounts *mounts = calloc(1, sizeof(*mounts));
	int r;

	if (!mounts)
		return -ENOMEM;
	mounts->loop = loop;
	mounts->fanotify_fd = mounts->mountinfo_fd = -1;
	r = loop_timer_new(loop, timer_handler, mounts, &mounts->timer);
	if (r == 0)
		r = open_sources(mounts, flags);
	if (r < 0) {
		mounts_free(mounts);
		return r;
	}
	*ret_mounts = mounts;
	return 0;
}

struct mounts *mounts_free(struct mounts *mounts)
{
	if (!mounts)
		return NULL;
	loop_source_free(mounts->fanotify);
	loop_source_free(mounts->mountinfo);
	loop_timer_free(mounts->timer);
	cleanup_close(&mounts->fanotify_fd);
	cleanup_close(&mounts->mountinfo_fd);
	free(mounts);
	return NULL;
}

int mounts_listen(struct mounts *mounts, mounts_handler handler,
		  void *user_data, struct mounts_listener **ret_listener)
{
	struct mounts_listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return -ENOMEM;
	*listener = (struct mounts_listener){
		.owner = mounts,
		.handler = handler,
		.user_data = user_data,
	};
	DL_APPEND(mounts->listeners, listener);
	*ret_listener = listener;
	return 0;
}

struct mounts_listener *mounts_listener_free(struct mounts_listener *listener)
{
	if (!listener)
		return NULL;
	DL_DELETE(listener->owner->listeners, listener);
	free(listener);
	return NULL;
}

bool mounts_tells_which(const struct mounts *mounts)
{
	return mounts->fanotify_fd >= 0;
}

int mounts_path(uint64_t mount_id, char ret[PATH_MAX])
{
	const struct mount_request request = {
		.size = sizeof(request),
		.mount_id = mount_id,
		.mask = STATMOUNT_MNT_POINT,
	};
	union {
		struct mount_status status;
		char bytes[sizeof(struct mount_status) + PATH_MAX];
	} buffer;

	if (syscall(SYS_statmount, &request, &buffer, sizeof(buffer), 0) < 0)
		return -errno;
	if (!(buffer.status.mask & STATMOUNT_MNT_POINT))
		return -ENOENT; /* the mount is not below our root */
	(void)snprintf(ret, PATH_MAX, "%s",
		       buffer.status.text + buffer.status.point);
	return 0;
}

void mounts_hurry(struct mounts *mounts, bool hurry)
{
	mounts->hurry = hurry;
	if (mounts_tells_which(mounts))
		/* Fails only without memory; then fanotify alone tells, a
		 * little later. */
		(void)loop_source_set_events(mounts->mountinfo,
					     hurry ? EPOLLPRI : 0);
	else if (hurry && mounts->paused)
		resume(mounts);
}
