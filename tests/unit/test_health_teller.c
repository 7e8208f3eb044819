// SPDX-License-Identifier: Apache-2.0
/* test_health_teller.c - what the relay tells berthd and the log of backends */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/backend/backend_health.h"
#include "relay/core/checker.h"
#include "relay/core/health_teller.h"
#include "relay/core/outbox.h"
#include "relay/core/serving.h"
#include "relay/core/target_health.h"

#define WAIT_S 60

/* As TELL_BATCH of relay/core/health_teller.c. */
#define BATCH 64
#define MANY 150

/** struct fixture - a teller with its loop, and berthd's end of the connection
 */
struct fixture {
	struct loop *loop;
	struct loop_source *source;
	struct loop_source *outbox_source;
	struct berth *berth;
	struct outbox outbox;
	struct health_teller *teller;
	int berthd_fd;
	char text[1024];
};

static void heard(uint32_t events, void *user_data)
{
	struct fixture *fixture = user_data;
	ssize_t n = recv(fixture->berthd_fd, fixture->text,
			 sizeof(fixture->text) - 1, MSG_DONTWAIT);

	(void)events;
	assert_true(n > 0);
	fixture->text[n] = '\0';
	loop_quit(fixture->loop, 0);
}

static void outbox_ready(uint32_t events, void *user_data)
{
	struct fixture *fixture = user_data;

	(void)events;
	assert_null(outbox_take(&fixture->outbox));
	health_teller_collect(fixture->teller);
}

/* Until berthd hears something. */
static const char *hear(struct fixture *fixture)
{
	fixture->text[0] = '\0';
	assert_int_equal(loop_run(fixture->loop), 0);
	return fixture->text;
}

static void welcome(struct fixture *fixture)
{
	static const char text[] = "{\"type\":\"welcome\",\"version\":1,"
				   "\"consumer\":\"relay\"}";
	struct berth_message *message;

	assert_true(send(fixture->berthd_fd, text, strlen(text), 0) > 0);
	assert_int_equal(berth_receive(fixture->berth, &message), 1);
	assert_int_equal(message->type, BERTH_WELCOME);
	message = berth_message_free(message);
}

static const struct checker_ops ops = { .ask = NULL }; /* nobody asks */

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char hello[256];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	fixture->berthd_fd = fds[0];
	assert_int_equal(berth_new(fds[1], "test", &fixture->berth), 0);
	assert_true(recv(fds[0], hello, sizeof(hello), 0) > 0);
	assert_int_equal(loop_new(&fixture->loop), 0);
	assert_int_equal(outbox_init(&fixture->outbox), 0);
	assert_int_equal(health_teller_new(fixture->loop, fixture->berth,
					   fixture->outbox.fd, &ops, NULL,
					   &fixture->teller),
			 0);
	assert_int_equal(loop_add(fixture->loop, fds[0], EPOLLIN, heard,
				  fixture, &fixture->source),
			 0);
	assert_int_equal(loop_add(fixture->loop, fixture->outbox.fd, EPOLLIN,
				  outbox_ready, fixture,
				  &fixture->outbox_source),
			 0);
	welcome(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->teller = health_teller_free(fixture->teller);
	fixture->source = loop_source_free(fixture->source);
	fixture->outbox_source = loop_source_free(fixture->outbox_source);
	fixture->loop = loop_free(fixture->loop);
	fixture->berth = berth_free(fixture->berth);
	outbox_done(&fixture->outbox);
	cleanup_close(&fixture->berthd_fd);
	free(fixture);
	return 0;
}

static struct serving *serving_of(struct fixture *fixture, const char *rule)
{
	const char *to = "10.0.0.1:1", *problem;
	const struct berth_listener listener = {
		.log = "",
		.balance = "",
		.rule = rule,
		.action = "forward",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
	};
	struct serving *serving;

	assert_int_equal(
		serving_new(&listener, PROTOCOL_TCP, &serving, &problem), 0);
	health_teller_share(fixture->teller, serving);
	return serving;
}

static void test_told(void **state)
{
	struct fixture *fixture = *state;
	struct serving *serving = serving_of(fixture, "web");
	const char *text;

	backend_failed(serving, 0, ECONNREFUSED, monotonic_us());
	text = hear(fixture);
	assert_non_null(strstr(text, "\"type\":\"backend\",\"rule\":\"web\","
				     "\"backend\":\"10.0.0.1:1\""));
	assert_non_null(strstr(text, "\"protocol\":\"tcp\""));
	assert_non_null(strstr(text, "\"state\":\"down\",\"failures\":1,"
				     "\"error\":111,"));
	/* What happens within a second is told at once. */
	backend_failed(serving, 0, ECONNREFUSED, monotonic_us());
	backend_failed(serving, 0, ETIMEDOUT, monotonic_us());
	text = hear(fixture);
	assert_non_null(strstr(text, "\"failures\":3,\"error\":110"));
	backend_works(serving, 0);
	backend_works(serving, 0);
	text = hear(fixture);
	assert_non_null(strstr(text, "\"state\":\"up\",\"failures\":0"));
	serving = serving_unref(serving);
	text = hear(fixture);
	assert_non_null(strstr(text, "\"state\":\"gone\""));
}

