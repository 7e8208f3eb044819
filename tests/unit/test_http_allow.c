// SPDX-License-Identifier: Apache-2.0
/* test_http_allow.c - which requests a rule lets through */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/http/http_allow.h"
#include "relay/http/http_read.h"

#define MAX 4096

static const char *const paths[] = { "/latest", "/openstack/" };
static const char *const hosts[] = { "169.254.169.254", "[fe80::a9fe:a9fe]",
				     "meta.example:8080" };
static const struct http_allowed allowed = { paths, ARRAY_SIZE(paths), hosts,
					     ARRAY_SIZE(hosts) };

#define NO_STATUS ((enum http_status)0) /* it is let through */

static void check(const char *line, const char *host,
		  const struct http_allowed *some, enum http_status status)
{
	struct http_request request = { 0 };
	char data[MAX];
	int len = snprintf(data, sizeof(data), "%s\r\n%s\r\n", line, host);

	assert_int_equal(http_read(&request, data, (size_t)len, MAX),
			 HTTP_WHOLE);
	assert_int_equal(http_allow(&request, data, some), status == NO_STATUS);
	if (request.status != status)
		fail_msg("%s, %s: %d", line, host, (int)request.status);
	if (status != NO_STATUS)
		assert_int_equal(http_read(&request, data, (size_t)len, MAX),
				 HTTP_REFUSED);
}

#define HOST "Host: 169.254.169.254\r\n"

static void test_paths(void **state)
{
	static const struct {
		const char *line;
		enum http_status status;
	} table[] = {
		{ "GET /latest HTTP/1.1", NO_STATUS },
		{ "GET /latest/meta-data?a=/../b HTTP/1.1", NO_STATUS },
		{ "GET /latest?x//y HTTP/1.1", NO_STATUS },
		{ "GET /openstack/ HTTP/1.1", NO_STATUS },
		{ "GET http://169.254.169.254/latest HTTP/1.1", NO_STATUS },
		{ "GET /openstack HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET /latest2 HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET /l%61test HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET / HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET http://169.254.169.254 HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET http://169.254.169.254?/latest HTTP/1.1",
		  HTTP_FORBIDDEN },
		{ "OPTIONS * HTTP/1.1", HTTP_FORBIDDEN },
		{ "GET /latest/../admin HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET /latest/..%2fadmin HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET /latest/%2e%2e/admin HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET /latest/..;/admin HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET /latest/..\\admin HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET //latest HTTP/1.1", HTTP_BAD_REQUEST },
		{ "GET http://169.254.169.254//latest HTTP/1.1",
		  HTTP_BAD_REQUEST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		check(table[i].line, HOST, &allowed, table[i].status);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		enum http_status status;
	} table[] = {
		{ "Host: 169.254.169.254:80\r\n", NO_STATUS },
		{ "Host: META.example:8080\r\n", NO_STATUS },
		{ "Host: [fe80::a9fe:a9fe%25ens3]\r\n", NO_STATUS },
		{ "Host: [FE80:0::A9FE:a9fe]:81\r\n", NO_STATUS },
		{ "Host: meta.example\r\n", HTTP_MISDIRECTED },
		{ "Host: 169.254.169.25\r\n", HTTP_MISDIRECTED },
		{ "Host: evil.example\r\n", HTTP_MISDIRECTED },
		{ "Host:\r\n", HTTP_MISDIRECTED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		check("GET /latest HTTP/1.1", table[i].host, &allowed,
		      table[i].status);
	check("GET /latest HTTP/1.0", "", &allowed, HTTP_MISDIRECTED);
}

/* Without prefixes and hosts, everything goes through. */
static void test_all(void **state)
{
	static const struct http_allowed all = { .n_paths = 0 };

	(void)state;
	check("GET /a/../b HTTP/1.1", "Host: x\r\n", &all, NO_STATUS);
	check("GET //%2f HTTP/1.0", "", &all, NO_STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
