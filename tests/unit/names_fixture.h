/* SPDX-License-Identifier: Apache-2.0 */
/* names_fixture.h - a scripted file system for tests of watcher/names.c
 *
 * The file system is a table of a few names. A test changes the table, tells
 * the events of the change (or does not), and then states what the bookkeeping
 * must have told: "+3" namespace 3 changed, "-3" it is gone, "?" a name is
 * pending, "!" a shortage.
 */
#ifndef TESTS_UNIT_NAMES_FIXTURE_H
#define TESTS_UNIT_NAMES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "common/util.h"
#include "watcher/names.h"

#define HOST_COOKIE 1000
#define NAMES_MAX 8
#define TASK 7 /* the number of whatever process a link leads through */
#define MINUTES_US (UINT64_C(60) * USEC_PER_SEC)

/* What a name leads to: a namespace from 1, or one of these. */
enum { NOTHING = 0, FILE_ONLY = -1, DANGLING = -2, HOST = -3 };

struct world {
	struct registry registry;
	struct names *names;
	bool has_cookies;
	bool has_mount_ids;
	char told[512];
	struct {
		const char *dir;
		const char *name;
		int netns;
		int inode; /* 0: the namespace's number */
		bool is_link;
		uint64_t link; /* which one */
		uint64_t identity; /* of the process, 0: through none */
		int number; /* of it */
		uint64_t mount_id;
	} entries[NAMES_MAX];
	uint64_t last_mount_id;
	uint64_t now_us;
	int resolved; /* calls */
	int processes; /* watched */
	bool processes_full;
	bool short_of_descriptors;
	struct name *process;
};

static void tell(struct world *w, const char *fmt, ...)
{
	size_t used = strlen(w->told);
	va_list args;

	if (used)
		used += (size_t)snprintf(w->told + used, sizeof(w->told) - used,
					 " ");
	va_start(args, fmt);
	(void)vsnprintf(w->told + used, sizeof(w->told) - used, fmt, args);
	va_end(args);
}

static int number_of(const struct world *w, const struct tracked *tracked)
{
	if (tracked->netns.host)
		return HOST_COOKIE;
	return w->has_cookies ? (int)tracked->netns.id : (int)tracked->inode;
}

static int any_fd(void)
{
	return memfd_create("process", MFD_CLOEXEC);
}

static int fake_resolve(const char *dir, const char *name,
			struct resolution *ret, const char **ret_reason,
			void *user_data)
{
	struct world *w = user_data;

	w->resolved++;
	if (w->short_of_descriptors) {
		*ret_reason = "short";
		return -EMFILE;
	}
	for (size_t i = 0; i < NAMES_MAX; i++) {
		int netns = w->entries[i].netns;

		if (!w->entries[i].name ||
		    strcmp(w->entries[i].name, name) != 0 ||
		    strcmp(w->entries[i].dir, dir) != 0)
			continue;
		if (netns == NOTHING)
			return -ENOENT;
		*ret_reason = netns == DANGLING ? "dangling" : "file";
		if (netns == FILE_ONLY)
			return -EMEDIUMTYPE;
		if (netns == DANGLING) {
			ret->link = w->entries[i].link;
			ret->task.number = w->entries[i].number;
			return -ENOLINK;
		}
		if (netns == HOST)
			netns = HOST_COOKIE;
		*ret = (struct resolution){
			.cookie = w->has_cookies ? (uint64_t)netns : 0,
			.dev = 4,
			.inode = (ino_t)(w->entries[i].inode
						 ? w->entries[i].inode
						 : netns),
			.mount_id = w->has_mount_ids && !w->entries[i].is_link
					    ? w->entries[i].mount_id
					    : 0,
			.is_link = w->entries[i].is_link,
			.link = w->entries[i].link,
			.task = { .number = w->entries[i].number,
				  .identity = w->entries[i].identity },
			.pid_fd = w->entries[i].identity ? any_fd() : -1,
		};
		return 0;
	}
	return -ENOENT;
}

static bool fake_unchanged(const char *dir, const char *name, uint64_t mount_id,
			   void *user_data)
{
	struct world *w = user_data;

	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (w->entries[i].name && w->entries[i].netns > 0 &&
		    strcmp(w->entries[i].name, name) == 0 &&
		    strcmp(w->entries[i].dir, dir) == 0)
			return w->entries[i].mount_id == mount_id;
	}
	return false;
}

static bool fake_leads_to(const char *dir, const char *name, ino_t inode,
			  void *user_data)
{
	struct world *w = user_data;

	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (w->entries[i].name &&
		    strcmp(w->entries[i].name, name) == 0 &&
		    strcmp(w->entries[i].dir, dir) == 0)
			return (ino_t)w->entries[i].netns == inode;
	}
	return false;
}

static bool fake_processes_full(void *user_data)
{
	const struct world *w = user_data;

	return w->processes_full;
}

