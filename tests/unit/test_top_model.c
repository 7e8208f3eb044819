// SPDX-License-Identifier: Apache-2.0
/* test_top_model.c - samples of `berthctl top`, their rates and their order */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "ctl/top/query.h"

#define SECOND USEC_PER_SEC
#define OLD_US (100 * (int64_t)SECOND)

static void add_netns(struct top_sample *sample, uint64_t id, const char *name)
{
	const struct top_row row = { .id = id, .netns_id = id, .name = name };

	assert_int_equal(top_sample_add(sample, TOP_NAMESPACES, &row), 0);
}

static void add_container(struct top_sample *sample, uint64_t netns_id,
			  const char *name)
{
	const struct top_row row = { .netns_id = netns_id, .name = name };

	assert_int_equal(top_sample_add(sample, TOP_CONTAINERS, &row), 0);
}

/* A listener that was there before, and has counted. */
static struct top_row listener(uint64_t id, uint64_t netns_id, int64_t accepted)
{
	return (struct top_row){
		.id = id,
		.netns_id = netns_id,
		.name = "tcp *:80",
		.state = "listening",
		.listening = 1,
		.counted = true,
		.age_us = OLD_US,
		.counts = { .active = 1,
			    .accepted = accepted,
			    .bytes_in = accepted * 10,
			    .bytes_out = accepted * 100 },
	};
}

static void add(struct top_sample *sample, struct top_row row)
{
	assert_int_equal(top_sample_add(sample, TOP_LISTENERS, &row), 0);
}

static const struct top_row *find(const struct top_sample *sample,
				  enum top_view view, uint64_t id,
				  const char *name)
{
	size_t n;
	const struct top_row *rows = top_sample_rows(sample, view, &n);

	for (size_t i = 0; i < n; i++) {
		if (rows[i].id == id && (!name || !strcmp(rows[i].name, name)))
			return &rows[i];
	}
	fail_msg("there is no row %d of view %d", (int)id, (int)view);
	return NULL;
}

static void assert_rate(const struct top_row *row, double expected)
{
	assert_true(row->rated);
	assert_true(row->rates.accepted > expected - 0.001);
	assert_true(row->rates.accepted < expected + 0.001);
	assert_true(row->rates.bytes_in > expected * 10 - 0.01);
	assert_true(row->rates.bytes_out < expected * 100 + 0.01);
}

/* Two samples, two seconds apart. */
struct pair {
	struct top_sample *before;
	struct top_sample *now;
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	pair->before = top_sample_new(SECOND);
	pair->now = top_sample_new(3 * SECOND);
	assert_true(pair->before && pair->now);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	top_sample_free(pair->before);
	top_sample_free(pair->now);
	free(pair);
	return 0;
}

static void finish(struct pair *pair)
{
	top_sample_finish(pair->before, NULL);
	top_sample_finish(pair->now, pair->before);
}

static void test_rates(void **state)
{
	struct pair *pair = *state;

	add(pair->before, listener(7, 1, 10));
	add(pair->before, listener(5, 1, 100));
	add(pair->now, listener(5, 1, 100));
	add(pair->now, listener(7, 1, 30));
	finish(pair);
	assert_true(top_sample_seconds(pair->before) == 0);
	assert_true(top_sample_seconds(pair->now) == 2);
	assert_false(find(pair->before, TOP_LISTENERS, 7, NULL)->rated);
	assert_rate(find(pair->now, TOP_LISTENERS, 7, NULL), 10);
	assert_rate(find(pair->now, TOP_LISTENERS, 5, NULL), 0);
	assert_rate(top_sample_total(pair->now), 10);
	assert_int_equal(top_sample_total(pair->now)->counts.accepted, 130);
	assert_int_equal(top_sample_total(pair->now)->counts.active, 2);
}

