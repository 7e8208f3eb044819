// SPDX-License-Identifier: Apache-2.0
/* test_binder.c - listeners in real namespaces: difference, retries, limits */
#include <netinet/in.h>

#include "binder_netns_fixture.h"

/* A program of the container that took the port. */
static int squat(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_difference(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[3];
	struct binder_stats stats;
	uint64_t id;
	int fd;

	specs[0] = spec_make(PROTOCOL_TCP, "any", 80);
	specs[1] = spec_make(PROTOCOL_TCP, "127.0.0.1", 81);
	apply(f, 1, specs, 2);
	assert_told(f, "+80 +81");
	fd = first(f, 1)->fd;
	id = first(f, 1)->id;

	/* The same again: nothing happens. */
	specs[0] = spec_make(PROTOCOL_TCP, "any", 80);
	specs[1] = spec_make(PROTOCOL_TCP, "127.0.0.1", 81);
	apply(f, 1, specs, 2);
	assert_told(f, "");

	/* The port of one that goes is free for one that comes. */
	specs[0] = spec_make(PROTOCOL_TCP, "any", 82);
	specs[1] = spec_make(PROTOCOL_TCP, "any", 81);
	specs[2] = spec_make(PROTOCOL_TCP, "any", 80);
	apply(f, 1, specs, 3);
	assert_told(f, "-81 +82 +81");
	assert_ptr_equal(binder_find(f->binder, id), first(f, 1));
	assert_int_equal(first(f, 1)->fd, fd);

	/* Two namespaces do not know each other. */
	apply_one(f, 2, spec_make(PROTOCOL_TCP, "any", 80));
	assert_told(f, "+80");
	binder_get_stats(f->binder, &stats);
	assert_int_equal(stats.open, 4);
	binder_forget(f->binder, 1);
	assert_told(f, "-80 -82 -81");
	assert_null(binder_find(f->binder, id));
	assert_null(binder_next_in(f->binder, 1, NULL));
	assert_int_equal(binder_next(f->binder, NULL)->netns_id, 2);
	assert_null(binder_next(f->binder, binder_next(f->binder, NULL)));
	assert_int_equal(binder_apply(f->binder, 2, NULL, 0), 0);
	assert_told(f, "-80");
	assert_null(binder_next(f->binder, NULL));
	binder_get_stats(f->binder, &stats);
	assert_int_equal(stats.open, 0);
	assert_int_equal(stats.opened, 5);
}

static uint64_t id_of_port(struct fixture *f, uint16_t port)
{
	struct listener *listener = NULL;

	while ((listener = binder_next_in(f->binder, 1, listener))) {
		if (listener->endpoint.port == port)
			return listener->id;
	}
	return 0;
}

/* In the order in which they were opened, in any other, and next to one that
 * is gone. */
static void test_found_by_id(void **state)
{
	static const unsigned int orders[][4] = {
		{ 0, 1, 2, 3 },
		{ 3, 2, 1, 0 },
		{ 1, 1, 3, 0 },
	};
	struct fixture *f = *state;
	struct listener_spec specs[4];
	uint64_t ids[4];

	for (uint16_t i = 0; i < 4; i++)
		specs[i] = spec_make(PROTOCOL_TCP, "any", (uint16_t)(80 + i));
	apply(f, 1, specs, 4);
	for (uint16_t i = 0; i < 4; i++)
		ids[i] = id_of_port(f, (uint16_t)(80 + i));
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		for (size_t j = 0; j < 4; j++) {
			uint64_t id = ids[orders[i][j]];

			assert_int_equal(binder_find(f->binder, id)->id, id);
		}
		assert_null(binder_find(f->binder, UINT64_MAX));
	}
	/* The last one that was found goes, and then the one behind it. */
	for (uint16_t gone = 1; gone <= 2; gone++) {
		assert_non_null(binder_find(f->binder, ids[1]));
		for (uint16_t i = gone; i < 4; i++)
			specs[i - gone] = spec_make(PROTOCOL_TCP, "any",
						    (uint16_t)(80 + i));
		if (gone == 1)
			assert_non_null(binder_find(f->binder, ids[0]));
		apply(f, 1, specs, 4u - gone);
		assert_null(binder_find(f->binder, ids[gone - 1]));
		assert_int_equal(binder_find(f->binder, ids[2])->id, ids[2]);
		assert_int_equal(binder_find(f->binder, ids[3])->id, ids[3]);
	}
}

