// SPDX-License-Identifier: Apache-2.0
/* test_watcher.c - the whole watcher on real namespaces */
#include "watcher_fixture.h"

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

/* They are kept without a word, until a plan needs them. */
static void test_addresses_to_be_shown(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	add(f, "a");
	start(f, 0);
	run_inside(f, "a",
		   "ip link set lo up && ip link add v0 type veth peer v1 && "
		   "ip addr add 192.0.2.2/24 dev v0");
	netns = find(f, "a");
	f->changed = 0;
	assert_int_equal(watcher_read_addresses(f->watcher, netns), 0);
	assert_int_equal(netns->n_addresses, 3);
	run_inside(f, "a", "ip addr add 192.0.2.1/24 dev lo");
	expect_number(f, until_addresses, "a", 4);
	/* With an interface that is not kept its addresses go. */
	run_inside(f, "a", "ip link del v0");
	expect_number(f, until_addresses, "a", 3);
	assert_int_equal(netns->n_interfaces, 0);
	assert_int_equal(f->changed, 0);
	assert_int_equal(watcher_observe_addresses(f->watcher, netns), 0);
	assert_int_equal(netns->n_interfaces, 1);
	run_inside(f, "a", "ip addr del 192.0.2.1/24 dev lo");
	expect_number(f, until_addresses, "a", 2);
	assert_true(f->changed > 0);
}

static bool until_forgotten(struct fixture *f)
{
	return !find(f, f->name)->addresses_known;
}

static void test_shown_addresses_after_lost_events(void **state)
{
	struct fixture *f = *state;
	struct netns *netns;

	add(f, "a");
	start(f, 2048);
	expect(f, until_nsid, "a");
	netns = find(f, "a");
	assert_int_equal(watcher_read_addresses(f->watcher, netns), 0);
	run_inside(f, "a",
		   "ip link set lo up; for i in $(seq 10); do "
		   "echo addr add 10.0.0.$i/32 dev lo; done | ip -batch -");
	expect(f, until_forgotten, "a");
	assert_int_equal(netns->n_addresses, 0);
	assert_int_equal(watcher_read_addresses(f->watcher, netns), 0);
	assert_int_equal(netns->n_addresses, 12);
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
 * up; on a loaded machine they may be usable before they are seen. */
static bool until_two_addresses(struct fixture *f)
{
	return find(f, f->name)->n_addresses == 2;
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
	expect(f, until_two_addresses, "a");
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_two_names),
		T(test_host_by_name),
		T(test_nothing_else_is_opened),
		T(test_addresses),
		T(test_addresses_to_be_shown),
		T(test_shown_addresses_after_lost_events),
		T(test_interfaces),
		T(test_address_limit),
		T(test_lost_netlink_events),
		T(test_lingering),
		T(test_open_netns),
	};

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root for namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, prepare, NULL);
}
