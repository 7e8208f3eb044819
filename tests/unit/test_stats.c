// SPDX-License-Identifier: Apache-2.0
/* test_stats.c - counts of consumers, summed by rule over what comes and goes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_internal.h"
#include "rules/rule.h"

/**
 * struct fixture - stats with two rulesets, and one consumer
 * @services:	of rule "one" in both, "two" only in the first
 */
struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct consumers *consumers;
	struct stats *stats;
	struct rule rules[2];
	struct rule_file files[2];
	struct ruleset *rulesets[2];
	struct service *services[2];
	int peer_fd;
	struct stats_result *result;
	int n_done;
};

static const struct netns *find_netns(uint64_t id, void *user_data)
{
	(void)id;
	(void)user_data;
	return NULL;
}

static struct listener *find_listener(uint64_t id, void *user_data)
{
	(void)id;
	(void)user_data;
	return NULL;
}

static void released(uint64_t id, void *user_data)
{
	(void)id;
	(void)user_data;
}

static int counted(const struct consumer_count *count, void *user_data)
{
	struct fixture *fixture = user_data;

	return stats_counted(fixture->stats, count);
}

static void ended(uint64_t connection, void *user_data)
{
	struct fixture *fixture = user_data;

	stats_connection_ended(fixture->stats, connection);
}

static void stats_changed(void *user_data)
{
	struct fixture *fixture = user_data;

	stats_consumers_changed(fixture->stats);
}

static void came(const char *consumer, pid_t pid, void *user_data)
{
	(void)pid;
	(void)consumer;
	(void)user_data;
}

static void lost(const char *consumer, pid_t pid, const char *what,
		 void *user_data)
{
	(void)pid;
	(void)consumer;
	(void)what;
	(void)user_data;
}

static void quit(void *user_data)
{
	struct fixture *fixture = user_data;

	loop_quit(fixture->loop, 0);
}

static struct service *service_of(const char *rule, const char *file)
{
	struct service *service = service_new();

	service->rule = strdup(rule);
	service->file = strdup(file);
	service->consumer = strdup(SERVICE_RELAY);
	return service;
}

/* Both are of file "a"; the second ruleset has only the first rule. */
static void make_rulesets(struct fixture *fixture)
{
	static char name_one[] = "one", name_two[] = "two", path[] = "a";

	fixture->rules[0] = (struct rule){ .name = name_one, .file = path };
	fixture->rules[1] = (struct rule){ .name = name_two, .file = path };
	for (int i = 0; i < 2; i++) {
		struct rule_file *file = &fixture->files[i];

		*file = (struct rule_file){
			.refs = 2, /* one is never given back */
			.path = path,
			.rules = fixture->rules,
			.n_rules = i == 0 ? 2 : 1,
		};
		fixture->rulesets[i] = ruleset_new(&file, 1);
	}
}

static const char *refusal(const char *consumer, pid_t pid, void *user_data)
{
	(void)consumer;
	(void)pid;
	(void)user_data;
	return NULL;
}

static int setup(void **state)
{
	static const struct consumers_ops ops = {
		.find_netns = find_netns,
		.find_listener = find_listener,
		.released = released,
		.counted = counted,
		.ended = ended,
		.stats_changed = stats_changed,
		.came = came,
		.lost = lost,
		.refusal = refusal,
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	log_init("test", LOG_LEVEL_ERROR);
	fixture->peer_fd = -1;
	make_rulesets(fixture);
	fixture->services[0] = service_of("one", "a");
	fixture->services[1] = service_of("two", "a");
	assert_int_equal(loop_new(&fixture->loop), 0);
	assert_int_equal(loop_timer_new(fixture->loop, quit, fixture,
					&fixture->timer),
			 0);
	assert_int_equal(consumers_new(fixture->loop, &ops, fixture,
				       &fixture->consumers),
			 0);
	assert_int_equal(stats_new(fixture->loop, fixture->consumers,
				   &fixture->stats),
			 0);
	return stats_set_rules(fixture->stats, fixture->rulesets[0]);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)stats_result_unref(fixture->result);
	(void)stats_free(fixture->stats);
	(void)consumers_free(fixture->consumers);
	loop_timer_free(fixture->timer);
	loop_free(fixture->loop);
	for (int i = 0; i < 2; i++) {
		ruleset_unref(fixture->rulesets[i]);
		service_unref(fixture->services[i]);
	}
	if (fixture->peer_fd >= 0)
		(void)close(fixture->peer_fd);
	free(fixture);
	return 0;
}