static void test_iteration_is_grouped(void **state)
{
	static const struct {
		uint64_t netns_id;
		uint16_t port;
	} expected[] = { { 1, 10 }, { 1, 11 }, { 1, 12 }, { 2, 20 } };
	struct fixture *f = *state;
	struct listener_spec specs[3];
	struct listener *l = NULL;

	specs[0] = spec_make(PROTOCOL_TCP, "any", 10);
	apply(f, 1, specs, 1);
	specs[0] = spec_make(PROTOCOL_TCP, "any", 20);
	apply(f, 2, specs, 1);
	for (uint16_t i = 0; i < 3; i++)
		specs[i] = spec_make(PROTOCOL_TCP, "any", 10 + i);
	apply(f, 1, specs, 3);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		l = binder_next(f->binder, l);
		assert_non_null(l);
		assert_int_equal(l->netns_id, expected[i].netns_id);
		assert_int_equal(l->endpoint.port, expected[i].port);
	}
	assert_null(binder_next(f->binder, l));
}

static void test_another_service_keeps_the_socket(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", 80);
	uint64_t id;
	int fd;

	apply_one(f, 1, spec);
	assert_told(f, "+80");
	fd = first(f, 1)->fd;
	id = first(f, 1)->id;
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.service->action = SERVICE_ECHO;
	apply_one(f, 1, spec);
	assert_told(f, "~80");
	assert_int_equal(first(f, 1)->service->action, SERVICE_ECHO);
	assert_int_equal(first(f, 1)->fd, fd);
	assert_int_equal(first(f, 1)->id, id);

	/* The interface's name is told to consumers as well. */
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.service->action = SERVICE_ECHO;
	strcpy(spec.ifname, "eth1");
	apply_one(f, 1, spec);
	assert_told(f, "~80");

	/* And what its namespace is called. */
	binder_renamed(f->binder, 2);
	assert_told(f, "");
	binder_renamed(f->binder, 1);
	assert_told(f, "~80");
	assert_string_equal(first(f, 1)->ifname, "eth1");
	assert_int_equal(first(f, 1)->id, id);
}

static void test_other_options_reopen(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", 80);
	uint64_t id;

	apply_one(f, 1, spec);
	id = first(f, 1)->id;
	first(f, 1)->user_data = f;
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.service->options.mark = 7;
	apply_one(f, 1, spec);
	assert_told(f, "+80 -80 +80");
	assert_int_not_equal(first(f, 1)->id, id);
	assert_int_equal(option(first(f, 1)->fd, SOL_SOCKET, SO_MARK), 7);
}

/* What a consumer was given is never another's; what none has seen may be. */
static void test_another_consumer(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec;
	uint64_t id;

	for (int given = 0; given < 2; given++) {
		apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
		assert_told(f, given ? "-80 +80" : "+80");
		id = first(f, 1)->id;
		f->given = given;
		spec = spec_make(PROTOCOL_TCP, "any", 80);
		free(spec.service->consumer);
		spec.service->consumer = strdup("other");
		apply_one(f, 1, spec);
		assert_told(f, given ? "-80 +80" : "~80");
		assert_int_equal(first(f, 1)->id == id, !given);
		f->given = true;
	}
}

static void test_taken_port(void **state)
{
	struct fixture *f = *state;
	int fd = squat(80);
	struct listener *l;

	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	l = first(f, 1);
	assert_int_equal(l->state, LISTENER_WAITING);
	assert_int_equal(l->error, EADDRINUSE);
	assert_int_equal(l->blocked_by, 0);
	assert_int_equal(l->attempts, 1);
	assert_non_null(strstr(l->reason, "taken by a program"));
	assert_true(l->next_attempt_us > loop_now_us(f->loop));
	fixture_tick(f, 5 * FIXTURE_RETRY_MAX_US);
	assert_told(f, "");
	/* At once, and after 20, 40, 80, 80, 80 and 80 ms. */
	assert_int_equal(l->attempts, 7);
	close(fd);
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
	assert_told(f, "+80");
	assert_int_equal(l->attempts, 0);
	assert_int_equal(l->next_attempt_us, 0);
	assert_int_equal(l->error, 0);
}

static struct listener_spec spec_later(struct fixture *f, uint16_t port,
				       uint64_t delay_us)
{
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", port);

	spec.not_before_us = loop_now_us(f->loop) + delay_us;
	return spec;
}

/* It is opened when its time has come, without any event, and not before,
 * whatever events there are; the other listener does not wait for it. */
