// SPDX-License-Identifier: Apache-2.0
/* test_pins.c - what processes had of namespaces when their connection ended */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/consumers/known.h"
#include "daemon/consumers/pins.h"

#define NETNS 7
#define TOLD_US 1000

/* This process, or one that has ended. */
static struct pinner *process(const char *consumer, bool alive)
{
	const struct consumer_peer peer = { .pid = getpid() };
	uint64_t started = known_started(getpid());

	assert_true(started > 0);
	return pinner_new(consumer, &peer, alive ? started : started + 1, 1);
}

static struct pinner *with_pin(const char *consumer, bool alive, bool told)
{
	struct pinner *pinner = process(consumer, alive);
	struct pin *pin = pinner_get(pinner, NETNS);

	pin_add_told(pin, told ? TOLD_US : 0);
	return pinner;
}

static void test_pin(void **state)
{
	struct endpoint endpoint = { .port = 1 };
	struct pin pin = { .n_listeners = 0 };

	(void)state;
	for (; endpoint.port <= PIN_ENDPOINTS_MAX + 3; endpoint.port++)
		pin_add_listener(&pin, &endpoint);
	assert_int_equal(pin.n_listeners, PIN_ENDPOINTS_MAX + 3);
	for (unsigned int i = 0; i < PIN_ENDPOINTS_MAX; i++)
		assert_int_equal(pin.endpoints[i].port, i + 1);
	pin_add_told(&pin, 0);
	assert_int_equal(pin.told_us, 0);
	pin_add_told(&pin, 20);
	pin_add_told(&pin, 30);
	pin_add_told(&pin, 0);
	assert_int_equal(pin.told_us, 20);
	pin_add_told(&pin, 10);
	assert_int_equal(pin.told_us, 10);
}

static void test_namespaces_are_bounded(void **state)
{
	struct pinner *pinner = process("web", true);

	(void)state;
	for (uint64_t id = 1; id <= PINS_MAX; id++)
		assert_non_null(pinner_get(pinner, id));
	assert_null(pinner_get(pinner, PINS_MAX + 1));
	assert_non_null(pinner_get(pinner, PINS_MAX));
	assert_null(pinner_find(pinner, PINS_MAX + 1));
	assert_non_null(pinner_find(pinner, 1));
	pinner_free(pinner);
}

static void test_processes_are_bounded(void **state)
{
	struct pinners pinners = { .n = 0 };
	struct pinner *first = with_pin("other", true, true);
	char name[16];

	(void)state;
	pinners_add(&pinners, first);
	/* One consumer takes no room from another. */
	for (int i = 0; i < 3 * PINNERS_PER_CONSUMER_MAX; i++)
		pinners_add(&pinners, with_pin("web", true, true));
	assert_int_equal(pinners.n, 1 + PINNERS_PER_CONSUMER_MAX);
	assert_ptr_equal(pinners.list, first);
	for (int i = 0; i < 2 * PINNERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		pinners_add(&pinners, with_pin(name, true, true));
	}
	assert_int_equal(pinners.n, PINNERS_MAX);
	pinners_done(&pinners);
	assert_null(pinners.list);
}

static void test_nothing_to_keep(void **state)
{
	struct pinners pinners = { .n = 0 };

	(void)state;
	pinners_add(&pinners, NULL);
	pinners_add(&pinners, process("web", true));
	assert_int_equal(pinners.n, 0);
}

/* What a process had that ended is closed, or another one's. */
static void test_ended(void **state)
{
	struct pinners pinners = { .n = 0 };
	struct pinner *told = with_pin("web", false, true);
	struct pinner *left = with_pin("web", false, false);

	(void)state;
	assert_false(pinner_alive(told));
	pinners_add(&pinners, told);
	pinners_add(&pinners, left);
	assert_int_equal(pinners.n, 2);
	pinners_add(&pinners, NULL);
	assert_int_equal(pinners.n, 1);
	assert_ptr_equal(pinners.list, told);
	pinners_freed(&pinners, NETNS);
	assert_int_equal(pinners.n, 0);
}

static void test_returned(void **state)
{
	struct pinners pinners = { .n = 0 };
	struct pinner *pinner = with_pin("web", true, true);
	uint64_t started = known_started(getpid());

	(void)state;
	assert_true(pinner_alive(pinner));
	assert_non_null(pinner_get(pinner, NETNS + 1));
	pinners_add(&pinners, pinner);
	pinners_returned(&pinners, getpid(), started + 1);
	assert_non_null(pinner_find(pinner, NETNS + 1));
	pinners_returned(&pinners, getpid(), started);
	assert_null(pinner_find(pinner, NETNS + 1));
	assert_non_null(pinner_find(pinner, NETNS));
	pinners_freed(&pinners, NETNS + 1);
	assert_int_equal(pinners.n, 1);
	pinners_done(&pinners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_namespaces_are_bounded),
		cmocka_unit_test(test_processes_are_bounded),
		cmocka_unit_test(test_nothing_to_keep),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
