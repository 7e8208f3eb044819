// SPDX-License-Identifier: Apache-2.0
/* test_serving.c - which backends each protocol can have, and when two are
 * equal
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/address_pattern.h"
#include "common/backend_source.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/limiter.h"
#include "relay/core/serving.h"

static int forward_to(const char *to, enum protocol protocol,
		      struct serving **ret_serving)
{
	const char *problem = NULL;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = protocol_name(protocol),
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
	};
	int r = serving_new(&listener, protocol, ret_serving, &problem);

	if (r < 0)
		assert_non_null(problem);
	return r;
}

static void test_backends_of_protocols(void **state)
{
	static const struct {
		const char *to;
		enum protocol protocol;
		int result;
		enum protocol spoken;
	} cases[] = {
		{ "10.0.0.1:1", PROTOCOL_TCP, 0, PROTOCOL_TCP },
		{ "10.0.0.1:1", PROTOCOL_UDP, 0, PROTOCOL_UDP },
		{ "10.0.0.1:1", PROTOCOL_SCTP, 0, PROTOCOL_SCTP },
		{ "[::1]:1", PROTOCOL_SCTP_SEQPACKET, 0, PROTOCOL_SCTP },
		{ "sctp://10.0.0.1:1", PROTOCOL_SCTP, 0, PROTOCOL_SCTP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP, 0, PROTOCOL_TCP },
		{ "tcp://10.0.0.1:1", PROTOCOL_SCTP_SEQPACKET, 0,
		  PROTOCOL_TCP },
		{ "unix:/run/x", PROTOCOL_SCTP, 0, PROTOCOL_TCP },
		{ "udp://10.0.0.1:1", PROTOCOL_SCTP, -EINVAL, 0 },
		{ "sctp://10.0.0.1:1", PROTOCOL_TCP, -EINVAL, 0 },
		{ "sctp://10.0.0.1:1", PROTOCOL_UDP, -EINVAL, 0 },
		{ "tcp://10.0.0.1:1", PROTOCOL_UDP, -EINVAL, 0 },
	};
	struct serving *serving;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(forward_to(cases[i].to, cases[i].protocol,
					    &serving),
				 cases[i].result);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(serving->backends[0].protocol,
				 cases[i].spoken);
		serving = serving_unref(serving);
	}
}

static void test_idle_times(void **state)
{
	static const struct {
		uint32_t ms;
		enum protocol protocol;
		uint64_t us;
	} cases[] = {
		{ 0, PROTOCOL_TCP, 3600 * USEC_PER_SEC },
		{ 0, PROTOCOL_MPTCP, 3600 * USEC_PER_SEC },
		{ 0, PROTOCOL_UDP, 30 * USEC_PER_SEC },
		{ 0, PROTOCOL_SCTP, SERVING_NEVER_US },
		{ 0, PROTOCOL_SCTP_SEQPACKET, SERVING_NEVER_US },
		{ 1, PROTOCOL_TCP, USEC_PER_MSEC },
		{ 5, PROTOCOL_SCTP, 5 * USEC_PER_MSEC },
		{ SERVICE_TIMEOUT_OFF, PROTOCOL_TCP, SERVING_NEVER_US },
		{ SERVICE_TIMEOUT_OFF, PROTOCOL_UDP, SERVING_NEVER_US },
		{ BERTH_TIMEOUT_OFF, PROTOCOL_SCTP, SERVING_NEVER_US },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct berth_listener listener = {
			.log = "",
			.balance = "",
			.action = "echo",
			.idle_timeout_ms = cases[i].ms,
		};
		const char *problem;
		struct serving *serving;

		assert_int_equal(serving_new(&listener, cases[i].protocol,
					     &serving, &problem),
				 0);
		assert_int_equal(serving->idle_timeout_us, cases[i].us);
		serving = serving_unref(serving);
	}
}

static void test_lifetimes(void **state)
{
	static const uint32_t ms[] = { 0, 5000, 3600000 };
	struct serving *servings[ARRAY_SIZE(ms)];
	struct berth_listener listener = { .log = "", .action = "echo" };
	const char *problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++) {
		listener.max_lifetime_ms = ms[i];
		assert_int_equal(serving_new(&listener, PROTOCOL_UDP,
					     &servings[i], &problem),
				 0);
		assert_int_equal(servings[i]->max_lifetime_us,
				 ms[i] * USEC_PER_MSEC);
		for (size_t k = 0; k < i; k++)
			assert_false(serving_equal(servings[i], servings[k]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++)
		servings[i] = serving_unref(servings[i]);
}

/* One rule may listen with several protocols and name one backend. */
static void test_one_text_two_protocols(void **state)
{
	static const enum protocol protocols[] = {
		PROTOCOL_TCP,
		PROTOCOL_SCTP,
		PROTOCOL_MPTCP,
	};
	struct serving *servings[ARRAY_SIZE(protocols)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		assert_int_equal(forward_to("10.0.0.1:1", protocols[i],
					    &servings[i]),
				 0);
	assert_false(serving_equal(servings[0], servings[1]));
	assert_true(serving_equal(servings[0], servings[2]));
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		servings[i] = serving_unref(servings[i]);
}

/* Those that are other ones make another serving: connections get the new. What
 * the relay cannot send it refuses to serve. */
static void test_tlvs(void **state)
{
	const char *to = "10.0.0.1:1", *problem = NULL;
	char longest[SERVICE_TLVS_BYTES_MAX] = "";
	struct berth_tlv tlvs[] = { { 0xe0, "a" }, { 0xef, "b" } };
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "v2",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
		.proxy_tlvs = tlvs,
		.n_proxy_tlvs = 2,
	};
	struct serving *first, *second;

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 0);
	assert_int_equal(
		serving_new(&listener, PROTOCOL_UDP, &second, &problem), 0);
	assert_int_equal(first->n_tlvs, 2);
	assert_string_equal(first->tlvs[1].value, "b");
	assert_true(service_tlvs_equal(first->tlvs, 2, second->tlvs, 2));
	second = serving_unref(second);
	tlvs[1].value = "c";
	assert_int_equal(
		serving_new(&listener, PROTOCOL_TCP, &second, &problem), 0);
	assert_false(serving_equal(first, second));
	first = serving_unref(first);
	second = serving_unref(second);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[SERVICE_TLVS_BYTES_MAX - 7] = '\0';
	tlvs[1].value = longest; /* with two heads and one byte */
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 0);
	first = serving_unref(first);
	tlvs[0].value = "aa";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 -EINVAL);
	tlvs[1] = (struct berth_tlv){ 0x30, "other netns" };
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 -EINVAL);
	tlvs[1] = (struct berth_tlv){ 0xe1, "x" };
	listener.proxy_protocol = "v1";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 -EINVAL);
	assert_non_null(strstr(problem, "proxy_tlvs"));
}