/* What is new began with 0; what is only new here has no rate. */
static void test_rates_of_listeners_that_come_and_go(void **state)
{
	struct pair *pair = *state;
	struct top_row young = listener(8, 1, 4), uncounted = listener(9, 1, 0);

	young.age_us = (int64_t)SECOND;
	uncounted.counted = false;
	add_netns(pair->now, 1, "blue");
	add(pair->before, listener(1, 1, 1000)); /* goes */
	add(pair->before, uncounted);
	add(pair->before, listener(10, 1, 500));
	add(pair->now, young);
	add(pair->now, listener(2, 1, 1000)); /* was only not listed */
	add(pair->now, listener(9, 1, 1000));
	add(pair->now, listener(10, 1, 6)); /* its consumer began anew */
	finish(pair);
	assert_rate(find(pair->now, TOP_LISTENERS, 8, NULL), 2);
	assert_false(find(pair->now, TOP_LISTENERS, 2, NULL)->rated);
	assert_false(find(pair->now, TOP_LISTENERS, 9, NULL)->rated);
	assert_rate(find(pair->now, TOP_LISTENERS, 10, NULL), 3);
	assert_rate(find(pair->now, TOP_NAMESPACES, 1, NULL), 5);
}

/* After a takeover the old process's part drains, with the same number. */
static void test_rates_after_a_takeover(void **state)
{
	struct pair *pair = *state;
	struct top_row old = listener(5, 1, 102), new = listener(5, 1, 4);
	size_t n;
	const struct top_row *rows;

	old.draining = true;
	old.state = "draining";
	old.age_us = new.age_us = (int64_t)SECOND;
	add(pair->before, listener(5, 1, 100));
	add(pair->now, old);
	add(pair->now, new);
	finish(pair);
	rows = top_sample_rows(pair->now, TOP_LISTENERS, &n);
	assert_int_equal(n, 2);
	assert_false(rows[0].draining);
	assert_rate(&rows[0], 2);
	assert_rate(&rows[1], 1);
	assert_rate(top_sample_total(pair->now), 3);
}

static void test_sums(void **state)
{
	struct pair *pair = *state;
	struct top_row waiting = listener(3, 2, 0), of_web = listener(4, 2, 8);

	waiting.state = "waiting";
	waiting.listening = 0;
	waiting.counted = false;
	of_web.container = "web";
	add_netns(pair->now, 2, "red");
	add_netns(pair->now, 1, "blue");
	add_netns(pair->now, 9, "empty");
	add_container(pair->now, 1, "alone");
	add_container(pair->now, 2, "web");
	add_container(pair->now, 2, "db");
	add(pair->now, listener(1, 1, 5));
	add(pair->now, listener(2, 2, 1));
	add(pair->now, waiting);
	add(pair->now, of_web);
	finish(pair);
	assert_int_equal(find(pair->now, TOP_NAMESPACES, 2, "red")->listening,
			 2);
	assert_int_equal(
		find(pair->now, TOP_NAMESPACES, 2, "red")->counts.accepted, 9);
	assert_string_equal(find(pair->now, TOP_NAMESPACES, 2, NULL)->state,
			    "waiting");
	assert_string_equal(find(pair->now, TOP_NAMESPACES, 1, NULL)->state,
			    "listening");
	assert_string_equal(find(pair->now, TOP_NAMESPACES, 9, NULL)->state,
			    "");
	assert_int_equal(
		find(pair->now, TOP_CONTAINERS, 0, "alone")->counts.accepted,
		5);
	assert_int_equal(
		find(pair->now, TOP_CONTAINERS, 0, "web")->counts.accepted, 8);
	assert_false(find(pair->now, TOP_CONTAINERS, 0, "db")->counted);
}

