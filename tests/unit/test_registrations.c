// SPDX-License-Identifier: Apache-2.0
/* test_registrations.c - containers that are registered, on real namespaces */
#include "registrations_fixture.h"

#include <sys/pidfd.h>

#include "watcher/netns_handle.h"

static const char *proc_path(pid_t pid)
{
	static char buffer[64];

	(void)snprintf(buffer, sizeof(buffer), "/proc/%d/ns/net", (int)pid);
	return buffer;
}

static int open_process(pid_t pid)
{
	int fd = open(proc_path(pid), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static size_t held(struct fixture *f)
{
	size_t n = 0;

	(void)watcher_registration_count(f->watcher, &n);
	return n;
}

/* Can this kernel open a namespace again that nothing refers to? */
static bool has_handles(void)
{
	return netns_handle_get(home_fd).n > 0;
}

static bool until_gone(struct fixture *f)
{
	return f->gone >= f->number;
}

static bool until_ended(struct fixture *f)
{
	return f->ended >= f->number;
}

static void expect_freed(struct fixture *f, unsigned int n)
{
	expect_number(f, until_freed, NULL, n);
	assert_int_equal(watcher_lingering(f->watcher, NULL, 0), 0);
}

static void test_pid_is_name_and_life(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct netns *netns;
	uint64_t id;
	int fd;

	start(f, 0);
	id = register_one(f, told_pid("web-1", pid));
	netns = find(f, "web-1");
	assert_non_null(netns);
	assert_string_equal(netns->names[0].dir, NETNS_REGISTERED_DIR);
	assert_int_equal(netns->n_containers, 1);
	assert_string_equal(netns->containers[0]->name, "web-1");
	assert_ptr_equal(watcher_find_name(f->watcher, "web-1"), netns);
	assert_ptr_equal(watcher_find(f->watcher, netns->id), netns);
	assert_true(watcher_find_registration(f->watcher, id)->netns_id ==
		    netns->id);
	assert_int_equal(f->changed, 2); /* the host's, and this one */
	fd = watcher_open_netns(f->watcher, netns);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(held(f), 0);
	expect(f, until_nsid, "web-1");
	end_process(pid);
	expect(f, until_missing, "web-1");
	assert_int_equal(f->gone, 1);
	assert_int_equal(f->ended, 1);
	assert_true(f->ended_id == id);
	assert_int_equal(count(f), 0);
	expect_freed(f, 1);
}

/* After the batch in which it was found nothing is open any more. */
static void test_is_opened_again(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct netns *netns;
	int fd;

	start(f, 0);
	(void)register_one(f, told_pid("web-1", pid));
	expect(f, until_nsid, "web-1");
	netns = find(f, "web-1");
	fd = watcher_open_netns(f->watcher, netns);
	assert_true(fd >= 0);
	(void)close(fd);
	end_process(pid);
	assert_int_equal(watcher_open_netns(f->watcher, netns), -ESTALE);
	expect(f, until_missing, "web-1");
	expect_freed(f, 1);
}

static void test_unregister_frees(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	int fd = open_process(pid);
	struct registration_told one = told("by-fd");
	uint64_t id;

	start(f, 0);
	one.fd = fd;
	id = register_one(f, one);
	(void)close(fd);
	assert_int_equal(held(f), has_handles() ? 0 : 1);
	expect(f, until_nsid, "by-fd");
	assert_true(watcher_unregister(f->watcher, id));
	assert_false(watcher_unregister(f->watcher, id));
	assert_null(find(f, "by-fd"));
	expect_number(f, until_gone, NULL, 1);
	assert_int_equal(f->ended, 0);
	assert_int_equal(held(f), 0);
	end_process(pid);
	expect_freed(f, 1);
}

/* Nobody ends it: the kernel says that the namespace is freed. */
static void test_ends_with_the_namespace(void **state)
{
	struct fixture *f = *state;
	struct registration_told one = told("by-fd");
	pid_t pid;

	if (!has_handles()) {
		print_message("no file handles of nsfs (before Linux 6.18): "
			      "it is held, and lives on\n");
		skip();
	}
	pid = make_process();
	start(f, 0);
	one.fd = open_process(pid);
	(void)register_one(f, one);
	(void)close(one.fd);
	expect(f, until_nsid, "by-fd");
	end_process(pid);
	expect(f, until_missing, "by-fd");
	assert_int_equal(f->gone, 1);
	assert_int_equal(f->ended, 1);
	assert_int_equal(count(f), 0);
}

static void test_pidfd(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told("by-pidfd");
	uint64_t id = 0;

	start(f, 0);
	one.fd = pidfd_open(pid, 0);
	assert_true(one.fd >= 0);
	(void)register_one(f, one);
	assert_int_equal(held(f), 0);
	end_process(pid);
	expect(f, until_missing, "by-pidfd");
	assert_int_equal(f->ended, 1);
	one.container.name = "late";
	assert_int_equal(register_told(f, one, &id), -ESRCH);
	(void)close(one.fd);
}

/* With a process of its own, which need not be inside. */
static void test_path_and_pid(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	struct registration_told one;

	add(f, "blue");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	start(f, 0);
	one = told_pid("web-1", pid);
	one.path = path(f, "blue");
	(void)register_one(f, one);
	assert_null(find(f, "web-1")); /* blue is name enough */
	assert_int_equal(find(f, "blue")->n_containers, 1);
	assert_int_equal(held(f), has_handles() ? 0 : 1);
	end_process(pid);
	expect_number(f, until_ended, NULL, 1);
	assert_int_equal(find(f, "blue")->n_containers, 0);
	assert_int_equal(f->gone, 0);
}

/* What lives on its own keeps a namespace whose names go. */
static void test_becomes_the_name(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct netns *netns;
	uint64_t id;

	start(f, 0);
	make_file(path(f, "blue"));
	assert_int_equal(
		mount(proc_path(pid), path(f, "blue"), NULL, MS_BIND, NULL), 0);
	expect(f, until_found, "blue");
	netns = find(f, "blue");
	id = register_one(f, told_pid("web-1", pid));
	assert_int_equal(netns->n_names, 1);
	assert_null(watcher_find_registration(f->watcher, id)->name);
	del(f, "blue");
	expect(f, until_found, "web-1");
	assert_int_equal(f->gone, 0);
	assert_ptr_equal(find(f, "web-1"), netns);
	assert_int_equal(netns->n_containers, 1);
	assert_string_equal(watcher_find_registration(f->watcher, id)->name,
			    "web-1");
	end_process(pid);
	expect(f, until_missing, "web-1");
	assert_int_equal(f->gone, 1);
	expect_freed(f, 1);
}

static void test_path_ends_with_its_name(void **state)
{
	struct fixture *f = *state;
	struct registration_told one = told("web-1");

	start(f, 0);
	add(f, "blue"); /* not known yet */
	one.path = path(f, "blue");
	(void)register_one(f, one);
	assert_non_null(find(f, "blue"));
	assert_null(find(f, "web-1"));
	assert_int_equal(find(f, "blue")->n_containers, 1);
	assert_int_equal(held(f), 0);
	expect(f, until_nsid, "blue");
	del(f, "blue");
	expect(f, until_missing, "blue");
	assert_int_equal(f->gone, 1);
	assert_int_equal(f->ended, 1);
	assert_int_equal(count(f), 0);
	expect_freed(f, 1);
}

static void test_path_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct registration_told one = told("web-1");
	uint64_t id = 0;
	char other[128];

	(void)snprintf(other, sizeof(other), "%s/elsewhere", f->base);
	make_file(other);
	one.path = other;
	start(f, 0);
	assert_int_equal(register_told(f, one, &id), -EMEDIUMTYPE);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(mount("/proc/thread-self/ns/net", other, NULL, MS_BIND,
			       NULL),
			 0);
	go_home();
	(void)register_one(f, one);
	assert_non_null(find(f, "web-1"));
	assert_int_equal(held(f), 0);
	expect(f, until_nsid, "web-1");
	assert_int_equal(umount2(other, MNT_DETACH), 0);
	expect(f, until_missing, "web-1");
	assert_int_equal(f->ended, 1);
	expect_freed(f, 1);
}

static void test_two_of_one_namespace(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told_pid("web", pid);
	struct netns *netns;
	uint64_t first, second;

	start(f, 0);
	one.container.id = "first";
	first = register_one(f, one);
	one.container.id = "second";
	second = register_one(f, one);
	assert_true(first != second);
	netns = find(f, "web");
	assert_int_equal(netns->n_names, 2);
	assert_int_equal(netns->n_containers, 2);
	assert_true(watcher_unregister(f->watcher, first));
	assert_int_equal(netns->n_names, 1);
	assert_int_equal(netns->n_containers, 1);
	end_process(pid);
	expect_number(f, until_gone, NULL, 1);
	assert_int_equal(f->gone, 1);
}

static void test_same_key(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process(), later = make_process();
	const struct container_label labels[] = { { "app", "web" } };
	struct registration_told one = told_pid("web", pid);
	struct netns *netns;
	uint64_t id, other_id;

	start(f, 0);
	id = register_one(f, one);
	netns = find(f, "web");
	f->changed = 0;
	assert_true(register_one(f, one) == id);
	assert_int_equal(f->changed, 0); /* the same */
	one.container.labels = labels;
	one.container.n_labels = 1;
	assert_true(register_one(f, one) == id);
	assert_int_equal(f->changed, 1);
	assert_string_equal(container_label(netns->containers[0], "app"),
			    "web");
	assert_int_equal(netns->n_names, 1);
	assert_int_equal(count(f), 1);
	/* Somebody else has keys of his own. */
	one.uid = 1000;
	other_id = register_one(f, one);
	assert_true(other_id != id);
	assert_int_equal(netns->n_names, 2);
	assert_int_equal(netns->names[0].uid, 0);
	assert_int_equal(netns->names[1].uid, 0);
	assert_int_equal(netns->n_containers, 2);
	assert_true(watcher_unregister(f->watcher, other_id));
	/* The container was started anew. */
	one = told_pid("web", later);
	other_id = register_one(f, one);
	assert_true(other_id != id);
	assert_int_equal(count(f), 1);
	assert_ptr_equal(watcher_find_registration_key(f->watcher, 0,
						       &one.container),
			 watcher_find_registration(f->watcher, other_id));
	expect_number(f, until_gone, NULL, 1);
	assert_string_equal(find(f, "web")->names[0].name, "web");
	assert_int_equal(f->ended, 0);
	end_process(pid);
	end_process(later);
}

static void test_renamed_by_id(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told_pid("before", pid);
	struct netns *netns;
	uint64_t id;

	start(f, 0);
	one.container.id = "c1";
	id = register_one(f, one);
	netns = find(f, "before");
	one.container.name = "after";
	assert_true(register_one(f, one) == id);
	assert_ptr_equal(find(f, "after"), netns);
	assert_null(find(f, "before"));
	assert_int_equal(netns->n_names, 1);
	expect(f, until_nsid, "after");
	assert_int_equal(f->gone, 0);
	end_process(pid);
}

static void test_names_are_unique(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process(), other = make_process();
	char long_name[300];
	struct registration_told one;

	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	add(f, "blue");
	start(f, 0);
	(void)register_one(f, told_pid("blue", pid));
	assert_false(watcher_find_name(f->watcher, "blue")->n_containers);
	one = told_pid("blue", other);
	one.container.pod_namespace = "shop";
	(void)register_one(f, one);
	assert_int_equal(count(f), 2);
	one = told_pid(long_name, other);
	(void)register_one(f, one);
	assert_int_equal(count(f), 3);
	end_process(pid);
	end_process(other);
	expect_number(f, until_gone, NULL, 2);
	assert_int_equal(count(f), 0);
	assert_non_null(find(f, "blue"));
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told("no");
	uint64_t id = 0;
	int fd;

	start(f, 0);
	assert_int_equal(register_told(f, one, &id), -EINVAL);
	assert_int_equal(register_told(f, told_pid("", pid), &id), -EINVAL);
	assert_int_equal(register_told(f, told_pid("no", getpid()), &id),
			 -EINVAL); /* the host's */
	one.path = "relative";
	assert_int_equal(register_told(f, one, &id), -EINVAL);
	one.path = path(f, "missing");
	assert_int_equal(register_told(f, one, &id), -ENOENT);
	assert_int_equal(mkfifo(path(f, "fifo"), 0600), 0);
	one.path = path(f, "fifo");
	assert_int_equal(register_told(f, one, &id), -EMEDIUMTYPE);
	one.path = NULL;
	fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	one.fd = fd;
	assert_int_equal(register_told(f, one, &id), -EMEDIUMTYPE);
	(void)close(fd);
	one.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(register_told(f, one, &id), -EMEDIUMTYPE);
	(void)close(one.fd);
	end_process(pid);
	assert_int_equal(register_told(f, told_pid("no", pid), &id), -ESRCH);
	assert_true(id == 0);
	assert_int_equal(count(f), 0);
	assert_int_equal(f->changed, 1);
}

static void test_most_of_one_namespace(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told_pid("web", pid);
	char ids[CONTAINERS_PER_NETNS_MAX + 1][16];
	uint64_t id = 0;

	start(f, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		one.container.id = ids[i];
		assert_int_equal(register_told(f, one, &id),
				 i < CONTAINERS_PER_NETNS_MAX ? 0 : -ENOSPC);
	}
	one.container.id = ids[0];
	assert_int_equal(register_told(f, one, &id), 0); /* it has one */
	end_process(pid);
	expect_number(f, until_gone, NULL, 1);
	assert_int_equal(f->ended, CONTAINERS_PER_NETNS_MAX);
}

/* A connection is life, too: the caller ends it. */
static void test_transient_keeps(void **state)
{
	struct fixture *f = *state;
	struct registration_told one = told("web-1");
	uint64_t id;
	int fd;

	add(f, "blue");
	start(f, 0);
	one.path = path(f, "blue");
	one.transient = true;
	id = register_one(f, one);
	assert_int_equal(held(f), has_handles() ? 0 : 1);
	expect(f, until_nsid, "blue");
	fd = watcher_open_netns(f->watcher, find(f, "blue"));
	assert_true(fd >= 0); /* somebody else keeps it alive */
	del(f, "blue");
	expect(f, until_found, "web-1");
	assert_int_equal(f->gone, 0);
	(void)close(fd);
	assert_true(watcher_unregister(f->watcher, id));
}

static struct registration copy_of(struct fixture *f, uint64_t id)
{
	struct registration copy = *watcher_find_registration(f->watcher, id);

	copy.container = container_copy(copy.container);
	copy.name = copy.name ? strdup(copy.name) : NULL;
	copy.path = copy.path ? strdup(copy.path) : NULL;
	assert_non_null(copy.container);
	return copy;
}

static void copy_free(struct registration *copy)
{
	free((void *)(uintptr_t)copy->container);
	free((void *)(uintptr_t)copy->name);
	free((void *)(uintptr_t)copy->path);
}

static int restore(struct fixture *f, const struct registration *was)
{
	const char *reason = NULL;
	int r = watcher_restore_registration(f->watcher, was, &reason);

	if (r < 0)
		assert_non_null(reason);
	return r;
}

static void test_restored(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process(), ended = make_process(),
	      named = make_process();
	struct registration_told one = told_pid("named", named);
	struct registration was[3];
	uint64_t id;

	make_file(path(f, "blue"));
	assert_int_equal(mount(proc_path(named), path(f, "blue"), NULL, MS_BIND,
			       NULL),
			 0);
	start(f, 0);
	id = register_one(f, told_pid("web", pid));
	was[0] = copy_of(f, id);
	was[1] = copy_of(f, register_one(f, told_pid("ended", ended)));
	was[2] = copy_of(f, register_one(f, one));
	assert_null(was[2].name);
	end_process(ended);
	begin_again(f);
	assert_int_equal(restore(f, &was[0]), 0);
	assert_true(restore(f, &was[1]) < 0);
	assert_int_equal(restore(f, &was[2]), 0);
	assert_true(restore(f, &was[2]) < 0); /* twice */
	settle(f);
	assert_int_equal(count(f), 2);
	assert_int_equal(find(f, "web")->n_containers, 1);
	assert_true(watcher_find_registration(f->watcher, id)->netns_id ==
		    find(f, "web")->id);
	assert_int_equal(find(f, "blue")->n_names, 1);
	assert_int_equal(find(f, "blue")->n_containers, 1);
	end_process(pid);
	end_process(named);
	for (size_t i = 0; i < ARRAY_SIZE(was); i++)
		copy_free(&was[i]);
}

/* The names went while there was no berthd. */
static void test_restored_without_its_name(void **state)
{
	struct fixture *f = *state;
	pid_t pid = make_process();
	struct registration_told one = told("by-path");
	struct registration was[2];

	make_file(path(f, "blue"));
	assert_int_equal(
		mount(proc_path(pid), path(f, "blue"), NULL, MS_BIND, NULL), 0);
	start(f, 0);
	was[0] = copy_of(f, register_one(f, told_pid("by-pid", pid)));
	one.path = path(f, "blue");
	was[1] = copy_of(f, register_one(f, one));
	del(f, "blue");
	begin_again(f);
	assert_int_equal(restore(f, &was[0]), 0);
	assert_true(restore(f, &was[1]) < 0);
	settle(f);
	assert_int_equal(find(f, "by-pid")->n_containers, 1);
	end_process(pid);
	copy_free(&was[0]);
	copy_free(&was[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pid_is_name_and_life,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_opened_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_unregister_frees, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ends_with_the_namespace,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_pidfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_and_pid, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_becomes_the_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_path_ends_with_its_name,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_elsewhere, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_two_of_one_namespace,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renamed_by_id, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_names_are_unique, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_most_of_one_namespace,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_transient_keeps, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restored_without_its_name,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
