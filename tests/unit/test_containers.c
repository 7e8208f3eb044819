// SPDX-License-Identifier: Apache-2.0
/* test_containers.c - containers find their namespaces, in a scripted world */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <string.h>

#include "allocation_fixture.h"

#include "common/util.h"
#include "watcher/containers.h"
#include "watcher/netns_path.h"

/** struct world - what the scripted functions answer and hear
 * @elsewhere:	what any path that is not watched leads to; 0: nowhere
 * @task:	the process that it leads through; 0: none
 * @changed:	how often a namespace was told of
 */
struct world {
	struct registry registry;
	struct containers *containers;
	uint64_t elsewhere;
	struct task task;
	int resolved;
	int changed;
};

static const char *watched_dir(const char *dir, void *user_data)
{
	(void)user_data;
	return strcmp(dir, "/w") == 0 ? "/w" : NULL;
}

static struct tracked *find_name(const char *dir, const char *name,
				 void *user_data)
{
	struct world *w = user_data;
	struct tracked *tracked = w->registry.by_id;

	for (; tracked; tracked = tracked->by_id.next) {
		for (size_t i = 0; i < tracked->netns.n_names; i++) {
			if (strcmp(tracked->netns.names[i].dir, dir) == 0 &&
			    strcmp(tracked->netns.names[i].name, name) == 0)
				return tracked;
		}
	}
	return NULL;
}

static int resolve(const struct netns_path *path, struct resolution *ret,
		   const char **ret_reason, void *user_data)
{
	struct world *w = user_data;

	(void)path;
	w->resolved++;
	*ret_reason = "scripted";
	if (!w->elsewhere)
		return -ENOENT;
	*ret = (struct resolution){ .cookie = w->elsewhere,
				    .task = w->task,
				    .pid_fd = -1 };
	return 0;
}

static void changed(struct tracked *tracked, void *user_data)
{
	struct world *w = user_data;

	(void)tracked;
	w->changed++;
}

static const struct containers_ops ops = {
	.watched_dir = watched_dir,
	.find = find_name,
	.resolve = resolve,
	.changed = changed,
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->containers = containers_new(&w->registry, &ops, w);
	assert_non_null(w->containers);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	containers_free(w->containers);
	registry_done(&w->registry);
	free(w);
	return 0;
}

/* A namespace with one name, /w/NAME. The names are static texts. */
static struct tracked *appear(struct world *w, uint64_t id, const char *name)
{
	struct tracked *tracked = registry_find(&w->registry, id);

	if (!tracked)
		tracked = registry_add(&w->registry, id);
	assert_non_null(tracked);
	if (!tracked->netns.names)
		tracked->netns.names = calloc(1, sizeof(struct netns_name));
	assert_non_null(tracked->netns.names);
	tracked->netns.names[0] =
		(struct netns_name){ .dir = (char *)"/w",
				     .name = (char *)(uintptr_t)name };
	tracked->netns.n_names = name ? 1 : 0;
	containers_names_changed(w->containers, tracked);
	return tracked;
}

static void vanish(struct world *w, uint64_t id)
{
	struct tracked *tracked = registry_find(&w->registry, id);

	containers_gone(w->containers, tracked);
	registry_remove(&w->registry, tracked);
}

static struct container_told told_of(const char *path, const char *name,
				     const char *value)
{
	static struct container_label labels[16];
	static size_t used;
	struct container_label *label = &labels[used++ % ARRAY_SIZE(labels)];

	*label = (struct container_label){ "k", value };
	return (struct container_told){
		.netns_path = path,
		.container = { .name = name,
			       .pod_namespace = "",
			       .id = "",
			       .runtime = "",
			       .pid = path ? 0 : 4711,
			       .labels = label,
			       .n_labels = 1 },
	};
}

static int tell(struct world *w, const char *source, const char *path,
		const char *name, const char *value)
{
	const struct container_told told = told_of(path, name, value);

	return containers_tell(w->containers, source, &told, 1);
}

static void expect(const struct tracked *tracked, const char *names)
{
	char text[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < tracked->netns.n_containers; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
					i ? " " : "",
					tracked->netns.containers[i]->name);
	assert_string_equal(text, names);
}

static const char *pending(struct world *w)
{
	struct watcher_pending_container list[1];

	if (containers_pending(w->containers, list, 1) == 0)
		return "";
	return list[0].reason;
}

