// SPDX-License-Identifier: Apache-2.0
/* mounts.c - tells that something was mounted or unmounted, not what
 *
 * /proc/self/mountinfo is ready with EPOLLPRI (and EPOLLERR) once after each
 * change of our mount namespace, without being read; see proc(5). Reading it
 * would cost time for every mount of the host.
 */
#include "watcher/mounts.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "common/util.h"

struct mounts {
	int fd;
	struct loop_source *source;
	void (*changed)(void *user_data);
	void *user_data;
};

static void mounts_handler(uint32_t events, void *user_data)
{
	struct mounts *mounts = user_data;

	(void)events; /* one meaning only */
	mounts->changed(mounts->user_data);
}

int mounts_open(struct loop *loop, void (*changed)(void *user_data),
		void *user_data, struct mounts **ret_mounts)
{
	struct mounts *mounts = calloc(1, sizeof(*mounts));
	int r;

	if (!mounts)
		return -ENOMEM;
	mounts->changed = changed;
	mounts->user_data = user_data;
	mounts->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	r = mounts->fd < 0 ? -errno : 0;
	if (r == 0)
		r = loop_add(loop, mounts->fd, EPOLLPRI, mounts_handler, mounts,
			     "mounts", &mounts->source);
	if (r < 0) {
		mounts_close(mounts);
		return r;
	}
	*ret_mounts = mounts;
	return 0;
}

struct mounts *mounts_close(struct mounts *mounts)
{
	if (!mounts)
		return NULL;
	loop_source_free(mounts->source);
	cleanup_close(&mounts->fd);
	free(mounts);
	return NULL;
}

void mounts_pause(struct mounts *mounts)
{
	/* Cannot fail for a descriptor that is in the set. */
	(void)loop_source_set_events(mounts->source, 0);
}

void mounts_resume(struct mounts *mounts)
{
	/* Fails only without memory; the timers of pending names go on. */
	(void)loop_source_set_events(mounts->source, EPOLLPRI);
}
