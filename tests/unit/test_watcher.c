// SPDX-License-Identifier: Apache-2.0
/* test_watcher.c - the whole watcher on real namespaces
 *
 * Needs root. Makes its own mount namespace, directories and network
 * namespaces, so nothing is left behind whatever happens.
 */
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

#define WAIT_US (5 * USEC_PER_SEC)
#define MAX_ADDRESSES 16

struct fixture {
	char base[64];
	char dir[80];
	struct loop *loop;
	struct loop_timer *timeout;
	struct watcher *watcher;
	unsigned int changed, gone, freed;
	uint64_t gone_id, freed_id;
	bool one_step;
	bool (*until)(struct fixture *f);
	const char *name; /* for until */
	uint64_t id;
	size_t number;
};

static int home_fd = -1;

static void changed(struct netns *netns, void *user_data)
{
	struct fixture *f = user_data;

	(void)netns;
	f->changed++;
}

static void gone(struct netns *netns, void *user_data)
{
	struct fixture *f = user_data;

	f->gone++;
	f->gone_id = netns->id;
}

static void freed(uint64_t netns_id, uint64_t elapsed_us, void *user_data)
{
	struct fixture *f = user_data;

	(void)elapsed_us;
	f->freed++;
	f->freed_id = netns_id;
}

static const struct watcher_ops ops = {
	.changed = changed,
	.gone = gone,
	.freed = freed,
};

static bool after_handler(void *user_data)
{
	struct fixture *f = user_data;
	bool more = watcher_step(f->watcher);

	more = watcher_batch_end(f->watcher, /* idle= */ !more) || more;
	if (f->one_step || (f->until && f->until(f)))
		loop_quit(f->loop, 0);
	return more;
}

static void timeout_handler(void *user_data)
{
	struct fixture *f = user_data;

	loop_quit(f->loop, -ETIMEDOUT);
}

static void wait_until(struct fixture *f, bool (*until)(struct fixture *f))
{
	if (until(f))
		return;
	f->until = until;
	loop_timer_set(f->timeout, monotonic_us() + WAIT_US);
	assert_int_equal(loop_run(f->loop), 0);
	f->until = NULL;
	loop_timer_unset(f->timeout);
}

static const char *path(const struct fixture *f, const char *name)
{
	static char buffers[4][256];
	static unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];

	(void)snprintf(buffer, sizeof(buffers[0]), "%s/%s", f->dir, name);
	return buffer;
}

static void make_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void go_home(void)
{
	assert_int_equal(setns(home_fd, CLONE_NEWNET), 0);
}

/* Mounts the current namespace over @name; enter one before. */
static void mount_name(const struct fixture *f, const char *name)
{
	assert_int_equal(mount("/proc/thread-self/ns/net", path(f, name), NULL,
			       MS_BIND, NULL),
			 0);
}

/* Whose name "gap" is mounted right behind the next look at it. */
static const struct fixture *gap_fixture;

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
	return (int)r;
}

static void add(const struct fixture *f, const char *name)
{
	make_file(path(f, name));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, name);
	go_home();
}

static void del(const struct fixture *f, const char *name)
{
	assert_int_equal(umount2(path(f, name), MNT_DETACH), 0);
	assert_int_equal(unlink(path(f, name)), 0);
}

