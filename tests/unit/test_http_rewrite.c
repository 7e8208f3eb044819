// SPDX-License-Identifier: Apache-2.0
/* test_http_rewrite.c - requests as the backend gets them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/http/http_read.h"
#include "relay/http/http_rewrite.h"

#define MAX 4096

static const struct http_header set[] = {
	{ "X-Forwarded-For", "10.0.0.1", 8 },
	{ "X-OVN-Network-ID", "net", 3 },
};
static const char *const removed[] = { "X-Instance-ID" };
static const struct http_changes changes = { set, ARRAY_SIZE(set), removed,
					     ARRAY_SIZE(removed) };

#define SET "X-Forwarded-For: 10.0.0.1\r\nX-OVN-Network-ID: net\r\n"
#define CLOSE "Connection: close\r\n\r\n"

static void read_whole(struct http_request *request, const char *data)
{
	memset(request, 0, sizeof(*request));
	if (http_read(request, data, strlen(data), MAX) != HTTP_WHOLE)
		fail_msg("%s: %s", data, request->problem);
}

static void check(const char *data, const struct http_changes *some,
		  const char *expected)
{
	size_t len = strlen(expected);
	struct http_request request;
	char buffer[MAX], *exact = malloc(len);
	ssize_t n;

	read_whole(&request, data);
	n = http_rewrite(&request, data, some, buffer, sizeof(buffer));
	assert_true(n >= 0);
	if ((size_t)n != len || memcmp(buffer, expected, len) != 0)
		fail_msg("%s\nbecame\n%.*s\nexpected\n%s", data, (int)n, buffer,
			 expected);
	/* It fits exactly, and not into less. */
	assert_int_equal(http_rewrite(&request, data, some, exact, len), n);
	for (size_t size = 0; size < len; size++)
		assert_int_equal(http_rewrite(&request, data, some, exact,
					      size),
				 -EMSGSIZE);
	free(exact);
}

static const struct {
	const char *data, *expected;
} table[] = {
	{ "GET /a?b HTTP/1.1\r\nHost: h\r\nAccept:  */* \r\n\r\nGET /x",
	  "GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n" SET CLOSE },
	/* each copy, in any case, and what a backend may take for it */
	{ "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\n"
	  "x-forwarded-for: 2\r\nX_FORWARDED_FOR: 3\r\nX.Forwarded-For: 4\r\n"
	  "X-Ovn-Network-Id: 5\r\nx_ovn_network_id: 6\r\n"
	  "X-INSTANCE_ID: 7\r\nX-Instance-ID-Signature: 8\r\n\r\n",
	  "GET / HTTP/1.1\r\nHost: h\r\nX-Instance-ID-Signature: 8\r\n" SET
		  CLOSE },
	/* what is the connection's */
	{ "GET / HTTP/1.1\r\nConnection: Upgrade, keep-alive,, X-Hop\r\n"
	  "Host: h\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
	  "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
	  "TE: trailers\r\nTrailer: X\r\nProxy-Authorization: Basic eA==\r\n"
	  "X-hop: 1\r\nX_Hop: 2\r\nconnection: X-Other\tx\r\n"
	  "connection: \tX-Other\r\nX-Other: 3\r\nX-Kept: 4\r\n"
	  "Expect: 100-continue\r\n\r\n",
	  "GET / HTTP/1.1\r\nHost: h\r\nX-Kept: 4\r\n" SET CLOSE },
	/* that cannot take away what frames the request or what is set */
	{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
	  "Connection: Host, Content-Length, X-Forwarded-For\r\n\r\nab",
	  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n" SET CLOSE
	  "ab" },
	/* targets */
	{ "GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
	  "GET /x?y HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	{ "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
	  "GET / HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	{ "GET http://h?y HTTP/1.1\r\nHost: h\r\n\r\n",
	  "GET /?y HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	{ "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n",
	  "OPTIONS * HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	  "OPTIONS * HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	{ "OPTIONS http://h?y HTTP/1.1\r\nHost: h\r\n\r\n",
	  "OPTIONS /?y HTTP/1.1\r\nHost: h\r\n" SET CLOSE },
	/* versions */
	{ "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n" SET CLOSE },
	/* bodies */
	{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n\r\nhelloGET",
	  "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" SET CLOSE
	  "hello" },
	{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	  "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" SET CLOSE },
	{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "5\r\nhello\r\n1;x=y\r\n \r\n00B\r\nbig\r\n0\r\nwor\r\n1\r\n!\r\n"
	  "0\r\nX-Forwarded-For: t\r\n\r\nGET",
	  "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n" SET CLOSE
	  "hello big\r\n0\r\nwor!" },
	{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "000;last\r\n\r\n",
	  "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" SET CLOSE },
};

static void test_rewrite(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		check(table[i].data, &changes, table[i].expected);
}

static void test_no_changes(void **state)
{
	static const struct http_changes none = { .n_set = 0 };

	(void)state;
	check("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\n\r\n", &none,
	      "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\n" CLOSE);
}

static void test_set_host(void **state)
{
	static const struct http_header host = { "Host", "other", 5 };
	static const struct http_changes some = { .set = &host, .n_set = 1 };

	(void)state;
	check("GET / HTTP/1.1\r\nhOST: h\r\n\r\n", &some,
	      "GET / HTTP/1.1\r\nHost: other\r\n" CLOSE);
}

/* A value comes from names and labels that strangers gave. */
static void test_values(void **state)
{
	static const struct {
		struct http_header header;
		ssize_t expected;
	} values[] = {
		{ { "X-A", "", 0 }, 0 },
		{ { "X-A", "\xc3\xa4\tb", 4 }, 0 },
		{ { "X-A", "a\r\nb", 4 }, -EINVAL },
		{ { "X-A", "a\n", 2 }, -EINVAL },
		{ { "X-A", "a\r", 2 }, -EINVAL },
		{ { "X-A", "a\0b", 3 }, -EINVAL },
		{ { "X-A", "a\x7f", 2 }, -EINVAL },
		{ { "X A", "a", 1 }, -EINVAL },
		{ { "", "a", 1 }, -EINVAL },
		{ { "Content-Length", "1", 1 }, -EINVAL },
		{ { "transfer_encoding", "x", 1 }, -EINVAL },
		{ { "Connection", "x", 1 }, -EINVAL },
	};
	static const char data[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	struct http_request request;
	char buffer[MAX];

	(void)state;
	read_whole(&request, data);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct http_changes some = { .set = &values[i].header,
					     .n_set = 1 };
		ssize_t n = http_rewrite(&request, data, &some, buffer,
					 sizeof(buffer));

		if (n < 0 ? n != values[i].expected : values[i].expected != 0)
			fail_msg("%zu: %zd", i, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_no_changes),
		cmocka_unit_test(test_set_host),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