static void test_sources(void **state)
{
	const char *to = "10.0.0.1:1", *from[] = { "10.0.0.2", "fd00::2" };
	const char *wrong = "eth0", *problem;
	struct serving *two, *one;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
		.from = from,
		.n_from = 2,
	};

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &two, &problem),
			 0);
	assert_int_equal(two->n_from, 2);
	assert_int_equal(two->from[1].addr.family, AF_INET6);
	assert_true(two->backends[0].minted);
	assert_ptr_equal(two->backends[0].source, &two->from[0]);
	listener.n_from = 1;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 0);
	assert_false(serving_equal(one, two));
	two = serving_unref(two);
	listener.from = &wrong;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &two, &problem),
			 -EINVAL);
	listener.n_from = SERVICE_FROM_MAX + 1;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &two, &problem),
			 -EINVAL);
	one = serving_unref(one);
}

static void test_clients(void **state)
{
	const char *clients[] = { "10.0.0.0/8", "!10.1.0.0/16" };
	const char *many[SERVICE_CLIENTS_MAX + 1], *problem = NULL;
	struct serving *two, *one;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "echo",
		.clients = clients,
		.n_clients = 2,
	};

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &two, &problem),
			 0);
	assert_int_equal(two->n_clients, 2);
	assert_true(two->clients[1].negated);
	listener.n_clients = 1;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 0);
	assert_false(serving_equal(one, two));
	one = serving_unref(one);
	two = serving_unref(two);
	/* Serving everybody would be wrong. */
	clients[0] = "10.0.0.1/8";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = "10.0.0.1";
	listener.clients = many;
	listener.n_clients = ARRAY_SIZE(many);
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 -EINVAL);
	assert_non_null(strstr(problem, "256"));
}