static void test_later(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[] = { spec_later(f, 80, USEC_PER_SEC),
					 spec_make(PROTOCOL_TCP, "any", 90) };
	struct listener *l;

	apply(f, 1, specs, 2);
	assert_told(f, "+90");
	l = first(f, 1);
	assert_int_equal(l->state, LISTENER_WAITING);
	assert_int_equal(l->error, 0);
	assert_int_equal(l->attempts, 0);
	assert_non_null(strstr(l->reason, "\"after\""));
	assert_int_equal(l->next_attempt_us,
			 loop_now_us(f->loop) + USEC_PER_SEC);
	fixture_tick(f, USEC_PER_SEC / 2);
	specs[0] = spec_later(f, 80, USEC_PER_SEC / 2);
	specs[1] = spec_make(PROTOCOL_TCP, "any", 90);
	apply(f, 1, specs, 2);
	fixture_tick(f, USEC_PER_SEC / 4);
	assert_told(f, "");
	f->opens = 0;
	fixture_tick(f, USEC_PER_SEC / 2);
	assert_told(f, "+80");
	assert_int_equal(f->opens, 1); /* it was tried once */
	/* A listener that is open stays so. */
	apply_one(f, 1, spec_later(f, 80, USEC_PER_SEC));
	assert_told(f, "-90");
	assert_int_equal(first(f, 1)->state, LISTENER_OPEN);
}

/* The rule has changed: the time is another one, or has come. */
static void test_another_time(void **state)
{
	struct fixture *f = *state;

	apply_one(f, 1, spec_later(f, 80, USEC_PER_SEC));
	apply_one(f, 1, spec_later(f, 80, 3 * USEC_PER_SEC));
	fixture_tick(f, 2 * USEC_PER_SEC);
	assert_told(f, "");
	apply_one(f, 1, spec_later(f, 80, USEC_PER_SEC / 2));
	fixture_tick(f, USEC_PER_SEC);
	assert_told(f, "+80");
	apply(f, 1, NULL, 0);
	apply_one(f, 1, spec_later(f, 80, USEC_PER_SEC));
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_told(f, "-80 +80");
}

static bool taken_by_a_program(struct fixture *f)
{
	return strstr(first(f, 1)->reason, "taken by a program") != NULL;
}

/* By berth's own earlier socket, which a consumer is about to close; then a
 * program was quicker. */
static void test_held_port(void **state)
{
	struct fixture *f = *state;
	int fd = squat(80);

	f->holder = "somebody";
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_int_equal(first(f, 1)->error, EADDRINUSE);
	assert_int_equal(first(f, 1)->blocked_by, 0);
	assert_non_null(strstr(first(f, 1)->reason, "somebody has not let go"));
	f->holder = NULL;
	assert_true(fixture_run(f, USEC_PER_SEC, taken_by_a_program));
	close(fd);
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
	assert_told(f, "+80");
}

static void test_blocked_by_own_listener(void **state)
{
	static const struct {
		enum protocol holder, waiter;
		const char *held, *wanted;
		bool blocked;
	} cases[] = {
		{ PROTOCOL_TCP, PROTOCOL_TCP, "any", "127.0.0.1", true },
		{ PROTOCOL_TCP, PROTOCOL_TCP, "127.0.0.1", "any4", true },
		{ PROTOCOL_TCP, PROTOCOL_TCP, "any4", "any", true },
		{ PROTOCOL_TCP, PROTOCOL_MPTCP, "any", "any", true },
		{ PROTOCOL_UDP, PROTOCOL_UDP, "any6", "::1", true },
		{ PROTOCOL_TCP, PROTOCOL_UDP, "any", "any", false },
		{ PROTOCOL_TCP, PROTOCOL_TCP, "any6", "any4", false },
		{ PROTOCOL_TCP, PROTOCOL_TCP, "127.0.0.1", "127.0.0.2", false },
		{ PROTOCOL_TCP, PROTOCOL_TCP, "any4", "::1", false },
	};
	struct fixture *f = *state;
	struct listener_spec specs[2];
	struct listener *holder, *waiter;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		specs[0] = spec_make(cases[i].holder, cases[i].held, 80);
		specs[1] = spec_make(cases[i].waiter, cases[i].wanted, 80);
		apply(f, 1, specs, 2);
		holder = first(f, 1);
		waiter = binder_next_in(f->binder, 1, holder);
		assert_int_equal(holder->state, LISTENER_OPEN);
		if (cases[i].blocked) {
			assert_told(f, "+80");
			assert_int_equal(waiter->blocked_by, holder->id);
			assert_non_null(strstr(waiter->reason, "own listener"));
			/* At once, not only after the backoff. */
			apply_one(f, 1,
				  spec_make(cases[i].waiter, cases[i].wanted,
					    80));
			assert_told(f, "-80 +80");
			assert_int_equal(first(f, 1)->blocked_by, 0);
		} else {
			assert_told(f, "+80 +80");
		}
		binder_forget(f->binder, 1);
		f->told[0] = '\0';
	}
}

static void test_events_cannot_make_it_spin(void **state)
{
	struct fixture *f = *state;
	int fd = squat(80);
	unsigned int opens;

	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	opens = f->opens;
	for (int i = 0; i < 1000; i++)
		apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_int_equal(f->opens, opens);
	/* It is not forgotten either: tried sooner than its backoff. */
	assert_true(first(f, 1)->next_attempt_us <=
		    loop_now_us(f->loop) + 15 * USEC_PER_MSEC);
	/* What is new does not wait for the old. */
	struct listener_spec specs[] = {
		spec_make(PROTOCOL_TCP, "any", 80),
		spec_make(PROTOCOL_TCP, "any", 81),
	};
	apply(f, 1, specs, 2);
	assert_told(f, "+81");
	close(fd);
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
}