static void run_for_us(struct fixture *fixture, uint64_t us)
{
	loop_timer_set(fixture->timer, monotonic_us() + us);
	assert_int_equal(loop_run(fixture->loop), 0);
}

static void attach(struct fixture *fixture)
{
	static const char hello[] = "{\"type\":\"hello\",\"version\":1}";
	char text[256];
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	fixture->peer_fd = fds[1];
	assert_int_equal(consumers_attach(fixture->consumers, SERVICE_RELAY,
					  fds[0], 42),
			 0);
	assert_int_equal(send(fds[1], hello, strlen(hello), 0), strlen(hello));
	run_for_us(fixture, 0);
	run_for_us(fixture, 0);
	assert_true(recv(fds[1], text, sizeof(text), MSG_DONTWAIT) > 0);
}

static void done(struct stats_result *result, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)stats_result_unref(fixture->result);
	fixture->result = stats_result_ref(result);
	fixture->n_done++;
}

/* One connection says this of listener @id. */
static void count(struct fixture *fixture, uint64_t connection, uint64_t id,
		  int i, uint64_t accepted)
{
	struct berth_counts counts = { .accepted = accepted, .active = 1 };
	const struct consumer_count said = {
		.id = id,
		.connection = connection,
		.service = fixture->services[i],
		.counts = &counts,
	};

	assert_int_equal(stats_counted(fixture->stats, &said), 0);
}

/* It has released listener 1. */
static void final_of(struct fixture *fixture, uint64_t connection, int i,
		     uint64_t accepted)
{
	struct berth_counts counts = { .accepted = accepted, .active = 3 };
	const struct consumer_count said = {
		.id = 1,
		.connection = connection,
		.service = fixture->services[i],
		.counts = &counts,
		.final = true,
	};

	assert_int_equal(stats_counted(fixture->stats, &said), 0);
}

static void final(struct fixture *fixture, int i, uint64_t accepted)
{
	final_of(fixture, 1, i, accepted);
}

static void sample(struct fixture *fixture, uint64_t id, int i,
		   uint64_t accepted)
{
	count(fixture, 1, id, i, accepted);
}

static void assert_rule(const struct fixture *fixture, size_t index,
			uint64_t accepted, uint64_t active)
{
	const struct berth_counts *counts =
		stats_result_rule(fixture->result, index);

	assert_int_equal(counts->accepted, accepted);
	assert_int_equal(counts->active, active);
}

static void assert_total(const struct fixture *fixture, uint64_t accepted)
{
	assert_int_equal(stats_result_total(fixture->result)->accepted,
			 accepted);
}

/* Nobody is there to be asked: the answer comes all the same, and later. */
static void test_without_consumers(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	final(fixture, 0, 5);
	final(fixture, 0, 2);
	stats_collect(fixture->stats, &waiter);
	assert_int_equal(fixture->n_done, 0);
	run_for_us(fixture, 10000);
	assert_int_equal(fixture->n_done, 1);
	assert_null(stats_result_silent(fixture->result, 0));
	assert_rule(fixture, 0, 7, 0);
	assert_rule(fixture, 1, 0, 0);
	assert_total(fixture, 7);
}

/* A listener is counted once, in the collection or in its rule's total. */
static void test_released_while_collecting(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	stats_collect(fixture->stats, &waiter);
	sample(fixture, 1, 0, 10);
	sample(fixture, 1, 0, 11); /* in place of the first */
	sample(fixture, 2, 1, 100);
	final(fixture, 0, 12);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 12, 0);
	assert_rule(fixture, 1, 100, 1);
	assert_total(fixture, 112);
	/* Said when nobody asks: it counts, too. */
	sample(fixture, 2, 1, 1000);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 1, 1000, 1);
}

/* One that was taken over and the one that took over count for the same
 * listener, and neither replaces the other. */
static void test_two_connections(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };
	struct listener listener = { .id = 1, .service = fixture->services[0] };
	struct berth_counts counts;

	stats_collect(fixture->stats, &waiter);
	count(fixture, 1, 1, 0, 10);
	count(fixture, 2, 1, 0, 100);
	count(fixture, 2, 1, 0, 101);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 111, 2);
	assert_true(stats_result_listener(fixture->result, &listener, &counts));
	assert_int_equal(counts.accepted, 111);
	assert_int_equal(counts.active, 2);
	stats_collect(fixture->stats, &waiter);
	count(fixture, 1, 1, 0, 10);
	count(fixture, 2, 1, 0, 101);
	final_of(fixture, 1, 0, 11);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 112, 1);
	assert_total(fixture, 112);
}