static int forward_http(const struct berth_http *http, enum protocol protocol,
			struct serving **ret_serving)
{
	static const char *to = "unix:/run/x";
	const char *problem = NULL;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = protocol_name(protocol),
		.action = "http",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
		.http = http,
	};
	int r = serving_new(&listener, protocol, ret_serving, &problem);

	if (r < 0)
		assert_non_null(problem);
	return r;
}

/* What berthd would not say is refused, and what differs is not equal. */
static void test_http(void **state)
{
	struct berth_header header = { "X-A", "${client} $$5" };
	const char *removed = "X-B", *path = "/a", *host = "a";
	const struct berth_http good = {
		.set_headers = &header,
		.n_set_headers = 1,
		.remove_headers = &removed,
		.n_remove_headers = 1,
		.paths = &path,
		.n_paths = 1,
		.hosts = &host,
		.n_hosts = 1,
		.request_timeout_ms = 1,
		.response_timeout_ms = 1,
		.max_request = 256,
	};
	static const struct berth_header bad_headers[] = {
		{ "X A", "a" },	 { "Content-Length", "1" }, { "X-A", "a\r\nb" },
		{ "X-A", "$5" }, { "X-A", "${rule}" },	    { "X-A", "a$" },
	};
	struct serving *a, *b;
	struct berth_http other = good;

	(void)state;
	assert_int_equal(forward_http(&good, PROTOCOL_TCP, &a), 0);
	assert_int_equal(a->action, SERVICE_FORWARD);
	assert_int_equal(forward_http(&good, PROTOCOL_TCP, &b), 0);
	assert_true(serving_equal(a, b));
	b = serving_unref(b);
	header.value = "${client} $$6";
	assert_int_equal(forward_http(&good, PROTOCOL_MPTCP, &b), 0);
	assert_false(serving_equal(a, b));
	b = serving_unref(b);
	a = serving_unref(a);
	assert_int_equal(forward_http(NULL, PROTOCOL_TCP, &a), -EINVAL);
	assert_int_equal(forward_http(&good, PROTOCOL_UDP, &a), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad_headers); i++) {
		header = bad_headers[i];
		assert_int_equal(forward_http(&good, PROTOCOL_TCP, &a),
				 -EINVAL);
	}
	header = (struct berth_header){ "X-A", "a" };
	removed = "Connection";
	assert_int_equal(forward_http(&good, PROTOCOL_TCP, &a), -EINVAL);
	removed = "X-B";
	path = "/../a";
	assert_int_equal(forward_http(&good, PROTOCOL_TCP, &a), -EINVAL);
	path = "/a";
	host = "";
	assert_int_equal(forward_http(&good, PROTOCOL_TCP, &a), -EINVAL);
	host = "a";
	other.max_request = 255;
	assert_int_equal(forward_http(&other, PROTOCOL_TCP, &a), -EINVAL);
	other.max_request = 65537;
	assert_int_equal(forward_http(&other, PROTOCOL_TCP, &a), -EINVAL);
	other.max_request = 256;
	other.request_timeout_ms = 0;
	assert_int_equal(forward_http(&other, PROTOCOL_TCP, &a), -EINVAL);
}

