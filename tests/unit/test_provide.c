// SPDX-License-Identifier: Apache-2.0
/* test_provide.c - what is added and taken away, noted before, and how often
 *
 * The kernel is played by the test: provide_visit() is its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>

#include "binder/provide.h"
#include "binder/provide_visit.h"
#include "common/util.h"

#define ID 7
#define ADDRESS "192.0.2.1"

struct fixture {
	struct loop *loop;
	struct provider *provider;
	struct netns_interface interfaces[2];
	struct netns_address address;
	struct netns netns;
	int note_error;
	size_t noted;
	bool in_use;
	unsigned int due;
};

/* What the kernel was asked, and what it answers. */
static struct {
	unsigned int visits;
	int error;
	struct provide_request last;
	size_t noted; /* when it was asked */
} kernel;

static struct fixture *current;

/* In place of binder/provide_visit.c. */
int provide_visit(int netns_fd, struct provide_request *requests, size_t n)
{
	assert_true(netns_fd >= 0);
	kernel.visits++;
	kernel.noted = current->noted;
	for (size_t i = 0; i < n; i++) {
		requests[i].error = kernel.error;
		kernel.last = requests[i];
	}
	return 0;
}

static int open_netns(uint64_t netns_id, int *ret_fd, void *user_data)
{
	(void)user_data;
	assert_int_equal(netns_id, ID);
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int note(uint64_t netns_id, const struct provided *const *list, size_t n,
		void *user_data)
{
	struct fixture *f = user_data;

	assert_int_equal(netns_id, ID);
	for (size_t i = 0; i < n; i++)
		assert_true(list[i]->ours);
	if (f->note_error)
		return f->note_error;
	f->noted = n;
	return 0;
}

static bool in_use(uint64_t netns_id, const struct ip_addr *addr,
		   void *user_data)
{
	struct fixture *f = user_data;

	assert_int_equal(netns_id, ID);
	assert_int_equal(addr->family, AF_INET);
	return f->in_use;
}

static void due(uint64_t netns_id, void *user_data)
{
	struct fixture *f = user_data;

	assert_int_equal(netns_id, ID);
	f->due++;
	loop_quit(f->loop, 0);
}

static const char *label(uint64_t netns_id, void *user_data)
{
	(void)netns_id;
	(void)user_data;
	return "blue";
}

static const struct provider_ops ops = {
	.open_netns = open_netns,
	.note = note,
	.in_use = in_use,
	.due = due,
	.label = label,
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(provider_new(f->loop, &ops, f, &f->provider), 0);
	f->interfaces[0] = (struct netns_interface){ 1, "lo", true };
	f->interfaces[1] = (struct netns_interface){ 5, "eth0", true };
	f->address = (struct netns_address){
		.ifindex = 1,
		.prefix_bits = 32,
		.proto = PROVIDE_MARK,
	};
	assert_int_equal(ip_addr_parse(ADDRESS, &f->address.addr), 0);
	f->netns = (struct netns){
		.id = ID,
		.addresses_known = true,
		.observed = true,
		.interfaces = f->interfaces,
		.n_interfaces = ARRAY_SIZE(f->interfaces),
		.addresses = &f->address,
	};
	memset(&kernel, 0, sizeof(kernel));
	current = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	provider_free(f->provider);
	loop_free(f->loop);
	free(f);
	return 0;
}

static struct provision wanted_on(const char *ifname)
{
	struct provision wanted = {
		.kind = PROVISION_ADDRESS,
		.prefix_bits = 32,
		.rule = "web",
		.rules = 1,
	};

	(void)snprintf(wanted.ifname, sizeof(wanted.ifname), "%s", ifname);
	assert_int_equal(ip_addr_parse(ADDRESS, &wanted.addr), 0);
	return wanted;
}

/* As reconcile does. Return: what there is now; NULL: nothing. */
static const struct provided *apply(struct fixture *f, const char *ifname)
{
	struct provision wanted = wanted_on(ifname ? ifname : "lo");

	assert_int_equal(provider_apply(f->provider, &f->netns, &wanted,
					ifname != NULL),
			 0);
	provider_sweep(f->provider, &f->netns);
	return provider_next_in(f->provider, ID, NULL);
}

/* The watcher hears of it, or of its end. */
static void observe(struct fixture *f, bool there, uint8_t proto)
{
	f->address.proto = proto;
	f->netns.n_addresses = there;
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	const struct provided *provided;

	assert_false(provider_has(f->provider, ID));
	provided = apply(f, "lo");
	assert_int_equal(kernel.visits, 1);
	assert_int_equal(kernel.last.change, PROVIDE_ADD);
	assert_int_equal(kernel.last.ifindex, 1);
	assert_int_equal(kernel.noted, 1); /* before it was added */
	assert_int_equal(provided->state, PROVIDED_ADDED);
	/* Before the kernel's word arrives, and after. */
	provided = apply(f, "lo");
	assert_int_equal(provided->state, PROVIDED_ADDED);
	observe(f, true, PROVIDE_MARK);
	provided = apply(f, "lo");
	assert_int_equal(provided->state, PROVIDED_ADDED);
	assert_int_equal(kernel.visits, 1);
	/* No rule wants it, but connections have not ended. */
	f->in_use = true;
	provided = apply(f, NULL);
	assert_int_equal(provided->state, PROVIDED_LEAVING);
	assert_non_null(strstr(provided->reason, "connections"));
	assert_int_equal(kernel.visits, 1);
	f->in_use = false;
	assert_null(apply(f, NULL));
	assert_int_equal(kernel.visits, 2);
	assert_int_equal(kernel.last.change, PROVIDE_REMOVE);
	assert_int_equal(f->noted, 0);
	assert_false(provider_has(f->provider, ID));
}

/* What is there without a note would never be taken away. */
static void test_without_note(void **state)
{
	struct fixture *f = *state;
	const struct provided *provided;

	f->note_error = -ENOSPC;
	provided = apply(f, "lo");
	assert_int_equal(kernel.visits, 0);
	assert_int_equal(provided->state, PROVIDED_WAITING);
	assert_int_equal(provided->error, ENOSPC);
	assert_non_null(strstr(provided->reason, "write down"));
	assert_false(provided->ours);
}

static void test_refusals(void **state)
{
	static const struct {
		int error;
		const char *reason;
	} cases[] = {
		{ EPERM, "CAP_NET_ADMIN" },
		{ ENODEV, "gone" },
		{ ENOBUFS, "memory" },
		{ EINVAL, NULL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct provided *provided;

		kernel.error = cases[i].error;
		provided = apply(f, "lo");
		assert_int_equal(kernel.visits, i + 1);
		assert_int_equal(provided->state, PROVIDED_WAITING);
		assert_int_equal(provided->error, cases[i].error);
		if (cases[i].reason)
			assert_non_null(
				strstr(provided->reason, cases[i].reason));
		else
			assert_null(provided->reason);
		/* Nothing is berth's, and so it is noted. */
		assert_int_equal(f->noted, 0);
		/* It is not tried again before its time. */
		(void)apply(f, "lo");
		assert_int_equal(kernel.visits, i + 1);
		assert_int_equal(f->due, i);
		assert_int_equal(loop_run(f->loop), 0);
		assert_int_equal(f->due, i + 1);
	}
	kernel.error = 0;
	assert_int_equal(apply(f, "lo")->state, PROVIDED_ADDED);
}

static void test_somebody_was_faster(void **state)
{
	struct fixture *f = *state;
	const struct provided *provided;

	kernel.error = EEXIST;
	provided = apply(f, "lo");
	assert_int_equal(provided->state, PROVIDED_FOUND);
	assert_int_equal(f->noted, 0);
	observe(f, true, 0);
	assert_null(apply(f, NULL));
	assert_int_equal(kernel.visits, 1);
}

/* Who takes it away gets it again, but later each time. */
static void test_fight(void **state)
{
	struct fixture *f = *state;
	const struct provided *provided;

	(void)apply(f, "lo");
	for (unsigned int i = 0; i < 3; i++) {
		observe(f, true, PROVIDE_MARK);
		provided = apply(f, "lo");
		assert_int_equal(provided->state, PROVIDED_ADDED);
		observe(f, false, 0);
		for (int k = 0; k < 100; k++) {
			provided = apply(f, "lo");
			assert_int_equal(provided->state, PROVIDED_WAITING);
		}
		assert_non_null(strstr(provided->reason, "somebody"));
		assert_int_equal(kernel.visits, i + 1);
		assert_int_equal(loop_run(f->loop), 0);
		provided = apply(f, "lo");
		assert_int_equal(provided->state, PROVIDED_ADDED);
		assert_int_equal(kernel.visits, i + 2);
	}
}

/* Somebody has put his own in its place. */
static void test_replaced(void **state)
{
	struct fixture *f = *state;

	(void)apply(f, "lo");
	observe(f, true, PROVIDE_MARK);
	(void)apply(f, "lo");
	observe(f, true, 0);
	assert_int_equal(apply(f, "lo")->state, PROVIDED_FOUND);
	assert_int_equal(f->noted, 0);
	assert_null(apply(f, NULL));
	assert_int_equal(kernel.visits, 1);
}

static void test_remembered(void **state)
{
	struct fixture *f = *state;
	struct provision what = wanted_on("lo");

	/* The kernel agrees: it is berth's, and wanted. */
	assert_int_equal(provider_remember(f->provider, ID, &what, 1), 0);
	assert_true(provider_has(f->provider, ID));
	observe(f, true, PROVIDE_MARK);
	assert_int_equal(apply(f, "lo")->state, PROVIDED_ADDED);
	assert_int_equal(kernel.visits, 0);
	/* It is not wanted: it goes. */
	assert_null(apply(f, NULL));
	assert_int_equal(kernel.last.change, PROVIDE_REMOVE);
	/* The kernel does not agree. */
	kernel.visits = 0;
	f->noted = 1;
	for (int there = 0; there < 2; there++) {
		observe(f, there, 0);
		assert_int_equal(provider_remember(f->provider, ID, &what, 1),
				 0);
		assert_null(apply(f, NULL));
		assert_int_equal(f->noted, 0);
	}
	assert_int_equal(kernel.visits, 0);
}

/* Before the addresses are known nothing is decided. */
static void test_not_observed(void **state)
{
	struct fixture *f = *state;
	struct provision what = wanted_on("lo");

	f->netns.observed = false;
	assert_int_equal(apply(f, "lo")->state, PROVIDED_WAITING);
	assert_null(apply(f, NULL));
	assert_int_equal(provider_remember(f->provider, ID, &what, 1), 0);
	assert_int_equal(apply(f, NULL)->state, PROVIDED_LEAVING);
	assert_int_equal(kernel.visits, 0);
}

/* The name is what a rule gives, the number is where it was added. */
static void test_renamed(void **state)
{
	struct fixture *f = *state;
	const struct provided *provided;

	(void)apply(f, "eth0");
	assert_int_equal(kernel.last.ifindex, 5);
	f->address.ifindex = 5;
	observe(f, true, PROVIDE_MARK);
	(void)apply(f, "eth0");
	(void)snprintf(f->interfaces[1].ifname, IF_NAMESIZE, "eth1");
	provided = apply(f, "eth0");
	assert_int_equal(kernel.last.change, PROVIDE_REMOVE);
	assert_int_equal(kernel.last.ifindex, 5);
	assert_int_equal(provided->state, PROVIDED_WAITING);
	assert_non_null(strstr(provided->reason, "no interface"));
	assert_int_equal(f->noted, 0);
}

static void test_forgotten(void **state)
{
	struct fixture *f = *state;

	(void)apply(f, "lo");
	assert_int_equal(f->noted, 1);
	provider_forget(f->provider, ID);
	assert_int_equal(f->noted, 0);
	assert_false(provider_has(f->provider, ID));
	assert_int_equal(kernel.visits, 1);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),       TEST(test_without_note),
		TEST(test_refusals),   TEST(test_somebody_was_faster),
		TEST(test_fight),      TEST(test_replaced),
		TEST(test_remembered), TEST(test_not_observed),
		TEST(test_renamed),    TEST(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