static void test_before_its_namespace(void **state)
{
	struct world *w = *state;
	struct tracked *blue;

	assert_int_equal(tell(w, "f", "/w/blue", "web", "1"), 0);
	assert_string_equal(pending(w), "no such name in the watched "
					"directory");
	blue = appear(w, 1, "blue");
	expect(blue, "web");
	assert_string_equal(blue->netns.containers[0]->source, "f");
	assert_string_equal(pending(w), "");
	assert_int_equal(w->changed, 0); /* the names' own change tells */
	assert_int_equal(w->resolved, 0);
	vanish(w, 1);
	assert_string_equal(pending(w), "no such name in the watched "
					"directory");
	expect(appear(w, 2, "blue"), "web");
}

static void test_labels_change(void **state)
{
	struct world *w = *state;
	struct tracked *blue = appear(w, 1, "blue");
	struct tracked *red = appear(w, 2, "red");
	struct container_told both[] = { told_of("/w/blue", "a", "1"),
					 told_of("/w/red", "b", "1") };

	assert_int_equal(containers_tell(w->containers, "f", both, 2), 0);
	assert_int_equal(w->changed, 2);
	expect(blue, "a");
	expect(red, "b");
	/* The same again changes nothing, in whatever order. */
	both[0] = told_of("/w/red", "b", "1");
	both[1] = told_of("/w/blue", "a", "1");
	assert_int_equal(containers_tell(w->containers, "f", both, 2), 0);
	assert_int_equal(w->changed, 2);
	/* Another label of one of them is told for that namespace only. */
	both[0] = told_of("/w/red", "b", "2");
	assert_int_equal(containers_tell(w->containers, "f", both, 2), 0);
	assert_int_equal(w->changed, 3);
	assert_string_equal(container_label(red->netns.containers[0], "k"),
			    "2");
	assert_int_equal(containers_tell(w->containers, "f", NULL, 0), 0);
	assert_int_equal(w->changed, 5);
	expect(blue, "");
	expect(red, "");
	assert_int_equal(containers_count(w->containers), 0);
}

/* A container is as old as the first word of it, whatever else is told of it
 * later; another one, or another source, begins anew. */
static void test_age(void **state)
{
	struct world *w = *state;
	struct tracked *blue = appear(w, 1, "blue");
	struct container_told both[] = { told_of("/w/blue", "a", "1"),
					 told_of("/w/blue", "b", "1") };
	uint64_t before_us = monotonic_us(), b_us;

	both[0].container.since_us = 5; /* the teller knows better */
	assert_int_equal(containers_tell(w->containers, "f", both, 2), 0);
	assert_int_equal(blue->netns.containers[0]->since_us, 5);
	b_us = blue->netns.containers[1]->since_us;
	assert_true(b_us >= before_us);
	both[0] = told_of("/w/blue", "b", "2");
	both[1] = told_of("/w/blue", "a", "2");
	assert_int_equal(containers_tell(w->containers, "f", both, 2), 0);
	assert_int_equal(blue->netns.containers[0]->since_us, 5);
	assert_int_equal(blue->netns.containers[1]->since_us, b_us);
	assert_string_equal(container_label(blue->netns.containers[0], "k"),
			    "2");
	assert_int_equal(tell(w, "g", "/w/blue", "a", "3"), 0);
	assert_true(blue->netns.containers[1]->since_us >= b_us);
	assert_int_equal(tell(w, "f", "/w/red", "a", "3"), 0);
	assert_true(appear(w, 2, "red")->netns.containers[0]->since_us >= b_us);
}

/* Several sources, several names: all containers of the namespace, sorted. */
static void test_several(void **state)
{
	struct world *w = *state;
	struct tracked *blue = appear(w, 1, "blue");

	w->elsewhere = 1;
	assert_int_equal(tell(w, "f", "/w/blue", "z", "1"), 0);
	assert_int_equal(tell(w, "g", "/else/where", "a", "1"), 0);
	assert_int_equal(tell(w, "h", NULL, "m", "1"), 0);
	expect(blue, "a m z");
	assert_int_equal(containers_tell(w->containers, "g", NULL, 0), 0);
	expect(blue, "m z");
	(void)appear(w, 1, "green");
	expect(blue, "m");
}

/* What leads to a namespace without a name waits for it by its id, and is not
 * asked about again. */
static void test_waits_by_id(void **state)
{
	struct world *w = *state;

	w->elsewhere = 7;
	assert_int_equal(tell(w, "f", "/else/where", "web", "1"), 0);
	assert_int_equal(w->resolved, 1);
	assert_string_equal(pending(w), "its namespace has no name in a "
					"watched directory");
	expect(appear(w, 7, "blue"), "web");
	assert_int_equal(w->resolved, 1);
}