static void test_shared_by_a_rule(void **state)
{
	struct fixture *fixture = *state;
	struct serving *first = serving_of(fixture, "web");
	struct serving *second = serving_of(fixture, "web");
	struct serving *other = serving_of(fixture, "other");

	assert_ptr_equal(first->backends[0].health, second->backends[0].health);
	assert_ptr_not_equal(first->backends[0].health,
			     other->backends[0].health);
	backend_failed(other, 0, ECONNREFUSED, monotonic_us());
	assert_non_null(strstr(hear(fixture), "\"rule\":\"other\""));
	first = serving_unref(first);
	backend_works(second, 0); /* it is still there */
	assert_non_null(strstr(hear(fixture), "\"state\":\"up\""));
	second = serving_unref(second);
	assert_non_null(strstr(hear(fixture), "\"state\":\"gone\""));
	other = serving_unref(other);
	assert_non_null(strstr(hear(fixture), "\"state\":\"gone\""));
}

/* How many clients it has is told when somebody asks, if it has changed. */
static void test_counted(void **state)
{
	struct fixture *fixture = *state;
	struct serving *serving = serving_of(fixture, "web");
	struct target_health *first, *second;

	backend_works(serving, 0);
	assert_non_null(strstr(hear(fixture), "\"connections\":0"));
	first = target_take(serving->backends[0].health);
	second = target_take(serving->backends[0].health);
	health_teller_count(fixture->teller);
	assert_non_null(strstr(hear(fixture), "\"connections\":2"));
	health_teller_count(fixture->teller); /* says nothing */
	first = target_leave(first);
	health_teller_count(fixture->teller);
	assert_non_null(strstr(hear(fixture), "\"connections\":1"));
	/* Its last client keeps a backend that no rule has any more. */
	serving = serving_unref(serving);
	second = target_leave(second);
	assert_non_null(strstr(hear(fixture), "\"state\":\"gone\""));
}

/* Return: of how many backends berthd is told at once. */
static unsigned int count_told(struct fixture *fixture)
{
	unsigned int n = 0;
	char text[1024];

	health_teller_count(fixture->teller);
	while (recv(fixture->berthd_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

/* More than are told of at one time: each has its turn, also while those of
 * before change again, or go. */
static void test_counted_in_turn(void **state)
{
	struct fixture *fixture = *state;
	struct serving *servings[MANY];
	struct target_health *health;
	char rule[16];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(rule, sizeof(rule), "r%d", i);
		servings[i] = serving_of(fixture, rule);
		health = servings[i]->backends[0].health;
		health->told.known = true;
		atomic_store(&health->connections, 1);
	}
	for (int told = 0; told < MANY / BATCH * BATCH; told += BATCH) {
		assert_int_equal(count_told(fixture), BATCH);
		for (int i = 0; i < MANY; i++)
			assert_int_equal(servings[i]
						 ->backends[0]
						 .health->told.connections,
					 i < told + BATCH);
		atomic_store(&servings[0]->backends[0].health->connections, 0);
	}
	assert_int_equal(count_told(fixture), MANY % BATCH + 1);
	assert_int_equal(count_told(fixture), 0);
	for (int i = 0; i < MANY; i++)
		servings[i] = serving_unref(servings[i]);
}

/* Another berthd knows nothing. */
static void test_told_again(void **state)
{
	struct fixture *fixture = *state;
	struct serving *serving = serving_of(fixture, "web");

	backend_failed(serving, 0, ECONNREFUSED, monotonic_us());
	assert_non_null(strstr(hear(fixture), "\"state\":\"down\""));
	health_teller_welcomed(fixture->teller);
	assert_non_null(strstr(hear(fixture), "\"state\":\"down\""));
	serving = serving_unref(serving);
}

static void test_lines(void **state)
{
	struct fixture *fixture = *state;
	struct serving *serving = serving_of(fixture, "web");
	struct target_health *health = serving->backends[0].health;
	uint64_t now_us = monotonic_us();
	unsigned int printed = 0;

	for (int i = 0; i < 20; i++)
		printed += target_may_log(health, now_us);
	assert_int_equal(printed, TARGET_LOG_BURST);
	/* The number of those that are missing is told before others follow. */
	now_us += TARGET_LOG_INTERVAL_US;
	assert_false(target_may_log(health, now_us));
	assert_int_equal(atomic_exchange(&health->log_missed, 0),
			 21 - TARGET_LOG_BURST);
	assert_true(target_may_log(health, now_us));
	serving = serving_unref(serving);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_told),	    T(test_shared_by_a_rule),
		T(test_told_again), T(test_counted),
		T(test_lines),	    T(test_counted_in_turn),
	};
#undef T

	log_init("test_health_teller", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
