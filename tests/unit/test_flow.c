// SPDX-License-Identifier: Apache-2.0
/* test_flow.c - the life of flows: turns, deadlines, and their end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/flow.h"
#include "relay/core/listener.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

#define NOW_US (100 * USEC_PER_SEC)
#define IDLE_US (10 * USEC_PER_SEC)
#define CONNECT_US USEC_PER_SEC
#define FLOWS 3

/* One worker with one listener, and what was done to its flows. */
static struct relay {
	struct worker worker;
	struct admission_worker netns_worker;
	struct admission netns;
	struct serving serving;
	struct listener *listener;
	struct share *share;
	struct flow *flows[FLOWS];
	enum flow_result results[FLOWS];
	const struct flow *log[4 * FLOWS];
	size_t n_log;
	unsigned int n_closed, n_timeouts, n_expired;
	bool progress;
	struct flow *resets; /* ended by the next step */
} relay;

static enum flow_result step(struct worker *worker, struct flow *flow)
{
	assert_true(relay.n_log < ARRAY_SIZE(relay.log));
	relay.log[relay.n_log++] = flow;
	if (relay.resets)
		flow_reset(worker, TAKE_PTR(relay.resets));
	for (size_t i = 0; i < FLOWS; i++) {
		if (relay.flows[i] == flow)
			return relay.results[i];
	}
	return FLOW_FAILED;
}

static void close_sides(struct worker *worker, struct flow *flow, bool reset)
{
	(void)worker;
	(void)flow;
	assert_true(reset);
	relay.n_closed++;
}

static bool progressed(struct worker *worker, struct flow *flow)
{
	bool progress = relay.progress;

	(void)worker;
	(void)flow;
	relay.progress = false;
	return progress;
}

static void connect_timeout(struct worker *worker, struct flow *flow)
{
	relay.n_timeouts++;
	flow_reset(worker, flow);
}

/* In order: it is ending from now on. */
static void expire(struct worker *worker, struct flow *flow)
{
	relay.n_expired++;
	flow_set_state(worker, flow, FLOW_ENDING);
}

static const struct flow_ops ops = {
	.size = sizeof(struct flow),
	.step = step,
	.close = close_sides,
	.progressed = progressed,
	.connect_timeout = connect_timeout,
};

static const struct relay_protocol protocol = { .client_fds = 1 };

static int set_up(void **state)
{
	(void)state;
	relay = (struct relay){
		.worker = { .turn = 7, .now_us = NOW_US },
		.serving = { .action = SERVICE_DISCARD,
			     .idle_timeout_us = IDLE_US,
			     .connect_timeout_us = CONNECT_US,
			     .max_connections = FLOWS },
	};
	atomic_init(&relay.serving.refs, 1);
	assert_int_equal(admission_init(16, 1), 0);
	relay.netns.workers = &relay.netns_worker;
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 1,
				      &relay.listener),
			 0);
	relay.listener->ops = &protocol;
	relay.listener->netns = &relay.netns;
	relay.share = &relay.listener->shares[0];
	relay.share->worker = &relay.worker;
	relay.share->serving = &relay.serving;
	for (size_t i = 0; i < FLOWS; i++) {
		relay.flows[i] = flow_new(&relay.worker, relay.share, &ops);
		assert_non_null(relay.flows[i]);
		flow_set_state(&relay.worker, relay.flows[i], FLOW_OPEN);
	}
	return 0;
}

/* Frees what was buried. */
static size_t free_graves(void)
{
	struct grave *grave;
	size_t n = 0;

	while ((grave = relay.worker.graves)) {
		relay.worker.graves = grave->next;
		free(grave);
		n++;
	}
	return n;
}

static int tear_down(void **state)
{
	(void)state;
	flow_reset_all(&relay.worker);
	flow_run_ready(&relay.worker);
	(void)free_graves();
	assert_int_equal(atomic_load(&relay.serving.refs), 1);
	assert_int_equal(relay.worker.timers.heap.reserved, 0);
	timers_done(&relay.worker.timers);
	relay.listener->netns = NULL; /* of no table */
	(void)listener_free(relay.listener);
	return 0;
}

static void run(size_t i)
{
	flow_run(&relay.worker, relay.flows[i]);
}