static void test_path_appears(void **state)
{
	struct world *w = *state;
	struct tracked *blue;

	assert_int_equal(tell(w, "f", "/else/where", "web", "1"), 0);
	assert_string_equal(pending(w), "there is no such path");
	assert_false(containers_step(w->containers));
	assert_int_equal(w->resolved, 1); /* nothing happened: not polled */
	w->elsewhere = 7;
	blue = appear(w, 7, "blue");
	expect(blue, "");
	assert_false(containers_step(w->containers));
	expect(blue, "web");
	assert_int_equal(w->changed, 1);
	/* The path leads to another namespace when this one has gone. */
	w->elsewhere = 8;
	vanish(w, 7);
	(void)containers_step(w->containers);
	expect(appear(w, 8, "blue"), "web");
}

static void test_process(void **state)
{
	struct world *w = *state;
	struct tracked *blue = appear(w, 1, "blue");

	assert_int_equal(tell(w, "f", NULL, "web", "1"), 0);
	assert_string_equal(pending(w), "there is no such process");
	w->elsewhere = 1;
	w->task = (struct task){ 4711, 1 };
	assert_int_equal(tell(w, "f", NULL, "web", "2"), 0);
	expect(blue, "web");
	/* Another process has the number: that is in another namespace. */
	w->elsewhere = 2;
	w->task.identity = 2;
	vanish(w, 1);
	(void)containers_step(w->containers);
	assert_string_equal(pending(w), "its process has ended");
	expect(appear(w, 2, "blue"), "");
	w->resolved = 0;
	(void)containers_step(w->containers);
	assert_int_equal(w->resolved, 0); /* it waits for nothing */
}

static void test_most_of_one_namespace(void **state)
{
	struct world *w = *state;
	struct container_told told[CONTAINERS_PER_NETNS_MAX + 2];
	char names[ARRAY_SIZE(told)][8];
	struct tracked *blue = appear(w, 1, "blue");

	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "c%03zu",
			       ARRAY_SIZE(told) - i);
		told[i] = told_of("/w/blue", names[i], "1");
	}
	assert_int_equal(
		containers_tell(w->containers, "f", told, ARRAY_SIZE(told)), 0);
	assert_int_equal(blue->netns.n_containers, CONTAINERS_PER_NETNS_MAX);
	assert_string_equal(blue->netns.containers[0]->name, "c001");
	assert_string_equal(pending(w), "its namespace has the most "
					"containers that are kept for one");
	/* Those that were left out come in when others go. */
	assert_int_equal(containers_tell(w->containers, "f", told, 2), 0);
	expect(blue, "c065 c066");
}

static void test_most_of_all(void **state)
{
	struct world *w = *state;
	struct container_told *told = calloc(CONTAINERS_MAX + 1, sizeof(*told));

	assert_non_null(told);
	for (size_t i = 0; i <= CONTAINERS_MAX; i++)
		told[i] = told_of("/w/blue", "c", "1");
	assert_int_equal(tell(w, "f", "/w/blue", "web", "1"), 0);
	assert_int_equal(containers_tell(w->containers, "g", told,
					 CONTAINERS_MAX),
			 -ENOSPC);
	assert_int_equal(containers_tell(w->containers, "f", told,
					 CONTAINERS_MAX + 1),
			 -ENOSPC);
	assert_int_equal(containers_count(w->containers), 1);
	expect(appear(w, 1, "blue"), "web");
	free(told);
}

/* Wherever memory lacks: what was told is in force, or what was before. */
static void test_memory(void **state)
{
	struct world *w = *state;
	struct tracked *blue;
	const char *known = "old";

	if (!CAN_FAIL_ALLOCATIONS)
		skip();
	assert_int_equal(tell(w, "f", "/w/blue", "old", "1"), 0);
	blue = appear(w, 1, "blue");
	w->elsewhere = 1;
	for (unsigned int i = 1; i < 100; i++) {
		const char *name = i % 2 ? "odd" : "even";
		int r;

		allocation_failed = false;
		fail_allocation = i;
		r = tell(w, "f", i % 4 < 2 ? "/w/blue" : "/else", name, "1");
		fail_allocation = 0;
		if (r == 0)
			known = name;
		else
			assert_int_equal(r, -ENOMEM);
		(void)appear(w, 1, "blue");
		(void)containers_step(w->containers);
		expect(blue, known);
		if (!allocation_failed)
			return;
	}
	fail();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_before_its_namespace),
		TEST(test_labels_change),
		TEST(test_age),
		TEST(test_several),
		TEST(test_waits_by_id),
		TEST(test_path_appears),
		TEST(test_process),
		TEST(test_most_of_one_namespace),
		TEST(test_most_of_all),
		TEST(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