static void *fake_watch(const struct task *task, int pid_fd, struct name *name,
			void *user_data)
{
	struct world *w = user_data;

	assert_true(task->number > 0);
	(void)close(pid_fd);
	if (w->processes_full)
		return NULL;
	w->processes++;
	w->process = name;
	return &w->processes;
}

static void fake_unwatch(void *handle, void *user_data)
{
	struct world *w = user_data;

	assert_ptr_equal(handle, &w->processes);
	w->processes--;
}

static void fake_changed(struct tracked *tracked, void *user_data)
{
	struct world *w = user_data;

	assert_true(tracked->netns.n_names > 0 || tracked->netns.host);
	tell(w, "+%d", number_of(w, tracked));
}

static void fake_gone(struct tracked *tracked, void *user_data)
{
	struct world *w = user_data;

	assert_int_equal(tracked->netns.n_names, 0);
	assert_non_null(tracked->last_name);
	tell(w, "-%d", number_of(w, tracked));
	registry_remove(&w->registry, tracked);
}

static void fake_pending(void *user_data)
{
	tell(user_data, "?");
}

static void fake_shortage(void *user_data)
{
	tell(user_data, "!");
}

static const struct names_ops ops = {
	.resolve = fake_resolve,
	.unchanged = fake_unchanged,
	.leads_to = fake_leads_to,
	.watch_process = fake_watch,
	.processes_full = fake_processes_full,
	.unwatch_process = fake_unwatch,
	.changed = fake_changed,
	.gone = fake_gone,
	.pending = fake_pending,
	.shortage = fake_shortage,
};

/* The file system changes; nothing is told. */
static void put_in(struct world *w, const char *dir, const char *name,
		   int netns)
{
	size_t at = 0;

	while (w->entries[at].name && (strcmp(w->entries[at].name, name) != 0 ||
				       strcmp(w->entries[at].dir, dir) != 0))
		at++;
	assert_true(at < NAMES_MAX);
	w->entries[at].dir = dir;
	w->entries[at].name = name;
	w->entries[at].netns = netns;
	w->entries[at].inode = 0;
	w->entries[at].is_link = netns == DANGLING;
	w->entries[at].identity = 0;
	w->entries[at].number = 0;
	w->entries[at].mount_id = ++w->last_mount_id;
}

static void put(struct world *w, const char *name, int netns)
{
	put_in(w, "/d", name, netns);
}

/* Link number @link leads through process @identity to @netns. */
static void put_process(struct world *w, const char *name, int netns,
			uint64_t link, uint64_t identity)
{
	put(w, name, netns);
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (!w->entries[i].name || strcmp(w->entries[i].name, name))
			continue;
		w->entries[i].is_link = true;
		w->entries[i].link = link;
		w->entries[i].identity = identity;
		w->entries[i].number = identity ? TASK : 0;
	}
}

static void put_link(struct world *w, const char *name, int netns)
{
	put_process(w, name, netns, 1, 0);
}

static void created(struct world *w, const char *name)
{
	names_created(w->names, 0, name, w->now_us);
}

static void removed(struct world *w, const char *name)
{
	names_removed(w->names, 0, name, w->now_us);
}

static void scan(struct world *w)
{
	names_scan_begin(w->names, 0);
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (w->entries[i].name && w->entries[i].netns != NOTHING &&
		    strcmp(w->entries[i].dir, "/d") == 0)
			names_scan_entry(w->names, 0, w->entries[i].name,
					 w->now_us);
	}
	names_scan_end(w->names, 0, w->now_us);
}

static void sweep(struct world *w)
{
	names_sweep_begin(w->names);
	while (names_sweep_step(w->names, 2, w->now_us))
		;
}

/* The batch ends; compares what was told in it. */
static void expect(struct world *w, const char *told)
{
	names_flush(w->names, w->now_us);
	assert_string_equal(w->told, told);
	w->told[0] = '\0';
}

static inline const struct netns *netns(const struct world *w, uint64_t id)
{
	struct tracked *tracked = registry_find(&w->registry, id);

	return tracked ? &tracked->netns : NULL;
}

static int setup_world(void **state, bool has_cookies)
{
	const struct resolution host = {
		.cookie = has_cookies ? HOST_COOKIE : 0,
		.dev = 4,
		.inode = HOST_COOKIE,
		.pid_fd = -1,
	};
	struct world *w = calloc(1, sizeof(*w));

	w->has_cookies = has_cookies;
	w->has_mount_ids = has_cookies;
	w->now_us = MINUTES_US;
	assert_int_equal(names_new(&w->registry, &host, &ops, w, &w->names), 0);
	assert_int_equal(names_add_dir(w->names, "/d"), 0);
	assert_int_equal(names_add_dir(w->names, "/e"), 1);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_world(state, /* has_cookies= */ true);
}

static inline int setup_old(void **state)
{
	return setup_world(state, /* has_cookies= */ false);
}

static int teardown(void **state)
{
	struct world *w = *state;

	names_free(w->names);
	assert_int_equal(w->processes, 0);
	registry_done(&w->registry);
	free(w);
	return 0;
}

#endif
