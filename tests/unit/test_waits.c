// SPDX-License-Identifier: Apache-2.0
/* test_waits.c - when a wait ends, and how */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/control/waits.h"

#define WATCHDOG_S 30
#define LONG_US (60 * USEC_PER_SEC)

enum { BLUE = 7, RED = 8 };

/**
 * struct bench - the table and what it is told
 * @found:	what "blue" means: an id; 0: nothing
 * @several:	it means several
 * @verdict:	of every namespace
 * @finds, @judgements: how often it was asked
 */
struct bench {
	struct loop *loop;
	struct waits *waits;
	uint64_t found;
	bool several;
	enum wait_verdict verdict;
	size_t finds;
	size_t judgements;
};

static struct bench bench;

/** struct caller - a waiter, and how often and how it was ended */
struct caller {
	struct waiter waiter;
	size_t ends;
	enum wait_end end;
	uint64_t netns_id;
};

static int find(const struct waiter *waiter, uint64_t *ret_netns_id,
		void *user_data)
{
	(void)user_data;
	assert_string_equal(waiter->text, "blue");
	bench.finds++;
	if (bench.several)
		return -ENOTUNIQ;
	if (!bench.found)
		return 0;
	*ret_netns_id = bench.found;
	return 1;
}

static bool may_be(const char *text, const struct netns *netns, void *user_data)
{
	(void)text;
	(void)user_data;
	return netns->id == BLUE;
}

static enum wait_verdict judge(uint64_t netns_id, void *user_data)
{
	(void)user_data;
	assert_in_range(netns_id, BLUE, RED);
	bench.judgements++;
	return bench.verdict;
}

static const struct waits_ops ops = {
	.find = find,
	.may_be = may_be,
	.judge = judge,
};

static bool after(void *user_data)
{
	(void)user_data;
	waits_step(bench.waits);
	return false;
}

static int setup(void **state)
{
	(void)state;
	(void)alarm(WATCHDOG_S); /* a hang is a failure */
	log_init("test", LOG_LEVEL_ERROR);
	bench = (struct bench){ .verdict = WAIT_VERDICT_LATER };
	assert_int_equal(loop_new(&bench.loop), 0);
	assert_int_equal(waits_new(bench.loop, &ops, NULL, &bench.waits), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	waits_free(bench.waits);
	loop_free(bench.loop);
	return 0;
}

static void done(struct waiter *waiter, enum wait_end end)
{
	struct caller *caller = container_of(waiter, struct caller, waiter);

	caller->ends++;
	caller->end = end;
	caller->netns_id = waiter->netns_id;
}

/* Waits for "blue", or for a namespace that is known. */
static struct caller begin(const char *text, uint64_t netns_id)
{
	return (struct caller){
		.waiter = { .text = text,
			    .netns_id = netns_id,
			    .deadline_us = monotonic_us() + LONG_US,
			    .done = done },
	};
}

static void add(struct caller *caller)
{
	assert_int_equal(waits_add(bench.waits, &caller->waiter), 0);
}

static void assert_waits(const struct caller *caller)
{
	assert_int_equal(caller->ends, 0);
}

static void assert_ended(const struct caller *caller, enum wait_end end)
{
	assert_int_equal(caller->ends, 1);
	assert_int_equal(caller->end, end);
}

static const struct netns blue = { .id = BLUE }, red = { .id = RED };

static void test_ready_at_once(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	bench.found = BLUE;
	bench.verdict = WAIT_VERDICT_READY;
	add(&caller);
	assert_waits(&caller); /* never from within waits_add() */
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_READY);
	assert_int_equal(caller.netns_id, BLUE);
	waits_step(bench.waits);
	assert_int_equal(caller.ends, 1);
}

/* It is looked at when something is told, and only then. */
static void test_ready_when_told(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	bench.found = BLUE;
	add(&caller);
	waits_step(bench.waits);
	waits_step(bench.waits);
	assert_waits(&caller);
	assert_int_equal(bench.judgements, 1);
	waits_look_again(bench.waits, RED);
	waits_step(bench.waits);
	assert_int_equal(bench.judgements, 1);
	bench.verdict = WAIT_VERDICT_READY;
	waits_look_again(bench.waits, BLUE);
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_READY);
}

/* While the plan is being made each step asks again. */
static void test_unplanned(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	bench.found = BLUE;
	bench.verdict = WAIT_VERDICT_UNPLANNED;
	caller.waiter.once = true;
	add(&caller);
	waits_step(bench.waits);
	waits_step(bench.waits);
	assert_waits(&caller);
	bench.verdict = WAIT_VERDICT_LATER;
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_NOT_READY);
}

static void test_appears(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	add(&caller);
	waits_step(bench.waits);
	waits_netns_changed(bench.waits, &red);
	waits_step(bench.waits);
	assert_int_equal(bench.finds, 1);
	bench.found = BLUE;
	bench.verdict = WAIT_VERDICT_READY;
	waits_netns_changed(bench.waits, &blue);
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_READY);
}

