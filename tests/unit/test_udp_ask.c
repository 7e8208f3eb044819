// SPDX-License-Identifier: Apache-2.0
/* test_udp_ask.c - who may begin a session while too many wait for sockets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/serving.h"
#include "relay/udp_ask.h"
#include "relay/udp_internal.h"
#include "relay/worker.h"

/* More than a worker lets wait. */
#define MANY 100000

static bool may(bool minted, size_t n_all, uint64_t rest_until_us)
{
	struct serving_backend backend = { .minted = minted };
	struct serving serving = { .backends = &backend, .n_backends = 1 };
	struct udp_worker udp = { .n_asks = n_all };
	struct worker worker = { .udp = &udp, .now_us = 1000 };
	struct share share = { .serving = &serving };
	struct udp_front front = { .share = &share };

	front.asks.rest_until_us = rest_until_us;
	return udp_ask_may(&worker, &front);
}

static void test_who_asks(void **state)
{
	(void)state;
	assert_true(may(true, 0, 0));
	assert_false(may(true, MANY, 0));
	assert_false(may(true, 0, 2000));
}

/* What others wait for does not concern it. */
static void test_who_needs_no_socket(void **state)
{
	(void)state;
	assert_true(may(false, 0, 0));
	assert_true(may(false, MANY, 0));
	assert_true(may(false, 0, 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_who_needs_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