/* Were those, and no others, run in that order? */
static void assert_log(const size_t *order, size_t n)
{
	assert_int_equal(relay.n_log, n);
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(relay.log[i], relay.flows[order[i]]);
	relay.n_log = 0;
}

/* Those that were cut short go on in the order in which they were. */
static void test_first_come_first_served(void **state)
{
	static const size_t all[] = { 2, 0, 1 }, two[] = { 2, 1 };

	(void)state;
	for (size_t i = 0; i < FLOWS; i++)
		relay.results[i] = FLOW_AGAIN;
	for (size_t i = 0; i < FLOWS; i++)
		run(all[i]);
	run(2); /* it is in the list already */
	relay.n_log = 0;
	relay.results[0] = FLOW_WAITS;
	flow_run_ready(&relay.worker);
	assert_log(all, FLOWS); /* each once, although two want more */
	flow_run_ready(&relay.worker);
	assert_log(two, 2);
}

/* A namespace that had its turn does not run, nor is it forgotten. */
static void test_turn_is_over(void **state)
{
	static const size_t one[] = { 1 };

	(void)state;
	relay.results[1] = FLOW_WAITS;
	admission_turn(&relay.netns, 0, relay.worker.turn)->n_bytes =
		ADMISSION_TURN_BYTES;
	run(1);
	flow_run_ready(&relay.worker);
	assert_log(NULL, 0);
	relay.worker.turn++;
	flow_run_ready(&relay.worker);
	assert_log(one, 1);
	assert_null(relay.worker.ready);
}

/* The memory of one that waits for its turn is freed when that has come. */
static void test_dead_in_the_list(void **state)
{
	static const size_t first[] = { 0 };

	(void)state;
	relay.results[0] = relay.results[1] = FLOW_AGAIN;
	run(0);
	run(1);
	relay.n_log = 0;
	relay.resets = relay.flows[1];
	flow_run_ready(&relay.worker);
	assert_log(first, 1);
	assert_int_equal(relay.n_closed, 1);
	assert_int_equal(free_graves(), 1);
}

/* A step that ends its own flow has no more to say of it. */
static void test_ended_by_its_step(void **state)
{
	static const enum flow_result results[FLOWS] = { FLOW_WAITS, FLOW_AGAIN,
							 FLOW_FAILED };

	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		relay.results[i] = results[i];
		relay.resets = relay.flows[i];
		run(i);
		assert_int_equal(relay.n_closed, i + 1);
	}
	assert_null(relay.worker.ready);
	assert_int_equal(free_graves(), FLOWS);
}

/* The newest goes first, if that frees a descriptor. */
static void test_newest_is_shed(void **state)
{
	(void)state;
	flow_give_fd(relay.flows[1]);
	assert_true(flow_shed(&relay.worker));
	assert_true(flow_is_dead(relay.flows[2]));
	assert_true(flow_shed(&relay.worker));
	assert_true(flow_is_dead(relay.flows[0]));
	assert_false(flow_shed(&relay.worker));
	assert_false(flow_is_dead(relay.flows[1]));
}

static void advance(uint64_t us)
{
	relay.worker.now_us += us;
	timers_run(&relay.worker.timers, relay.worker.now_us, &relay.worker);
}

/* Whoever makes progress has time again, and no one else. */
static void test_deadlines(void **state)
{
	(void)state;
	flow_set_state(&relay.worker, relay.flows[1], FLOW_CONNECTING);
	advance(CONNECT_US);
	assert_int_equal(relay.n_timeouts, 1);
	assert_true(flow_is_dead(relay.flows[1]));
	relay.flows[0]->active_us = relay.worker.now_us;
	advance(IDLE_US - CONNECT_US);
	assert_false(flow_is_dead(relay.flows[0]));
	assert_true(flow_is_dead(relay.flows[2]));
	relay.progress = true;
	advance(CONNECT_US);
	assert_false(flow_is_dead(relay.flows[0]));
	advance(IDLE_US - 1);
	assert_false(flow_is_dead(relay.flows[0]));
	advance(1);
	assert_true(flow_is_dead(relay.flows[0]));
	assert_int_equal(relay.n_timeouts, 1);
}

