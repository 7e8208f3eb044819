// SPDX-License-Identifier: Apache-2.0
/* test_http_answer.c - answers that the relay gives itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "relay/http/http_answer.h"
#include "relay/http/http_read.h"

static void check(const struct http_answer *answer, const char *expected)
{
	char buffer[HTTP_ANSWER_MAX];
	size_t len = http_answer_write(answer, buffer, sizeof(buffer));

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(buffer, expected, len);
	assert_int_equal(http_answer_write(answer, buffer, len), len);
	assert_int_equal(http_answer_write(answer, buffer, len - 1), 0);
}

static void test_write(void **state)
{
	(void)state;
	check(&(struct http_answer){ .status = HTTP_UNAVAILABLE },
	      "HTTP/1.1 503 Service Unavailable\r\n"
	      "Content-Type: text/plain; charset=utf-8\r\n"
	      "Content-Length: 20\r\n"
	      "Cache-Control: no-store\r\n"
	      "Connection: close\r\n\r\n"
	      "Service Unavailable\n");
	check(&(struct http_answer){ .status = HTTP_TOO_MANY_REQUESTS,
				     .text = "come later",
				     .retry_after_s = 7 },
	      "HTTP/1.1 429 Too Many Requests\r\n"
	      "Content-Type: text/plain; charset=utf-8\r\n"
	      "Content-Length: 30\r\n"
	      "Cache-Control: no-store\r\n"
	      "Retry-After: 7\r\n"
	      "Connection: close\r\n\r\n"
	      "Too Many Requests: come later\n");
	check(&(struct http_answer){ .status = HTTP_BAD_GATEWAY,
				     .is_head = true },
	      "HTTP/1.1 502 Bad Gateway\r\n"
	      "Content-Type: text/plain; charset=utf-8\r\n"
	      "Content-Length: 12\r\n"
	      "Cache-Control: no-store\r\n"
	      "Connection: close\r\n\r\n");
}

/* Each status has its reason, and the length is right. */
static void test_statuses(void **state)
{
	static const enum http_status statuses[] = {
		HTTP_BAD_REQUEST,      HTTP_FORBIDDEN,
		HTTP_REQUEST_TIMEOUT,  HTTP_CONTENT_TOO_LARGE,
		HTTP_URI_TOO_LONG,     HTTP_EXPECTATION_FAILED,
		HTTP_MISDIRECTED,      HTTP_TOO_MANY_REQUESTS,
		HTTP_FIELDS_TOO_LARGE, HTTP_NOT_IMPLEMENTED,
		HTTP_BAD_GATEWAY,      HTTP_UNAVAILABLE,
		HTTP_GATEWAY_TIMEOUT,  HTTP_VERSION,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct http_answer answer = { .status = statuses[i] };
		char buffer[HTTP_ANSWER_MAX + 1];
		size_t len =
			http_answer_write(&answer, buffer, HTTP_ANSWER_MAX);
		const char *length, *body;

		assert_true(len > 0);
		buffer[len] = '\0';
		assert_int_equal(strtoul(buffer + strlen("HTTP/1.1 "), NULL,
					 10),
				 statuses[i]);
		assert_null(strstr(buffer, " Error\r\n"));
		length = strstr(buffer, "Content-Length: ");
		body = strstr(buffer, "\r\n\r\n");
		assert_non_null(length);
		assert_non_null(body);
		assert_int_equal(strtoul(length + strlen("Content-Length: "),
					 NULL, 10),
				 strlen(body) - 4);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *data, *begin, *end;
	} table[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
		  "\r\n\r\nBad Request: no Host\n" },
		{ "HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
		  "\r\nConnection: close\r\n\r\n" },
		{ "\n", "HTTP/1.1 400 Bad Request\r\n",
		  "\r\n\r\nBad Request: a line feed without a carriage "
		  "return\n" },
		{ "GET / HTTP/3.0\r\n",
		  "HTTP/1.1 505 HTTP Version Not Supported\r\n",
		  ": neither HTTP/1.0 nor HTTP/1.1\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *data = table[i].data, *end = table[i].end;
		struct http_request request = { 0 };
		char buffer[HTTP_ANSWER_MAX];
		size_t len;

		assert_int_equal(http_read(&request, data, strlen(data), 100),
				 HTTP_REFUSED);
		len = http_answer_refused(&request, data, buffer,
					  sizeof(buffer));
		assert_true(len > strlen(end));
		assert_memory_equal(buffer, table[i].begin,
				    strlen(table[i].begin));
		assert_memory_equal(buffer + len - strlen(end), end,
				    strlen(end));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
