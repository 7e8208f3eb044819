// SPDX-License-Identifier: Apache-2.0
/* test_metrics_reasons.c - which drops and limits a rule can have at all */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/service.h"
#include "common/service_http.h"
#include "daemon/control/metrics_reasons.h"
#include "lib/berth.h"

#define BIT(reason) (UINT32_C(1) << (reason))

static char tcp_backend[] = "10.0.0.1:80", unix_backend[] = "unix:/run/x";
static char *to[] = { tcp_backend };
static char *to_unix[] = { unix_backend };
static char netns[] = "blue";
static struct service_http http = { .n_rates = 1 };

/* By the simplest rule of each kind, and what each key adds. */
static void test_drops(void **state)
{
	const uint32_t least = BIT(BERTH_DROP_TOO_LARGE) |
			       BIT(BERTH_DROP_RECEIVE_BUFFER);
	struct service service = { .action = SERVICE_DISCARD };
	uint32_t forwarded;

	(void)state;
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_UDP), least);
	service.n_clients = 1;
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_UDP),
			 least | BIT(BERTH_DROP_NOT_ADMITTED));
	service = (struct service){ .action = SERVICE_FORWARD,
				    .to = to,
				    .n_to = 1 };
	forwarded = metrics_reasons_drops(&service, PROTOCOL_UDP);
	assert_true(forwarded & BIT(BERTH_DROP_UNREACHABLE));
	assert_false(forwarded & BIT(BERTH_DROP_RATE_LIMIT));
	assert_false(forwarded & BIT(BERTH_DROP_NOT_ADMITTED));
	assert_false(forwarded & BIT(BERTH_DROP_NO_STREAM));
	service.n_rates = 1;
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_UDP),
			 forwarded | BIT(BERTH_DROP_RATE_LIMIT));
	assert_true(metrics_reasons_drops(&service, PROTOCOL_SCTP) &
		    BIT(BERTH_DROP_NO_STREAM));
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_TCP), 0);
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_MPTCP), 0);
	service.action = SERVICE_HANDOFF;
	assert_int_equal(metrics_reasons_drops(&service, PROTOCOL_UDP), 0);
}

static void test_limits(void **state)
{
	const uint32_t fds = BIT(BERTH_LIMIT_DESCRIPTORS);
	const uint32_t ports = fds | BIT(BERTH_LIMIT_PORTS);
	struct service service = { .action = SERVICE_RESPOND };

	(void)state;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_UDP), 0);
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP), fds);
	service = (struct service){ .action = SERVICE_FORWARD,
				    .to = to_unix,
				    .n_to = 1 };
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP), fds);
	service.http = &http;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP),
			 fds | BIT(BERTH_LIMIT_REQUESTS));
	service.http = NULL;
	service.to = to;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_UDP), ports);
	service.netns = netns;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP), ports);
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_UDP),
			 ports | BIT(BERTH_LIMIT_WAITING));
	service.n_rates = 1;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP),
			 ports | BIT(BERTH_LIMIT_RATE_LIMIT));
	service.action = SERVICE_HANDOFF;
	assert_int_equal(metrics_reasons_limits(&service, PROTOCOL_TCP), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