static uint64_t ended(enum berth_ending ending)
{
	return atomic_load(&share_counters(relay.share)->ended[ending]);
}

/* However much progress there is, a flow ends within the last fifth of its
 * lifetime, unless it is ending already. */
static void test_lifetime(void **state)
{
	const uint64_t limit_us = 5 * IDLE_US;

	(void)state;
	relay.serving.max_lifetime_us = limit_us;
	flow_set_state(&relay.worker, relay.flows[1], FLOW_DRAINING);
	flow_set_state(&relay.worker, relay.flows[2], FLOW_ENDING);
	for (int i = 0; i < 4; i++) {
		relay.flows[0]->active_us = relay.worker.now_us + IDLE_US;
		relay.flows[1]->since_us = relay.worker.now_us + IDLE_US;
		relay.flows[2]->since_us = relay.worker.now_us + IDLE_US;
		advance(IDLE_US);
	}
	for (size_t i = 0; i < FLOWS; i++) {
		assert_false(flow_is_dead(relay.flows[i]));
		relay.flows[i]->active_us = relay.worker.now_us + IDLE_US;
		relay.flows[i]->since_us = relay.worker.now_us + IDLE_US;
	}
	advance(IDLE_US);
	assert_true(flow_is_dead(relay.flows[0]));
	assert_false(flow_is_dead(relay.flows[1]));
	assert_false(flow_is_dead(relay.flows[2]));
	assert_int_equal(ended(BERTH_ENDING_LIFETIME), 1);
}

/* Also before there is a backend. */
static void test_lifetime_while_it_connects(void **state)
{
	(void)state;
	relay.serving.connect_timeout_us = SERVING_NEVER_US;
	relay.serving.max_lifetime_us = USEC_PER_SEC;
	for (size_t i = 0; i < FLOWS; i++)
		flow_set_state(&relay.worker, relay.flows[i],
			       i ? FLOW_WAITING : FLOW_CONNECTING);
	advance(USEC_PER_SEC * 4 / 5 - 1);
	assert_int_equal(relay.n_closed, 0);
	advance(USEC_PER_SEC / 5 + 1);
	assert_int_equal(ended(BERTH_ENDING_LIFETIME), FLOWS);
	assert_int_equal(relay.n_timeouts, 0);
}

/* The reason stays the same if the peers then take nothing. */
static void test_lifetime_in_order(void **state)
{
	struct flow_ops orderly = ops;

	(void)state;
	orderly.expire = expire;
	for (size_t i = 0; i < FLOWS; i++)
		relay.flows[i]->ops = &orderly;
	relay.serving.max_lifetime_us = USEC_PER_SEC;
	for (size_t i = 0; i < FLOWS; i++)
		flow_set_state(&relay.worker, relay.flows[i], FLOW_OPEN);
	advance(USEC_PER_SEC);
	assert_int_equal(relay.n_expired, FLOWS);
	assert_int_equal(relay.n_closed, 0);
	advance(60 * USEC_PER_SEC);
	assert_int_equal(relay.n_expired, FLOWS);
	assert_int_equal(ended(BERTH_ENDING_LIFETIME), FLOWS);
}

/* A client that begins anew has its whole time again. */
static void test_renewed(void **state)
{
	struct flow *flow = relay.flows[0];
	uint64_t number = flow->entry.number;

	(void)state;
	relay.serving.idle_timeout_us = SERVING_NEVER_US;
	relay.serving.max_lifetime_us = USEC_PER_SEC;
	flow->entry.bytes_in = 1;
	relay.worker.now_us += USEC_PER_SEC;
	flow_renew(&relay.worker, flow);
	flow_set_state(&relay.worker, flow, FLOW_OPEN);
	assert_true(flow->entry.number > number);
	assert_int_equal(flow->entry.bytes_in, 0);
	advance(USEC_PER_SEC * 4 / 5 - 1);
	assert_false(flow_is_dead(flow));
	advance(USEC_PER_SEC / 5 + 1);
	assert_true(flow_is_dead(flow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_come_first_served,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_turn_is_over, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_dead_in_the_list, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_ended_by_its_step, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_newest_is_shed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_deadlines, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_lifetime, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_lifetime_while_it_connects,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lifetime_in_order, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_renewed, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
