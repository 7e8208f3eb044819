/* SPDX-License-Identifier: Apache-2.0 */
/* watcher_fixture.h - the whole watcher on real namespaces
 *
 * Needs root. Makes its own mount namespace, directories and network
 * namespaces, so nothing is left behind whatever happens.
 */
#ifndef TESTS_UNIT_WATCHER_FIXTURE_H
#define TESTS_UNIT_WATCHER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/netns_enter.h"
#include "common/util.h"
#include "watcher/watcher.h"

#define WAIT_US (15 * USEC_PER_SEC)
#define MAX_ADDRESSES 16

struct fixture {
	char base[64];
	char dir[80];
	struct loop *loop;
	struct loop_timer *timeout;
	struct mounts *mounts;
	unsigned int mounts_flags;
	struct watcher *watcher;
	unsigned int changed, gone, freed;
	unsigned int ended, registrations_changed;
	uint64_t gone_id, freed_id, ended_id;
	const char *ended_reason;
	bool one_step;
	bool (*until)(struct fixture *f);
	const char *name; /* for until */
	uint64_t id;
	size_t number;
};

static int home_fd = -1;

static inline void changed(struct netns *netns, void *user_data)
{
	struct fixture *f = user_data;

	(void)netns;
	f->changed++;
}

static inline void gone(struct netns *netns, void *user_data)
{
	struct fixture *f = user_data;

	f->gone++;
	f->gone_id = netns->id;
}

static inline void freed(uint64_t netns_id, uint64_t elapsed_us,
			 void *user_data)
{
	struct fixture *f = user_data;

	(void)elapsed_us;
	f->freed++;
	f->freed_id = netns_id;
}

static inline void ended(const struct registration *registration,
			 const char *reason, void *user_data)
{
	struct fixture *f = user_data;

	f->ended++;
	f->ended_id = registration->id;
	f->ended_reason = reason;
}

static inline void registrations_changed(void *user_data)
{
	struct fixture *f = user_data;

	f->registrations_changed++;
}

static const struct watcher_ops ops = {
	.changed = changed,
	.gone = gone,
	.freed = freed,
	.registration_ended = ended,
	.registrations_changed = registrations_changed,
};

static inline bool after_handler(void *user_data)
{
	struct fixture *f = user_data;
	bool more = watcher_step(f->watcher);

	more = watcher_batch_end(f->watcher, /* idle= */ !more) || more;
	if (f->one_step || (f->until && f->until(f)))
		loop_quit(f->loop, 0);
	return more;
}

static inline void timeout_handler(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, -ETIMEDOUT);
}

static inline void wait_until(struct fixture *f,
			      bool (*until)(struct fixture *f))
{
	if (until(f))
		return;
	f->until = until;
	loop_timer_set(f->timeout, monotonic_us() + WAIT_US);
	assert_int_equal(loop_run(f->loop), 0);
	f->until = NULL;
	loop_timer_unset(f->timeout);
}

static inline const char *path(const struct fixture *f, const char *name)
{
	static char buffers[4][256];
	static unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];

	(void)snprintf(buffer, sizeof(buffers[0]), "%s/%s", f->dir, name);
	return buffer;
}

static inline void make_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static inline void go_home(void)
{
	assert_int_equal(setns(home_fd, CLONE_NEWNET), 0);
}

/* Mounts the current namespace over @name; enter one before. */
static inline void mount_name(const struct fixture *f, const char *name)
{
	assert_int_equal(mount("/proc/thread-self/ns/net", path(f, name), NULL,
			       MS_BIND, NULL),
			 0);
}

/* Whose name "gap" is mounted right behind the next look at it. */
static const struct fixture *gap_fixture;

/* Called for each look at a file, if it is set. */
static void (*on_statx)(const char *file);

/* In place of the C library's, which resolve.c looks with. */
int statx(int dir_fd, const char *restrict file, int flags, unsigned int mask,
	  struct statx *restrict ret)
{
	long r = syscall(SYS_statx, dir_fd, file, flags, mask, ret);