/* The name may come back, for another namespace; an id does not. */
static void test_goes(void **state)
{
	struct caller named = begin("blue", 0), known = begin(NULL, BLUE);

	(void)state;
	bench.found = BLUE;
	add(&named);
	add(&known);
	waits_step(bench.waits);
	bench.found = 0;
	waits_netns_gone(bench.waits, RED);
	waits_step(bench.waits);
	assert_waits(&known);
	waits_netns_gone(bench.waits, BLUE);
	waits_step(bench.waits);
	assert_ended(&known, WAIT_END_ABSENT);
	assert_waits(&named);
	bench.found = RED;
	bench.verdict = WAIT_VERDICT_READY;
	waits_netns_changed(bench.waits, &blue);
	waits_step(bench.waits);
	assert_ended(&named, WAIT_END_READY);
	assert_int_equal(named.netns_id, RED);
}

static void test_never(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	bench.found = BLUE;
	bench.verdict = WAIT_VERDICT_NEVER;
	add(&caller);
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_NOT_READY);
}

static void test_once(void **state)
{
	struct caller absent = begin("blue", 0), known = begin(NULL, RED);

	(void)state;
	absent.waiter.once = known.waiter.once = true;
	add(&absent);
	add(&known);
	waits_step(bench.waits);
	assert_ended(&absent, WAIT_END_ABSENT);
	assert_ended(&known, WAIT_END_NOT_READY);
}

static void test_ambiguous(void **state)
{
	struct caller caller = begin("blue", 0);

	(void)state;
	bench.several = true;
	add(&caller);
	waits_step(bench.waits);
	assert_ended(&caller, WAIT_END_AMBIGUOUS);
}

static void quit(struct waiter *waiter, enum wait_end end)
{
	done(waiter, end);
	loop_quit(bench.loop, 0);
}

/* Whoever waits longest ends the loop: nothing happens but the clock. */
static void test_time_is_over(void **state)
{
	struct caller present = begin("blue", BLUE), absent = begin("blue", 0);

	(void)state;
	loop_set_after(bench.loop, after, NULL);
	present.waiter.deadline_us = monotonic_us() + USEC_PER_MSEC;
	absent.waiter.deadline_us = monotonic_us() + 3 * USEC_PER_MSEC;
	absent.waiter.done = quit;
	add(&absent);
	add(&present);
	assert_int_equal(loop_run(bench.loop), 0);
	assert_ended(&present, WAIT_END_NOT_READY);
	assert_ended(&absent, WAIT_END_ABSENT);
	assert_true(monotonic_us() >= absent.waiter.deadline_us);
}

static void test_removed(void **state)
{
	struct caller first = begin("blue", BLUE), second = begin(NULL, BLUE);

	(void)state;
	add(&first);
	add(&second);
	waits_remove(bench.waits, &first.waiter);
	waits_remove(bench.waits, &first.waiter);
	bench.verdict = WAIT_VERDICT_READY;
	waits_step(bench.waits);
	assert_waits(&first);
	assert_ended(&second, WAIT_END_READY);
}

static void test_limit(void **state)
{
	static struct caller callers[WAITS_MAX];
	struct caller more = begin("blue", BLUE);

	(void)state;
	for (size_t i = 0; i < WAITS_MAX; i++) {
		callers[i] = begin("blue", BLUE);
		add(&callers[i]);
	}
	assert_int_equal(waits_add(bench.waits, &more.waiter), -ENOSPC);
	waits_remove(bench.waits, &more.waiter);
	waits_remove(bench.waits, &callers[1].waiter);
	add(&more);
	bench.verdict = WAIT_VERDICT_READY;
	waits_step(bench.waits);
	assert_ended(&more, WAIT_END_READY);
	assert_ended(&callers[0], WAIT_END_READY);
	assert_waits(&callers[1]);
}

/* Users do not keep root from waiting. */
static void test_limit_of_users(void **state)
{
	static struct caller callers[WAITS_USERS_MAX];
	struct caller more = begin("blue", BLUE), root = begin("blue", BLUE);

	(void)state;
	for (size_t i = 0; i < WAITS_USERS_MAX; i++) {
		callers[i] = begin("blue", BLUE);
		callers[i].waiter.user = true;
		add(&callers[i]);
	}
	more.waiter.user = true;
	assert_int_equal(waits_add(bench.waits, &more.waiter), -ENOSPC);
	add(&root);
	waits_remove(bench.waits, &callers[0].waiter);
	add(&more);
}

#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_ready_at_once),
		BENCH_TEST(test_ready_when_told),
		BENCH_TEST(test_unplanned),
		BENCH_TEST(test_appears),
		BENCH_TEST(test_goes),
		BENCH_TEST(test_never),
		BENCH_TEST(test_once),
		BENCH_TEST(test_ambiguous),
		BENCH_TEST(test_time_is_over),
		BENCH_TEST(test_removed),
		BENCH_TEST(test_limit),
		BENCH_TEST(test_limit_of_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
