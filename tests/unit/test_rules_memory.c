// SPDX-License-Identifier: Apache-2.0
/* test_rules_memory.c - the rules layer when memory runs out, at each point
 *
 * The test wraps the allocator of the C library by functions that fail once,
 * at the nth call. For each n until all calls succeed, the outcome must be
 * -ENOMEM or the same as with enough memory, and nothing may leak.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/rtnetlink.h>

#include "common/util.h"
#include "rules/parse_rule.h"
#include "rules/plan.h"

/* Sanitizers bring their own allocator, which cannot be wrapped as well. */
#if defined(__SANITIZE_ADDRESS__)
#define WRAPPED 0
#else
#define WRAPPED 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
#endif

static size_t fail_at; /* 0: never */
static size_t calls;
static long live;

#if WRAPPED
static bool fails(void)
{
	if (++calls != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

static void *counted(void *p)
{
	if (p)
		live++;
	return p;
}

void *malloc(size_t size)
{
	return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	return p ? __libc_realloc(p, size) : counted(__libc_realloc(p, size));
}

void free(void *p)
{
	if (p)
		live--;
	__libc_free(p);
}
#endif

static const char *const good =
	"rules:\n"
	"- name: a\n"
	"  match: {namespace: ['b*', '!/x+/'], directory: /n, host: true,\n"
	"    interface: lo, address: [127.0.0.0/8], scope: host}\n"
	"  listen: [{protocol: [tcp, udp], port: [80, 90-99], address: each}]\n"
	"  forward: {to: ['unix:/r/${namespace}', '10.0.0.1:${port}'],\n"
	"    namespace: red}\n"
	"- name: b\n"
	"  listen: [{protocol: tcp, port: 80, address: [10.1.1.1, 10.1.1.2]},\n"
	"    {protocol: sctp, port: 5, address: all}]\n"
	"  respond: ack\n"
	"- {name: c, listen: [{protocol: tcp, port: 80}], handoff: x}\n"
	"- name: d\n"
	"  match: {labels: 'app=web, tier in (a,b), !x', pod_namespace: s,\n"
	"    container: '/w(?<n>.*)/'}\n"
	"  listen: [{protocol: tcp, port: 81}]\n"
	"  forward: {to: 'unix:/r/${label.app}/${container.n}'}\n"
	"- name: e\n"
	"  match: {labels: {app: web, tier: a}}\n"
	"  provide: {loopback: up, addresses: [192.0.2.1/24]}\n"
	"  listen: [{protocol: tcp, port: 82}]\n"
	"  respond: ack\n";

static const char *const itself =
	"rules:\n"
	"- name: a\n"
	"  match: {host: true}\n"
	"  listen: [{protocol: sctp, port: 5, address: all}]\n"
	"  forward: {to: ['127.0.0.1:5']}\n"
	"- name: b\n"
	"  match: {namespace: blue}\n"
	"  listen: [{protocol: tcp, port: [80, 81], address: each}]\n"
	"  forward: {to: ['127.0.0.1:80'], namespace: blue}\n";

static const char *const bad = "rules:\n"
			       "- {nmae: a, match: {namespace: '/(/'},\n"
			       "  listen: [{protocol: tcp, port: 0}]}\n"
			       "- [1]\n";

static struct netns_name name = { .dir = (char *)"/n", .name = (char *)"blue" };
static struct netns_interface interface = { 1, "lo", true };
static struct netns_address address = {
	.addr = { .family = AF_INET, .bytes = { 127, 0, 0, 1 } },
	.scope = RT_SCOPE_HOST,
	.ifindex = 1,
};
static const struct container_label labels[] = { { "app", "web" },
						 { "tier", "a" } };
static const struct container container = {
	.name = "w1",
	.pod_namespace = "s",
	.labels = labels,
	.n_labels = 2,
};
static const struct container *containers[] = { &container };
static const struct netns netns = {
	.id = 1,
	.addresses_known = true,
	.observed = true,
	.names = &name,
	.n_names = 1,
	.interfaces = &interface,
	.n_interfaces = 1,
	.addresses = &address,
	.n_addresses = 1,
	.containers = containers,
	.n_containers = 1,
};

static int plan_and_explain(const struct ruleset *ruleset)
{
	struct plan plan;
	char *reason;
	int r = plan_make(ruleset, &netns, 100, &plan);

	if (r < 0)
		return r;
	assert_int_equal(plan.n_specs, 22 + 2 + 1 + 2);
	assert_int_equal(plan.n_shadows, 1);
	assert_int_equal(plan.n_provisions, 2);
	plan_done(&plan);
	for (size_t i = 0; i < ruleset_size(ruleset) && r >= 0; i++) {
		r = plan_explain(ruleset, i, &netns, &reason);
		if (r >= 0) {
			assert_int_equal(r, 1);
			free(reason);
		}
	}
	return r < 0 ? r : 0;
}

static int check_itself(const struct ruleset *ruleset)
{
	struct rules_errors errors = { 0 };
	int r = ruleset_check(ruleset, &errors);

	if (r == 0)
		assert_int_equal(errors.n, 2);
	rules_errors_done(&errors);
	return r;
}

static int use_text(const char *text, int (*use)(const struct ruleset *ruleset))
{
	struct rules_errors errors = { 0 };
	struct rule_file *file;
	struct ruleset *ruleset;
	int r = parse_rules("x", text, strlen(text), &errors, &file);

	assert_int_equal(errors.n, 0);
	if (r < 0)
		return r;
	ruleset = ruleset_new(&file, 1);
	rule_file_unref(file);
	if (!ruleset)
		return -ENOMEM;
	r = use(ruleset);
	ruleset_unref(ruleset);
	return r;
}

static int use_good(void)
{
	return use_text(good, plan_and_explain);
}

static int use_itself(void)
{
	return use_text(itself, check_itself);
}

static int use_bad(void)
{
	struct rules_errors errors = { 0 };
	struct rule_file *file;
	int r = parse_rules("x", bad, strlen(bad), &errors, &file);

	if (r == -EINVAL)
		assert_int_equal(errors.n, 6);
	rules_errors_done(&errors);
	return r == -EINVAL ? 0 : r;
}

/* Runs @use with the first, second, … allocation failing. */
static void fail_each(int (*use)(void))
{
	size_t n = 0;
	long before;
	int r;

	/* What libraries allocate once and keep. */
	assert_int_equal(use(), 0);
	do {
		before = live;
		calls = 0;
		fail_at = ++n;
		r = use();
		fail_at = 0;
		assert_true(r == 0 || r == -ENOMEM);
		assert_int_equal(live, before);
	} while (calls >= n);
	assert_int_equal(r, 0);
	assert_true(!WRAPPED || n > 100);
}

static void test_good(void **state)
{
	(void)state;
	fail_each(use_good);
}

static void test_itself(void **state)
{
	(void)state;
	fail_each(use_itself);
}

static void test_bad(void **state)
{
	(void)state;
	fail_each(use_bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