static void test_limit(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[5];
	struct binder_stats stats;
	struct fixture small;
	unsigned int opens;

	(void)f;
	fixture_init(&small, 3, FIXTURE_RETRY_MIN_US);
	for (uint16_t i = 0; i < 5; i++)
		specs[i] = spec_make(PROTOCOL_TCP, "any", 1000 + i);
	apply(&small, 1, specs, 5);
	assert_told(&small, "+1000 +1001 +1002");
	binder_get_stats(small.binder, &stats);
	assert_int_equal(stats.waiting, 2);
	for (struct listener *l = first(&small, 1); l;
	     l = binder_next(small.binder, l)) {
		if (l->state == LISTENER_OPEN)
			continue;
		assert_int_equal(l->error, EMFILE);
		assert_non_null(strstr(l->reason, "limit of 3"));
	}
	/* Full: it costs nothing to wait. */
	opens = small.opens;
	fixture_tick(&small, 3 * FIXTURE_RETRY_MAX_US);
	assert_int_equal(small.opens, opens);
	/* Another namespace waits as well; slots go to who waited longest. */
	apply_one(&small, 3, spec_make(PROTOCOL_TCP, "any", 2000));
	specs[0] = spec_make(PROTOCOL_TCP, "any", 1004);
	specs[1] = spec_make(PROTOCOL_TCP, "any", 1001);
	apply(&small, 1, specs, 2);
	assert_told(&small, "-1000 -1002 +1004");
	assert_true(fixture_run(&small, USEC_PER_SEC, all_open));
	assert_told(&small, "+2000");
	fixture_done(&small);
}

/* A starved row that had been given a slot goes: the slot is not lost. */
static void test_slot_is_not_lost(void **state)
{
	struct fixture small;

	(void)state;
	fixture_init(&small, 1, FIXTURE_RETRY_MIN_US);
	apply_one(&small, 10, spec_make(PROTOCOL_TCP, "any", 10));
	apply_one(&small, 11, spec_make(PROTOCOL_TCP, "any", 11));
	apply_one(&small, 12, spec_make(PROTOCOL_TCP, "any", 12));
	binder_forget(small.binder, 10);
	binder_forget(small.binder, 11);
	assert_true(fixture_run(&small, USEC_PER_SEC, all_open));
	assert_told(&small, "+10 -10 +12");
	fixture_done(&small);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", 80);
	struct binder_stats stats;

	spec.refusal = "not yet";
	apply_one(f, 1, spec);
	assert_told(f, "");
	assert_int_equal(first(f, 1)->state, LISTENER_REFUSED);
	assert_string_equal(first(f, 1)->reason, "not yet");
	assert_int_equal(f->opens, 0);
	binder_get_stats(f->binder, &stats);
	assert_int_equal(stats.refused, 1);
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_told(f, "+80");
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.refusal = "not yet";
	apply_one(f, 1, spec);
	assert_told(f, "-80");
}

static void test_namespace_on_its_way_out(void **state)
{
	struct fixture *f = *state;

	f->open_error = -ESTALE;
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_int_equal(first(f, 1)->error, ESTALE);
	f->open_error = 0;
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
	assert_told(f, "+80");
}

/* Many rows of one namespace that are due together cost one visit. */
static void test_retries_share_a_visit(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[20];

	f->open_error = -ESTALE;
	for (uint16_t i = 0; i < 20; i++)
		specs[i] = spec_make(PROTOCOL_TCP, "any", 100 + i);
	apply(f, 1, specs, 20);
	assert_int_equal(f->opens, 1);
	f->open_error = 0;
	assert_true(fixture_run(f, USEC_PER_SEC, all_open));
	assert_int_equal(f->opens, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_difference),
		TEST(test_found_by_id),
		TEST(test_iteration_is_grouped),
		TEST(test_another_service_keeps_the_socket),
		TEST(test_other_options_reopen),
		TEST(test_another_consumer),
		TEST(test_taken_port),
		TEST(test_later),
		TEST(test_another_time),
		TEST(test_held_port),
		TEST(test_blocked_by_own_listener),
		TEST(test_events_cannot_make_it_spin),
		TEST(test_limit),
		TEST(test_slot_is_not_lost),
		TEST(test_refused),
		TEST(test_namespace_on_its_way_out),
		TEST(test_retries_share_a_visit),
	};

	return run_in_namespaces(tests, ARRAY_SIZE(tests), "test_binder");
}
