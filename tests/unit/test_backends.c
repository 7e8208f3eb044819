// SPDX-License-Identifier: Apache-2.0
/* test_backends.c - what consumers tell of backends, and how long it stands */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/service.h"
#include "common/util.h"
#include "daemon/consumers/backends.h"
#include "rules/rule.h"

#define NOW_US (100 * USEC_PER_SEC)

static char one[] = "one", two[] = "two", path[] = "a", other[] = "other";

/**
 * struct fixture - rules "one" and "two" of the relay
 * @rules:	sets of them
 * @n_changed:	how often a change was told, and the last state
 */
struct fixture {
	struct backends *backends;
	struct rule rule_list[2];
	struct rule_file files[2];
	struct ruleset *rulesets[2];
	int n_changed;
	enum backend_state state;
};

static void changed(const struct backend_status *status, void *user_data)
{
	struct fixture *fixture = user_data;

	fixture->n_changed++;
	fixture->state = status->state;
}

/* The second one has the first rule only. */
static int setup(void **state)
{
	static const struct backends_ops ops = { .changed = changed };
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->rule_list[0] = (struct rule){ .name = two, .file = path };
	fixture->rule_list[1] = (struct rule){ .name = one, .file = path };
	for (int i = 0; i < 2; i++) {
		struct rule_file *file = &fixture->files[i];

		*file = (struct rule_file){
			.refs = 2, /* one is never given back */
			.path = path,
			.rules = fixture->rule_list + i,
			.n_rules = (size_t)(2 - i),
		};
		fixture->rulesets[i] = ruleset_new(&file, 1);
	}
	fixture->backends = backends_new(&ops, fixture);
	*state = fixture;
	return backends_set_rules(fixture->backends, fixture->rulesets[0]);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->backends = backends_free(fixture->backends);
	for (int i = 0; i < 2; i++)
		ruleset_unref(fixture->rulesets[i]);
	free(fixture);
	return 0;
}

static struct backend_status status_of(const char *rule, const char *backend)
{
	return (struct backend_status){
		.rule = rule,
		.backend = backend,
		.netns = "",
		.consumer = SERVICE_RELAY,
		.protocol = PROTOCOL_TCP,
		.state = BACKEND_DOWN,
		.failures = 6,
		.error = ECONNREFUSED,
		.failed_us = NOW_US - 3 * USEC_PER_SEC,
		.since_us = NOW_US - 60 * USEC_PER_SEC,
	};
}

static void tell(struct fixture *fixture, const struct backend_status *status)
{
	assert_int_equal(backends_tell(fixture->backends, status), 0);
}

static bool knows(const struct fixture *fixture,
		  const struct backend_status *which)
{
	return backends_find(fixture->backends, which) != NULL;
}

static void test_told(void **state)
{
	struct fixture *fixture = *state;
	struct backend_status status = status_of(one, "10.0.0.1:80");
	const struct backend_status *found;

	assert_null(backends_next(fixture->backends, NULL));
	tell(fixture, &status);
	assert_int_equal(fixture->n_changed, 1);
	tell(fixture, &status);
	assert_int_equal(fixture->n_changed, 1);
	found = backends_find(fixture->backends, &status);
	assert_non_null(found);
	assert_string_equal(found->backend, "10.0.0.1:80");
	assert_int_equal(found->failures, 6);
	status.state = BACKEND_UP;
	tell(fixture, &status);
	assert_int_equal(fixture->n_changed, 2);
	assert_int_equal(fixture->state, BACKEND_UP);
	/* One by another protocol, or in a namespace, is another one. */
	status.protocol = PROTOCOL_UDP;
	assert_false(knows(fixture, &status));
	tell(fixture, &status);
	status.netns = "blue";
	assert_false(knows(fixture, &status));
	tell(fixture, &status);
	assert_int_equal(backends_count(fixture->backends), 3);
	assert_int_equal(fixture->n_changed, 2); /* up is no news */
	backends_forget(fixture->backends, &status);
	assert_false(knows(fixture, &status));
	assert_int_equal(backends_count(fixture->backends), 2);
}

static void test_whose_rule(void **state)
{
	struct fixture *fixture = *state;
	struct backend_status status = status_of("three", "10.0.0.1:80");

	tell(fixture, &status);
	status.rule = one;
	status.consumer = other;
	tell(fixture, &status);
	assert_int_equal(backends_count(fixture->backends), 0);
	status.consumer = SERVICE_RELAY;
	tell(fixture, &status);
	status.consumer = other;
	backends_forget(fixture->backends, &status);
	backends_forget_consumer(fixture->backends, other);
	assert_int_equal(backends_count(fixture->backends), 1);
	backends_forget_consumer(fixture->backends, SERVICE_RELAY);
	assert_int_equal(backends_count(fixture->backends), 0);
}

static void test_rules_change(void **state)
{
	struct fixture *fixture = *state;
	const struct backend_status of_one = status_of(one, "unix:/a"),
				    of_two = status_of(two, "unix:/a");

	tell(fixture, &of_one);
	tell(fixture, &of_two);
	assert_int_equal(
		backends_set_rules(fixture->backends, fixture->rulesets[1]), 0);
	assert_true(knows(fixture, &of_one));
	assert_false(knows(fixture, &of_two));
	assert_int_equal(backends_count(fixture->backends), 1);
	tell(fixture, &of_two);
	assert_int_equal(
		backends_set_rules(fixture->backends, fixture->rulesets[0]), 0);
	assert_true(knows(fixture, &of_one));
	assert_false(knows(fixture, &of_two));
}