/* What was told once is never told smaller: not when a consumer says nothing
 * more, or less, or ends. What it said last is what it counted. */
static void test_never_falls(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	count(fixture, 1, 1, 0, 10);
	count(fixture, 1, 2, 0, 100);
	count(fixture, 2, 3, 0, 1000);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1110, 3);
	/* Nothing has changed. */
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1110, 3);
	/* One says less than before, and is as far again. */
	count(fixture, 1, 1, 0, 5);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1110, 3);
	count(fixture, 1, 1, 0, 10);
	/* It had 10 when it was asked last: those are not counted again. */
	final(fixture, 0, 12);
	stats_connection_ended(fixture->stats, 1);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1112, 1);
	assert_total(fixture, 1112);
	/* A connection that ends in the middle of its answer. */
	stats_collect(fixture->stats, &waiter);
	count(fixture, 2, 3, 0, 1001);
	stats_connection_ended(fixture->stats, 2);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1113, 0);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1113, 0);
}

/* Of a listener that goes to another rule each has what was counted for it. */
static void test_another_rule(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	count(fixture, 1, 1, 0, 10);
	count(fixture, 1, 1, 1, 12);
	count(fixture, 1, 2, 1, 100);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 10, 0);
	assert_rule(fixture, 1, 102, 2);
	final(fixture, 1, 15);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 10, 0);
	assert_rule(fixture, 1, 105, 1);
	/* Its rule goes, and with it what is said later. */
	assert_int_equal(stats_set_rules(fixture->stats, fixture->rulesets[1]),
			 0);
	count(fixture, 1, 2, 1, 101);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 10, 0);
	assert_total(fixture, 116);
	assert_int_equal(stats_result_total(fixture->result)->active, 1);
	stats_connection_ended(fixture->stats, 1);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_total(fixture, 116);
	assert_int_equal(stats_result_total(fixture->result)->active, 0);
}

/* A rule's counts by protocol, also in the next berthd. */
static void test_by_protocol(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };
	struct berth_counts counts = { .accepted = 3 };
	struct consumer_count said = {
		.id = 1,
		.connection = 1,
		.protocol = PROTOCOL_UDP,
		.service = fixture->services[0],
		.counts = &counts,
	};
	const struct stats_part *part;

	final(fixture, 0, 5); /* of TCP */
	stats_collect(fixture->stats, &waiter);
	assert_int_equal(stats_counted(fixture->stats, &said), 0);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 8, 0);
	part = stats_result_parts(fixture->result, 0);
	assert_int_equal(part->protocol, PROTOCOL_TCP);
	assert_int_equal(part->counts.accepted, 5);
	assert_int_equal(part->next->protocol, PROTOCOL_UDP);
	assert_int_equal(part->next->counts.accepted, 3);
	assert_null(part->next->next);
}

static void test_rules_come_and_go(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	final(fixture, 0, 1);
	final(fixture, 1, 10);
	assert_int_equal(stats_set_rules(fixture->stats, fixture->rulesets[1]),
			 0);
	final(fixture, 1, 100); /* released after its rule had gone */
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_ptr_equal(stats_result_ruleset(fixture->result),
			 fixture->rulesets[1]);
	assert_rule(fixture, 0, 1, 0);
	assert_total(fixture, 111);
	/* It is back, and begins anew. */
	assert_int_equal(stats_set_rules(fixture->stats, fixture->rulesets[0]),
			 0);
	final(fixture, 1, 1000);
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_rule(fixture, 0, 1, 0);
	assert_rule(fixture, 1, 1000, 0);
	assert_total(fixture, 1111);
}