static void run_inside(const struct fixture *f, const char *name,
		       const char *command)
{
	int fd = open(path(f, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
	(void)close(fd);
	assert_int_equal(system(command), 0);
	go_home();
}

static struct netns *find(struct fixture *f, const char *name)
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

static bool until_settled(struct fixture *f)
{
	return watcher_settled(f->watcher);
}

static bool until_found(struct fixture *f)
{
	return find(f, f->name) != NULL;
}

static bool until_missing(struct fixture *f)
{
	return find(f, f->name) == NULL;
}

static bool until_other(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns && netns->id != f->id;
}

static bool until_freed(struct fixture *f)
{
	return f->freed >= f->number;
}

static bool until_nsid(struct fixture *f)
{
	return watcher_nsid(f->watcher, find(f, f->name)) >= 0;
}

static bool until_addresses(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns && netns->n_addresses == f->number;
}

static bool until_pending(struct fixture *f)
{
	return watcher_pending_names(f->watcher, NULL, 0) == f->number;
}

static void expect(struct fixture *f, bool (*until)(struct fixture *f),
		   const char *name)
{
	f->name = name;
	wait_until(f, until);
}

static void expect_number(struct fixture *f, bool (*until)(struct fixture *f),
			  const char *name, size_t number)
{
	f->number = number;
	expect(f, until, name);
}

static void start(struct fixture *f, size_t buffer_bytes)
{
	const char *dirs[] = { f->dir };
	const struct watcher_config config = {
		.dirs = dirs,
		.n_dirs = 1,
		.max_addresses = MAX_ADDRESSES,
		.netlink_buffer_bytes = buffer_bytes,
	};

	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(
		loop_timer_new(f->loop, timeout_handler, f, &f->timeout), 0);
	assert_int_equal(watcher_new(f->loop, &config, &ops, f, &f->watcher),
			 0);
	loop_set_after(f->loop, after_handler, f);
	(void)after_handler(f);
	wait_until(f, until_settled);
}

static int setup(void **state)
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

static int teardown(void **state)
{
	struct fixture *f = *state;

	go_home();
	watcher_free(f->watcher);
	loop_timer_free(f->timeout);
	loop_free(f->loop);
	(void)umount2(f->base, MNT_DETACH);
	(void)rmdir(f->base);
	free(f);
	return 0;
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	add(f, "before");
	start(f, 0);
	assert_non_null(find(f, "before"));
	add(f, "a");
	expect(f, until_found, "a");
	first = find(f, "a")->id;
	expect(f, until_nsid, "a");
	del(f, "a");
	expect(f, until_missing, "a");
	assert_int_equal(f->gone, 1);
	assert_true(f->gone_id == first);
	expect_number(f, until_freed, NULL, 1);
	assert_true(f->freed_id == first);
	assert_int_equal(watcher_lingering(f->watcher, NULL, 0), 0);
}

static void test_pending_until_mounted(void **state)
{
	struct fixture *f = *state;
	struct watcher_pending pending;

	start(f, 0);
	make_file(path(f, "late"));
	expect_number(f, until_pending, NULL, 1);
	assert_int_equal(watcher_pending_names(f->watcher, &pending, 1), 1);
	assert_string_equal(pending.name, "late");
	assert_string_equal(pending.reason,
			    "not a namespace (no mount over it yet)");
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "late");
	go_home();
	expect(f, until_found, "late");
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 0);
}

static bool until_looked_at(struct fixture *f)
{
	(void)f;
	return !gap_fixture;
}

/* The look shows a plain file, and the watch on the mounts, which rests while
 * no name is pending, begins when the mount is there already. Nothing tells of
 * it any more: it must be found in the same turn, not by a timer. */
static void test_mount_between_look_and_watch(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	gap_fixture = f;
	make_file(path(f, "gap"));
	expect(f, until_looked_at, NULL);
	assert_non_null(find(f, "gap"));
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 0);
}

static void test_recreated_in_one_batch(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	f->id = find(f, "a")->id;
	del(f, "a");
	add(f, "a");
	expect(f, until_other, "a");
	assert_int_equal(f->gone, 1);
	assert_true(f->gone_id == f->id);
}

static void test_unmounted_without_unlink(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	f->id = find(f, "a")->id;
	assert_int_equal(umount2(path(f, "a"), MNT_DETACH), 0);
	expect(f, until_missing, "a");
	assert_int_equal(f->gone, 1);
	/* Another one over the same file. */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "a");
	go_home();
	expect(f, until_other, "a");
	/* And one over it that inotify does not see either. */
	f->id = find(f, "a")->id;
	assert_int_equal(umount2(path(f, "a"), MNT_DETACH), 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "a");
	go_home();
	expect(f, until_other, "a");
}

static void test_two_names(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	start(f, 0);
	make_file(path(f, "a"));
	make_file(path(f, "b"));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	mount_name(f, "a");
	mount_name(f, "b");
	go_home();
	expect(f, until_found, "b");
	expect(f, until_found, "a");
	netns = find(f, "a");
	assert_ptr_equal(netns, find(f, "b"));
	assert_int_equal(netns->n_names, 2);
	del(f, "a");
	expect(f, until_missing, "a");
	assert_int_equal(f->gone, 0);
	assert_ptr_equal(netns, find(f, "b"));
	del(f, "b");
	expect(f, until_missing, "b");
	assert_int_equal(f->gone, 1);
}

static void test_host_by_name(void **state)
{
	struct fixture *f = *state;
	struct netns *host;

	start(f, 0);
	make_file(path(f, "own"));
	mount_name(f, "own");
	expect(f, until_found, "own");
	host = find(f, "own");
	assert_true(host->host);
	del(f, "own");
	expect(f, until_missing, "own");
	assert_int_equal(f->gone, 0);
	assert_ptr_equal(watcher_find(f->watcher, host->id), host);
}