	if (gap_fixture && strcmp(file, path(gap_fixture, "gap")) == 0) {
		const struct fixture *f = TAKE_PTR(gap_fixture);

		assert_int_equal(unshare(CLONE_NEWNET), 0);
		mount_name(f, "gap");
		go_home();
	}
	if (on_statx)
		on_statx(file);
	return (int)r;
}

static inline void add(const struct fixture *f, const char *name)
{
	make_file(path(f, name));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, name);
	go_home();
}

static inline void del(const struct fixture *f, const char *name)
{
	assert_int_equal(umount2(path(f, name), MNT_DETACH), 0);
	assert_int_equal(unlink(path(f, name)), 0);
}

static inline void run_inside(const struct fixture *f, const char *name,
			      const char *command)
{
	int fd = open(path(f, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
	(void)close(fd);
	assert_int_equal(system(command), 0);
	go_home();
}

static inline struct netns *find(struct fixture *f, const char *name)
{
	struct netns *netns = NULL;

	while ((netns = watcher_next(f->watcher, netns))) {
		for (size_t i = 0; i < netns->n_names; i++) {
			if (strcmp(netns->names[i].name, name) == 0)
				return netns;
		}
	}
	return NULL;
}

static inline bool until_settled(struct fixture *f)
{
	return watcher_settled(f->watcher);
}

static inline bool until_found(struct fixture *f)
{
	return find(f, f->name) != NULL;
}

static inline bool until_missing(struct fixture *f)
{
	return find(f, f->name) == NULL;
}

static inline bool until_other(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns && netns->id != f->id;
}

static inline bool until_freed(struct fixture *f)
{
	return f->freed >= f->number;
}

static inline bool until_nsid(struct fixture *f)
{
	return watcher_nsid(f->watcher, find(f, f->name)) >= 0;
}

static inline bool until_addresses(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns && netns->n_addresses == f->number;
}

static inline bool until_pending(struct fixture *f)
{
	return watcher_pending_names(f->watcher, NULL, 0) == f->number;
}

static inline void expect(struct fixture *f, bool (*until)(struct fixture *f),
			  const char *name)
{
	f->name = name;
	wait_until(f, until);
}

static inline void expect_number(struct fixture *f,
				 bool (*until)(struct fixture *f),
				 const char *name, size_t number)
{
	f->number = number;
	expect(f, until, name);
}

static inline void prepare_start(struct fixture *f, size_t buffer_bytes)
{
	const char *dirs[] = { f->dir };
	struct watcher_config config = {
		.dirs = dirs,
		.n_dirs = 1,
		.max_addresses = MAX_ADDRESSES,
		.netlink_buffer_bytes = buffer_bytes,
	};

	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(
		loop_timer_new(f->loop, timeout_handler, f, &f->timeout), 0);
	assert_int_equal(mounts_new(f->loop, f->mounts_flags, &f->mounts), 0);
	config.mounts = f->mounts;
	assert_int_equal(watcher_new(f->loop, &config, &ops, f, &f->watcher),
			 0);
}

static inline void settle(struct fixture *f)
{
	loop_set_after(f->loop, after_handler, f);
	(void)after_handler(f);
	wait_until(f, until_settled);
}

static inline void start(struct fixture *f, size_t buffer_bytes)
{
	prepare_start(f, buffer_bytes);
	settle(f);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	(void)snprintf(f->base, sizeof(f->base), "/tmp/berth-watcher-XXXXXX");
	assert_non_null(mkdtemp(f->base));
	assert_int_equal(mount("berth-test", f->base, "tmpfs", 0, NULL), 0);
	(void)snprintf(f->dir, sizeof(f->dir), "%s/netns", f->base);
	assert_int_equal(mkdir(f->dir, 0755), 0);
	return 0;
}

static inline int setup_poll_only(void **state)
{
	int r = setup(state);

	((struct fixture *)*state)->mounts_flags = MOUNTS_POLL_ONLY;
	return r;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	go_home();
	watcher_free(f->watcher);
	mounts_free(f->mounts);
	loop_timer_free(f->timeout);
	loop_free(f->loop);
	(void)umount2(f->base, MNT_DETACH);
	(void)rmdir(f->base);
	free(f);
	return 0;
}

static inline int prepare(void **state)
{
	(void)state;
	home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_fd < 0 || netns_enter_init() < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return 0;
}

#endif