/* The names of the lines, one letter each. */
static const char *selected(const struct top_sample *sample,
			    enum top_order order, bool reverse,
			    const char *filter)
{
	static char letters[16];
	const struct top_query query = { .view = TOP_LISTENERS,
					 .order = order,
					 .reverse = reverse,
					 .filter = filter };
	const struct top_row **rows;
	size_t n;

	assert_int_equal(top_select(sample, &query, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		letters[i] = rows[i]->name[0];
	letters[n] = '\0';
	free(rows);
	return letters;
}

static void test_order(void **state)
{
	struct pair *pair = *state;
	struct top_row a = listener(1, 1, 5), b = listener(2, 1, 7),
		       c = listener(3, 1, 7);

	add(pair->before, listener(1, 1, 5));
	add(pair->before, listener(2, 1, 1));
	add(pair->before, listener(3, 1, 3));
	a.name = "a";
	b.name = "b";
	c.name = "c";
	a.counts.active = 9;
	a.age_us = 300;
	b.age_us = 200;
	c.age_us = 100;
	b.state = "refused";
	c.rule = "Web";
	add(pair->now, c);
	add(pair->now, a);
	add(pair->now, b);
	finish(pair);
	assert_string_equal(selected(pair->now, TOP_BY_NAME, false, ""), "abc");
	assert_string_equal(selected(pair->now, TOP_BY_NAME, true, ""), "cba");
	assert_string_equal(selected(pair->now, TOP_BY_RATE, false, ""), "bca");
	assert_string_equal(selected(pair->now, TOP_BY_RATE, true, ""), "acb");
	assert_string_equal(selected(pair->now, TOP_BY_BYTES, false, ""),
			    "bca");
	assert_string_equal(selected(pair->now, TOP_BY_CONNECTIONS, false, ""),
			    "abc");
	assert_string_equal(selected(pair->now, TOP_BY_CONNECTIONS, true, ""),
			    "bca");
	assert_string_equal(selected(pair->now, TOP_BY_STATE, false, ""),
			    "bac");
	assert_string_equal(selected(pair->now, TOP_BY_AGE, false, ""), "cba");
	assert_string_equal(selected(pair->now, TOP_BY_NAME, false, "web"),
			    "c");
	assert_string_equal(selected(pair->now, TOP_BY_NAME, false, "REFU"),
			    "b");
	assert_string_equal(selected(pair->now, TOP_BY_NAME, false, "x"), "");
}

static void test_names_of_orders_and_views(void **state)
{
	enum top_order order;
	enum top_view view;

	(void)state;
	for (enum top_order i = 0; i < TOP_ORDERS; i++) {
		assert_int_equal(top_order_parse(top_order_name(i), &order), 0);
		assert_int_equal(order, i);
	}
	for (enum top_view i = 0; i < TOP_VIEWS; i++) {
		assert_int_equal(top_view_parse(top_view_name(i), &view), 0);
		assert_int_equal(view, i);
	}
	assert_int_equal(top_order_parse("", &order), -EINVAL);
	assert_int_equal(top_view_parse("name", &view), -EINVAL);
}

/* The worst of a namespace is what it is shown with. */
static void test_ranks(void **state)
{
	(void)state;
	assert_int_equal(top_state_rank(""), 0);
	assert_true(top_state_rank("listening") > top_state_rank(""));
	assert_true(top_state_rank("odd") > top_state_rank("listening"));
	assert_true(top_state_rank("waiting") > top_state_rank("draining"));
	assert_true(top_state_rank("refused") > top_state_rank("waiting"));
	assert_true(top_state_rank("unreachable") > top_state_rank("waiting"));
}

/* Texts are kept: many of them, and long ones. */
static void test_texts_are_copied(void **state)
{
	const size_t n = 5000, many = 200000;
	struct pair *pair = *state;
	char *text = malloc(many);
	const struct top_row *row;

	assert_non_null(text);
	memset(text, 'x', many - 1);
	text[many - 1] = '\0';
	for (size_t i = 1; i <= n; i++) {
		(void)snprintf(text, many, "n%zu", i);
		add_netns(pair->now, i, text);
	}
	memset(text, 'x', many - 1);
	add_netns(pair->now, n + 1, text);
	memset(text, 'y', many - 1);
	finish(pair);
	assert_string_equal(find(pair->now, TOP_NAMESPACES, 4711, NULL)->name,
			    "n4711");
	row = find(pair->now, TOP_NAMESPACES, n + 1, NULL);
	assert_int_equal(strspn(row->name, "x"), many - 1);
	assert_string_equal(row->rule, "");
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_rates),
		TEST(test_rates_of_listeners_that_come_and_go),
		TEST(test_rates_after_a_takeover),
		TEST(test_sums),
		TEST(test_order),
		TEST(test_texts_are_copied),
		cmocka_unit_test(test_names_of_orders_and_views),
		cmocka_unit_test(test_ranks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