static void test_link_to_process(void **state)
{
	struct fixture *f = *state;
	char target[64];
	int ready[2], status;
	char byte;
	pid_t pid;

	start(f, 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)snprintf(target, sizeof(target), "/proc/%d/ns/net", (int)pid);
	assert_int_equal(symlink(target, path(f, "direct")), 0);
	assert_int_equal(symlink("direct", path(f, "indirect")), 0);
	(void)snprintf(target, sizeof(target), "/proc/%d/task/%d/ns/net",
		       (int)pid, (int)pid);
	assert_int_equal(symlink(target, path(f, "thread")), 0);
	expect(f, until_found, "thread");
	assert_ptr_equal(find(f, "direct"), find(f, "thread"));
	assert_ptr_equal(find(f, "direct"), find(f, "indirect"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	expect(f, until_missing, "direct");
	expect(f, until_missing, "indirect");
	expect(f, until_missing, "thread");
	assert_int_equal(f->gone, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 3);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* A link to a namespace elsewhere: what it leads to can be unmounted. */
static void test_link_to_mount(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	add(f, "../outside");
	assert_int_equal(symlink("../outside", path(f, "link")), 0);
	expect(f, until_found, "link");
	assert_int_equal(umount2(path(f, "../outside"), MNT_DETACH), 0);
	expect(f, until_missing, "link");
	assert_int_equal(f->gone, 1);
}

static void test_nothing_else_is_opened(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo(path(f, "fifo"), 0600), 0);
	assert_int_equal(mkdir(path(f, "dir"), 0700), 0);
	assert_int_equal(symlink("nowhere", path(f, "dangling")), 0);
	assert_int_equal(symlink("loop", path(f, "loop")), 0);
	make_file(path(f, "mnt"));
	assert_int_equal(mount("/proc/self/ns/mnt", path(f, "mnt"), NULL,
			       MS_BIND, NULL) == 0 ||
				 errno == EINVAL,
			 1);
	start(f, 0);
	assert_int_equal(watcher_pending_names(f->watcher, NULL, 0), 5);
}

static void test_addresses(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	add(f, "a");
	start(f, 0);
	run_inside(f, "a", "ip link set lo up");
	netns = find(f, "a");
	assert_false(netns->addresses_known);
	assert_int_equal(watcher_observe_addresses(f->watcher, netns), 0);
	assert_true(netns->addresses_known);
	assert_int_equal(netns->n_interfaces, 1);
	assert_string_equal(netns->interfaces[0].ifname, "lo");
	assert_int_equal(netns->n_addresses, 2); /* 127.0.0.1, ::1 */
	f->changed = 0;
	run_inside(f, "a",
		   "ip addr add 192.0.2.1/24 dev lo &&"
		   "ip addr add 192.0.2.9 peer 192.0.2.10 dev lo &&"
		   "ip addr add 192.0.2.9 peer 192.0.2.11 dev lo");
	expect_number(f, until_addresses, "a", 4);
	assert_true(f->changed > 0);
	/* One of two peers goes: the local address stays. */
	run_inside(f, "a",
		   "ip addr del 192.0.2.9 peer 192.0.2.11 dev lo &&"
		   "ip addr del 192.0.2.1/24 dev lo");
	expect_number(f, until_addresses, "a", 3);
	run_inside(f, "a", "ip addr del 192.0.2.9 peer 192.0.2.10 dev lo");
	expect_number(f, until_addresses, "a", 2);
}

static bool until_renamed(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns->n_interfaces == 3 &&
	       strcmp(netns->interfaces[2].ifname, "renamed") == 0;
}

static bool until_removed(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns->n_interfaces == 1 && netns->n_addresses == 0;
}

static bool until_usable(struct fixture *f)
{
	struct netns *netns = find(f, f->name);
	size_t n = 0;

	for (size_t i = 0; i < netns->n_addresses; i++)
		n += netns->addresses[i].addr.family == AF_INET6 &&
		     netns_address_usable(&netns->addresses[i]);
	return n == f->number;
}

/* The kernel makes them when it finds the carrier, a moment after the link is
 * up. */
static bool until_tentative(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	for (size_t i = 0; i < netns->n_addresses; i++) {
		if (!netns_address_usable(&netns->addresses[i]))
			return true;
	}
	return false;
}

static void test_interfaces(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	add(f, "a");
	start(f, 0);
	netns = find(f, "a");
	run_inside(f, "a",
		   "ip link add v0 type veth peer name v1 &&"
		   "ip link set v0 up && ip link set v1 up");
	assert_int_equal(watcher_observe_addresses(f->watcher, netns), 0);
	assert_int_equal(netns->n_interfaces, 3);
	expect(f, until_tentative, "a");
	expect_number(f, until_usable, "a", 2);
	run_inside(f, "a",
		   "ip link set v0 down && ip link set v0 name renamed");
	expect(f, until_renamed, "a");
	run_inside(f, "a", "ip link del renamed");
	expect(f, until_removed, "a");
}

static bool until_kept_and_omitted(struct fixture *f)
{
	struct netns *netns = find(f, f->name);

	return netns->n_addresses == MAX_ADDRESSES &&
	       netns->addresses_omitted == f->number;
}

static void test_address_limit(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	add(f, "a");
	start(f, 0);
	netns = find(f, "a");
	assert_int_equal(watcher_observe_addresses(f->watcher, netns), 0);
	run_inside(f, "a",
		   "for i in $(seq 20); do echo addr add 10.0.0.$i/32 dev lo; "
		   "done | ip -batch -");
	expect_number(f, until_kept_and_omitted, "a", 4);
	run_inside(f, "a",
		   "for i in $(seq 4); do echo addr del 10.0.0.$i/32 dev lo; "
		   "done | ip -batch -");
	expect_number(f, until_kept_and_omitted, "a", 0);
}

static void test_lost_netlink_events(void **state)
{
	struct fixture *f = *state;
	struct watcher_stats stats;
	struct netns *a;

	add(f, "a");
	add(f, "b");
	start(f, 2048);
	a = find(f, "a");
	assert_int_equal(watcher_observe_addresses(f->watcher, a), 0);
	expect(f, until_nsid, "b");
	assert_int_equal(watcher_observe_addresses(f->watcher, find(f, "b")),
			 0);
	del(f, "b");
	run_inside(f, "a",
		   "ip link set lo up; for i in $(seq 10); do "
		   "echo addr add 10.0.0.$i/32 dev lo; done | ip -batch -");
	expect_number(f, until_addresses, "a", 12);
	watcher_get_stats(f->watcher, &stats);
	assert_true(stats.netlink_overflows > 0);
	assert_true(stats.resyncs > 0);
	expect_number(f, until_freed, NULL, 1);
}

/* What pins it is told, and that it is back when it has a name again. */
static void test_lingering(void **state)
{
	struct fixture *f = *state;
	struct watcher_lingering lingering;
	uint64_t id;
	int fd;

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	expect(f, until_nsid, "a");
	id = find(f, "a")->id;
	fd = open(path(f, "a"), O_RDONLY | O_CLOEXEC);
	del(f, "a");
	expect(f, until_missing, "a");
	assert_int_equal(watcher_lingering(f->watcher, &lingering, 1), 1);
	assert_string_equal(lingering.name, "a");
	assert_true(lingering.netns_id == id);
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
	make_file(path(f, "again"));
	mount_name(f, "again");
	go_home();
	(void)close(fd);
	expect(f, until_found, "again");
	assert_true(find(f, "again")->id == id);
	assert_int_equal(watcher_lingering(f->watcher, NULL, 0), 0);
	assert_true(watcher_nsid(f->watcher, find(f, "again")) >= 0);
	del(f, "again");
	expect_number(f, until_freed, NULL, 1);
}

static void test_open_netns(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;
	uint64_t cookie = 0;
	int fd;

	add(f, "a");
	start(f, 0);
	netns = find(f, "a");
	fd = watcher_open_netns(f->watcher, netns);
	assert_true(fd >= 0);
	assert_int_equal(netns_cookie(fd, &cookie), 0);
	assert_true(cookie == netns->id);
	(void)close(fd);
	/* Exchanged, and the watcher did not hear of it yet. */
	del(f, "a");
	assert_int_equal(watcher_open_netns(f->watcher, netns), -ESTALE);
	add(f, "a");
	assert_int_equal(watcher_open_netns(f->watcher, netns), -ESTALE);
}

static void test_directory_replaced(void **state)
{
	struct fixture *f = *state;
	char old[128];

	start(f, 0);
	add(f, "a");
	expect(f, until_found, "a");
	(void)snprintf(old, sizeof(old), "%s/old", f->base);
	assert_int_equal(rename(f->dir, old), 0);
	expect(f, until_missing, "a");
	assert_int_equal(mkdir(f->dir, 0755), 0);
	add(f, "b");
	expect(f, until_found, "b");
	/* Something mounted over it. */
	assert_int_equal(mount("berth-test", f->dir, "tmpfs", 0, NULL), 0);
	expect(f, until_missing, "b");
	add(f, "c");
	expect(f, until_found, "c");
	assert_int_equal(umount2(f->dir, MNT_DETACH), 0);
	expect(f, until_found, "b");
	expect(f, until_missing, "c");
}

static int prepare(void **state)
{
	(void)state;
	home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home_fd < 0 || netns_enter_init() < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_pending_until_mounted),
		T(test_mount_between_look_and_watch),
		T(test_recreated_in_one_batch),
		T(test_unmounted_without_unlink),
		T(test_two_names),
		T(test_host_by_name),
		T(test_link_to_process),
		T(test_link_to_mount),
		T(test_nothing_else_is_opened),
		T(test_addresses),
		T(test_interfaces),
		T(test_address_limit),
		T(test_lost_netlink_events),
		T(test_lingering),
		T(test_open_netns),
		T(test_directory_replaced),
	};

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root for namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, prepare, NULL);
}