/* Who asks while a collection runs gets what was counted after that. */
static void test_second_waits_for_the_next(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter first = { .done = done, .user_data = fixture };
	struct stats_waiter second = first, third = first;
	static const char text[] =
		"{\"type\":\"stats\",\"request\":1,\"listeners\":[]}";

	attach(fixture);
	stats_collect(fixture->stats, &first);
	stats_collect(fixture->stats, &second);
	stats_collect(fixture->stats, &third);
	stats_cancel(fixture->stats, &third);
	run_for_us(fixture, 10000);
	assert_int_equal(fixture->n_done, 0);
	assert_int_equal(send(fixture->peer_fd, text, sizeof(text) - 1, 0),
			 sizeof(text) - 1);
	run_for_us(fixture, 10000);
	assert_int_equal(fixture->n_done, 1);
	assert_null(stats_result_silent(fixture->result, 0));
	/* The next was asked for; its connection's end answers it too. */
	assert_int_equal(consumers_stats_waiting(fixture->consumers, 2), 1);
	(void)close(TAKE_FD(fixture->peer_fd));
	run_for_us(fixture, 10000);
	assert_int_equal(fixture->n_done, 2);
}

static void test_silent_consumer(void **state)
{
	struct fixture *fixture = *state;
	struct stats_waiter waiter = { .done = done, .user_data = fixture };
	struct listener listener = { .id = 7, .service = fixture->services[0] };
	struct berth_counts counts;

	attach(fixture);
	final(fixture, 0, 5);
	stats_collect(fixture->stats, &waiter);
	while (fixture->n_done == 0)
		run_for_us(fixture, 10000);
	assert_string_equal(stats_result_silent(fixture->result, 0),
			    SERVICE_RELAY);
	assert_null(stats_result_silent(fixture->result, 1));
	assert_false(
		stats_result_listener(fixture->result, &listener, &counts));
	assert_rule(fixture, 0, 5, 0); /* what is known */
	/* Nobody waits for it a second time. */
	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10000);
	assert_int_equal(fixture->n_done, 2);
	assert_non_null(stats_result_silent(fixture->result, 0));
}

static uint64_t accepted_by(struct fixture *fixture, size_t rule)
{
	struct stats_waiter waiter = { .done = done, .user_data = fixture };

	stats_collect(fixture->stats, &waiter);
	run_for_us(fixture, 10 * USEC_PER_MSEC);
	return stats_result_rule(fixture->result, rule)->accepted;
}

static void restart(struct fixture *fixture, const char *path, int ruleset)
{
	fixture->result = stats_result_unref(fixture->result);
	(void)stats_free(fixture->stats);
	assert_int_equal(stats_new(fixture->loop, fixture->consumers,
				   &fixture->stats),
			 0);
	assert_int_equal(
		stats_set_rules(fixture->stats, fixture->rulesets[ruleset]), 0);
	assert_int_equal(stats_keep(fixture->stats, path), 0);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Totals go on in another berthd, also after one that was killed. */
static void test_kept(void **state)
{
	struct fixture *fixture = *state;
	char dir[] = "/tmp/berth-stats-XXXXXX", path[64], other[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/stats.json", dir);
	snprintf(other, sizeof(other), "%s/copy.json", dir);
	assert_int_equal(stats_keep(fixture->stats, path), 0);
	/* The next berthd is told of a listener that stays. */
	count(fixture, 1, 2, 0, 1000);
	final(fixture, 0, 5);
	final(fixture, 1, 7);
	/* Written without an end of berthd. */
	run_for_us(fixture, 300 * USEC_PER_MSEC);
	assert_int_equal(link(path, other), 0);
	restart(fixture, other, 0);
	assert_int_equal(accepted_by(fixture, 0), 5);
	assert_int_equal(accepted_by(fixture, 1), 7);
	final(fixture, 0, 1);
	restart(fixture, other, 1); /* without rule "two" */
	assert_int_equal(accepted_by(fixture, 0), 6);
	assert_int_equal(stats_result_total(fixture->result)->accepted, 13);
	assert_int_equal(stats_result_total(fixture->result)->active, 0);

	/* What is no file of ours begins anew. */
	log_init("test", LOG_LEVEL_ERROR);
	write_text(other, "{\"rules\": [{\"rule\": 1}]}");
	restart(fixture, path, 0);
	restart(fixture, other, 0);
	assert_int_equal(accepted_by(fixture, 0), 0);
	write_text(other, "[");
	restart(fixture, other, 0);
	assert_int_equal(accepted_by(fixture, 0), 0);
	(void)unlink(path);
	(void)unlink(other);
	assert_int_equal(rmdir(dir), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_consumers),
		TEST(test_released_while_collecting),
		TEST(test_two_connections),
		TEST(test_never_falls),
		TEST(test_another_rule),
		TEST(test_by_protocol),
		TEST(test_rules_come_and_go),
		TEST(test_second_waits_for_the_next),
		TEST(test_silent_consumer),
		TEST(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