/* A limit that stays as it is keeps its number, whatever the others are. */
static void test_limits(void **state)
{
	const char *to = "10.0.0.1:1", *problem = NULL;
	struct berth_rate rates[] = { { 20, 1000, 128 }, { 5, 2000, 64 } };
	struct serving *two, *one;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
		.rates = rates,
		.n_rates = 2,
	};

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &two, &problem),
			 0);
	assert_int_equal(two->limits.n, 2);
	assert_true(two->limits.list[0].id != two->limits.list[1].id);
	listener.rates = &rates[1];
	listener.n_rates = 1;
	listener.max_connections = 7;
	assert_int_equal(serving_new(&listener, PROTOCOL_UDP, &one, &problem),
			 0);
	assert_true(one->limits.list[0].id == two->limits.list[1].id);
	assert_false(serving_equal(one, two));
	one = serving_unref(one);
	listener.rule = "other";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 0);
	assert_true(one->limits.list[0].id != two->limits.list[1].id);
	one = serving_unref(one);
	two = serving_unref(two);
	rates[1].count = 0;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &one, &problem),
			 -EINVAL);
	assert_non_null(strstr(problem, "rate_limit"));
}

static void test_balance(void **state)
{
	uint32_t weights[] = { 0, 256 };
	const char *to[] = { "10.0.0.1:80", "10.0.0.1:81" };
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = to,
		.n_to = 2,
	};
	struct serving *plain, *other;
	const char *problem = NULL;

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &plain, &problem),
			 0);
	assert_int_equal(plain->balance, SERVICE_BALANCE_ROUND_ROBIN);
	assert_int_equal(plain->backends[1].weight, 1);
	assert_true(plain->backends[0].balance_id !=
		    plain->backends[1].balance_id);
	listener.balance = "least-connections";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &other, &problem),
			 0);
	assert_false(serving_equal(plain, other));
	other = serving_unref(other);
	listener.balance = "round-robin";
	listener.weights = weights;
	/* The protocol makes no difference to a client's place. */
	assert_int_equal(serving_new(&listener, PROTOCOL_UDP, &other, &problem),
			 0);
	assert_int_equal(other->backends[0].weight, 0);
	assert_int_equal(other->backends[1].weight, 256);
	assert_true(other->backends[1].balance_id ==
		    plain->backends[1].balance_id);
	other = serving_unref(other);
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &other, &problem),
			 0);
	assert_false(serving_equal(plain, other));
	other = serving_unref(other);
	plain = serving_unref(plain);
	listener.balance = "random";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &other, &problem),
			 -EINVAL);
	assert_non_null(strstr(problem, "least-connections"));
}

/* Those ask for the same that are asked for by one check. */
static void test_check(void **state)
{
	const char *to = "10.0.0.1:1", *problem = NULL;
	struct serving *first, *second;
	struct berth_listener listener = {
		.log = "",
		.balance = "",
		.protocol = "tcp",
		.action = "forward",
		.rule = "web",
		.text = "",
		.proxy_protocol = "",
		.backend_netns = "",
		.to = &to,
		.n_to = 1,
		.check_every_ms = 5000,
		.check_timeout_ms = 1000,
		.check_rise = 2,
		.check_fall = 3,
		.check_http_path = "/a",
		.check_http_host = "",
		.check_send = "",
		.check_status_min = 200,
		.check_status_max = 399,
	};

	(void)state;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &first, &problem),
			 0);
	listener.rule = "other";
	listener.check_every_ms = 6000;
	assert_int_equal(
		serving_new(&listener, PROTOCOL_TCP, &second, &problem), 0);
	assert_true(first->check_asks == second->check_asks);
	assert_false(serving_equal(first, second));
	second = serving_unref(second);
	listener.check_http_host = "a.example";
	assert_int_equal(
		serving_new(&listener, PROTOCOL_TCP, &second, &problem), 0);
	assert_true(first->check_asks != second->check_asks);
	second = serving_unref(second);
	first = serving_unref(first);
	listener.check_status_min = 400;
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &second,
				     &problem),
			 -EINVAL);
	assert_non_null(strstr(problem, "check"));
	listener.check_status_min = 200;
	listener.check_http_path = "/ a";
	assert_int_equal(serving_new(&listener, PROTOCOL_TCP, &second,
				     &problem),
			 -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_backends_of_protocols),
		cmocka_unit_test(test_idle_times),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_tlvs),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_one_text_two_protocols),
		cmocka_unit_test(test_balance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