static void test_walk(void **state)
{
	struct fixture *fixture = *state;
	const struct backend_status *row = NULL;
	struct backend_status status;
	char text[32];
	int n = 0;

	for (int i = 0; i < 10; i++) {
		(void)snprintf(text, sizeof(text), "unix:/%d", i);
		status = status_of(i % 2 ? two : one, text);
		tell(fixture, &status);
	}
	while ((row = backends_next(fixture->backends, row))) {
		assert_string_equal(row->rule, n < 5 ? one : two);
		n++;
	}
	assert_int_equal(n, 10);
	while ((row = backends_next_of(fixture->backends, two, row))) {
		assert_string_equal(row->rule, two);
		n++;
	}
	assert_int_equal(n, 15);
	assert_null(backends_next_of(fixture->backends, "three", NULL));
}

static void test_bounds(void **state)
{
	struct fixture *fixture = *state;
	char long_text[3000];
	struct backend_status status;
	char text[32];

	for (unsigned int i = 0; i < BACKENDS_MAX_PER_RULE; i++) {
		(void)snprintf(text, sizeof(text), "unix:/%u", i);
		status = status_of(one, text);
		tell(fixture, &status);
	}
	tell(fixture, &status); /* it is there */
	status = status_of(one, "unix:/more");
	assert_int_equal(backends_tell(fixture->backends, &status), -E2BIG);
	status = status_of(two, "unix:/more");
	tell(fixture, &status);
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	status = status_of(two, long_text);
	assert_int_equal(backends_tell(fixture->backends, &status), -E2BIG);
	assert_false(knows(fixture, &status));
}

static void test_service(void **state)
{
	static char first[] = "10.0.0.1:80", second[] = "unix:/run/x";
	static char *to[] = { first, second };
	static uint16_t weights[] = { 0, 1 };
	struct fixture *fixture = *state;
	struct service service = {
		.rule = one,
		.action = SERVICE_FORWARD,
		.to = to,
		.n_to = 2,
	};
	struct backend_status status = status_of(one, second);
	const struct backends *backends = fixture->backends;

	assert_null(backends_all_down(backends, &service, PROTOCOL_MPTCP));
	tell(fixture, &status);
	assert_null(backends_all_down(backends, &service, PROTOCOL_MPTCP));
	status = status_of(one, first);
	status.failed_us = 1;
	tell(fixture, &status);
	assert_string_equal(
		backends_all_down(backends, &service, PROTOCOL_MPTCP)->backend,
		second);
	assert_null(backends_all_down(backends, &service, PROTOCOL_UDP));
	status.state = BACKEND_UP;
	tell(fixture, &status);
	assert_null(backends_all_down(backends, &service, PROTOCOL_TCP));
	/* It works, but no client gets it. */
	service.weights = weights;
	assert_string_equal(
		backends_all_down(backends, &service, PROTOCOL_TCP)->backend,
		second);
	service.action = SERVICE_RESPOND;
	assert_null(backends_all_down(backends, &service, PROTOCOL_TCP));
}

static void test_sentences(void **state)
{
	static const struct {
		const char *netns;
		int error;
		uint64_t failures;
		uint64_t ago_s;
		const char *text;
	} cases[] = {
		{ "", ECONNREFUSED, 6, 3,
		  "the backend unix:/x refused 6 times, last 3 s ago" },
		{ "", ETIMEDOUT, 1, 0,
		  "the backend unix:/x did not answer 1 time, last 0 s ago" },
		{ "b", ENOENT, 2, 600,
		  "the backend unix:/x in 'b' failed (No such file or "
		  "directory) 2 times, last 10 min ago" },
		{ "", 0, 2, 20000,
		  "the backend unix:/x failed 2 times, last 5 h ago" },
	};
	char buffer[BACKENDS_SENTENCE_MAX], longest[2000];
	struct backend_status status;
	const uint64_t now_us = 100000 * USEC_PER_SEC;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		status = status_of(one, "unix:/x");
		status.netns = cases[i].netns;
		status.error = cases[i].error;
		status.failures = cases[i].failures;
		status.failed_us = now_us - cases[i].ago_s * USEC_PER_SEC;
		assert_string_equal(backends_sentence_fmt(&status, now_us,
							  buffer),
				    cases[i].text);
	}
	status.failed_us = 0;
	assert_string_equal(backends_sentence_fmt(&status, now_us, buffer),
			    "the backend unix:/x failed 2 times");
	status.http_status = 503;
	assert_string_equal(
		backends_sentence_fmt(&status, now_us, buffer),
		"the backend unix:/x answered with status 503 2 times");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	status.backend = status.netns = longest;
	status.failures = UINT64_MAX;
	status.failed_us = 1;
	backends_sentence_fmt(&status, UINT64_MAX, buffer);
	assert_non_null(strstr(buffer, " h ago")); /* its end is there */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_told),	   T(test_whose_rule), T(test_rules_change),
		T(test_walk),	   T(test_bounds),     T(test_service),
		T(test_sentences),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
