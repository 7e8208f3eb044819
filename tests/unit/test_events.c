// SPDX-License-Identifier: Apache-2.0
/* test_events.c - what happened, told to whoever listens at that moment */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/events.h"

struct ear {
	struct events_sink sink;
	size_t n;
	struct event last;
};

static void heard(const struct event *event, void *user_data)
{
	struct ear *ear = user_data;

	ear->n++;
	ear->last = *event;
}

static void ear_init(struct ear *ear, uint32_t kinds)
{
	*ear = (struct ear){
		.sink = { .kinds = kinds, .heard = heard, .user_data = ear },
	};
}

static const struct event opened = { .kind = EVENT_LISTENER_OPENED,
				     .netns = "blue" };
static const struct event lost = { .kind = EVENT_CONSUMER_LOST };

static void test_nobody(void **state)
{
	struct events events = { .wanted = 0 };

	(void)state;
	for (unsigned int kind = 0; kind < EVENT_KINDS; kind++)
		assert_false(events_wanted(&events, (enum event_kind)kind));
	assert_false(events_wanted(NULL, EVENT_NETNS_APPEARED));
	events_emit(&events, &opened);
	events_emit(NULL, &opened);
}

static void test_each_hears_its_kinds(void **state)
{
	struct events events = { .wanted = 0 };
	struct ear all, consumers;

	(void)state;
	ear_init(&all, EVENT_ALL_KINDS);
	ear_init(&consumers, event_kinds_parse("consumer"));
	events_listen(&events, &consumers.sink);
	assert_false(events_wanted(&events, EVENT_LISTENER_OPENED));
	assert_true(events_wanted(&events, EVENT_CONSUMER_COME));
	events_emit(&events, &opened);
	assert_int_equal(consumers.n, 0);

	events_listen(&events, &all.sink);
	assert_true(events_wanted(&events, EVENT_LISTENER_OPENED));
	events_emit(&events, &opened);
	events_emit(&events, &lost);
	assert_int_equal(all.n, 2);
	assert_int_equal(consumers.n, 1);
	assert_int_equal(consumers.last.kind, EVENT_CONSUMER_LOST);
	/* Of this century. */
	assert_true(all.last.time_us > 946684800 * USEC_PER_SEC);

	events_leave(&events, &all.sink);
	assert_false(events_wanted(&events, EVENT_LISTENER_OPENED));
	events_emit(&events, &lost);
	assert_int_equal(all.n, 2);
	assert_int_equal(consumers.n, 2);
	events_leave(&events, &consumers.sink);
	assert_int_equal(events.wanted, 0);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < EVENT_KINDS; i++) {
		const char *name = event_kind_name((enum event_kind)i);

		assert_int_equal(event_kinds_parse(name), 1u << i);
	}
	assert_int_equal(event_kinds_parse("backend"),
			 1u << EVENT_BACKEND_DOWN | 1u << EVENT_BACKEND_UP);
	assert_int_equal(event_kinds_parse("back"), 0);
	assert_int_equal(event_kinds_parse("backend."), 0);
	assert_int_equal(event_kinds_parse("backend.upper"), 0);
	assert_int_equal(event_kinds_parse(""), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_each_hears_its_kinds),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
