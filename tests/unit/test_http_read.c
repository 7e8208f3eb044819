// SPDX-License-Identifier: Apache-2.0
/* test_http_read.c - requests, read strictly, and however they come */
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

#define MAX 4096

/* A request line and the fields that each request has. */
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"

/* Bytes with their length, so that a NUL can be one of them. */
#define BYTES(text) text, sizeof(text) - 1

/* The same verdict must come however the bytes come. */
static enum http_verdict read_all(struct http_request *request,
				  const char *bytes, size_t len, size_t max)
{
	struct http_request slow = { 0 };
	enum http_verdict verdict, slow_verdict = HTTP_MORE;

	memset(request, 0, sizeof(*request));
	verdict = http_read(request, bytes, len, max);
	for (size_t i = 0; i <= len && slow_verdict == HTTP_MORE; i++) {
		/* A copy of its own, so that nothing behind it is read. */
		char *copy = malloc(i + 1);

		memcpy(copy, bytes, i);
		slow_verdict = http_read(&slow, copy, i, max);
		free(copy);
	}
	assert_int_equal(slow_verdict, verdict);
	assert_int_equal(slow.status, request->status);
	if (verdict == HTTP_WHOLE)
		assert_memory_equal(&slow, request, sizeof(slow));
	assert_int_equal(http_read(request, bytes, len, max), verdict);
	return verdict;
}

static const struct {
	const char *bytes;
	size_t len;
	enum http_status status;
} refused[] = {
	/* the request line */
	{ BYTES("\r\n" GET HOST END), 400 },
	{ BYTES(" GET / HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET  / HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET /  HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET / HTTP/1.1 \r\n" HOST END), 400 },
	{ BYTES("GET\t/ HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET / a HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET /\r\n"), 400 },
	{ BYTES("GET\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r" HOST END), 400 },
	{ BYTES("GET / HTTP/1.1\r\r\n"), 400 },
	{ BYTES("GET / http/1.1\r\n"), 400 },
	{ BYTES("GET / HTTP/1.10\r\n"), 400 },
	{ BYTES("GET / HTTP/11\r\n"), 400 },
	{ BYTES("GET / HTTP/x.1\r\n"), 400 },
	{ BYTES("GET / HTTP/0.9\r\n"), 505 },
	{ BYTES("GET / HTTP/1.2\r\n"), 505 },
	{ BYTES("GET / HTTP/2.0\r\n"), 505 },
	{ BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 },
	{ BYTES("G(T / HTTP/1.1\r\n"), 400 },
	{ BYTES("G\xc3T / HTTP/1.1\r\n"), 400 },
	{ BYTES("G\0T"), 400 },
	{ BYTES("\x16\x03\x01\x02"), 400 }, /* TLS; at once, not at the end */
	{ BYTES("CONNECT a:80 HTTP/1.1\r\n"), 501 },
	{ BYTES("connect a:80 HTTP/1.1\r\n"), 501 },
	{ BYTES("TRACE / HTTP/1.1\r\n"), 501 },
	{ BYTES("trace / HTTP/1.1\r\n"), 501 },
	{ BYTES("TRACK / HTTP/1.1\r\n"), 501 },
	/* the target */
	{ BYTES("GET  HTTP/1.1\r\n"), 400 },
	{ BYTES("GET * HTTP/1.1\r\n"), 400 },
	{ BYTES("GET a HTTP/1.1\r\n"), 400 },
	{ BYTES("GET a:80 HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /a#b HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /\xc3\xa4 HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /a\tb HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /a\x7f HTTP/1.1\r\n"), 400 },
	{ BYTES("GET ftp://a/ HTTP/1.1\r\n"), 400 },
	{ BYTES("GET http:/a HTTP/1.1\r\n"), 400 },
	{ BYTES("GET https://a/ HTTP/1.1\r\n"), 421 },
	{ BYTES("GET http://b/ HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET http://a:80/ HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET http://x@a/ HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET http:///x HTTP/1.1\r\n" HOST END), 400 },
	{ BYTES("GET http:///x HTTP/1.1\r\nHost:\r\n" END), 400 },
	{ BYTES("GET http://a/ HTTP/1.0\r\n" END), 400 },
	/* fields */
	{ BYTES(GET HOST "A\r\n"), 400 },
	{ BYTES(GET HOST ": b\r\n"), 400 },
	{ BYTES(GET HOST "A : b\r\n"), 400 },
	{ BYTES(GET HOST "A\t: b\r\n"), 400 },
	{ BYTES(GET HOST "A B: c\r\n"), 400 },
	{ BYTES(GET HOST "A\0: b\r\n"), 400 },
	{ BYTES(GET HOST "A\xc3: b\r\n"), 400 },
	{ BYTES(GET HOST "A\x01: b\r\n"), 400 },
	{ BYTES(GET HOST "(A): b\r\n"), 400 },
	{ BYTES(GET HOST "\"A\": b\r\n"), 400 },
	{ BYTES(GET HOST "A: b\0c\r\n"), 400 },
	{ BYTES(GET HOST "A: b\x7f\r\n"), 400 },
	{ BYTES(GET HOST "A: b\vc\r\n"), 400 },
	{ BYTES(GET HOST "A: b\nC: d\r\n"), 400 },
	{ BYTES(GET HOST "A: b\rC: d\r\n"), 400 },
	{ BYTES(GET HOST "A: b\r\r\n"), 400 },
	{ BYTES(GET HOST "A: b\n\n"), 400 },
	{ BYTES(GET HOST "A: b\r\n\n"), 400 },
	{ BYTES(GET HOST "A: b\r\n c\r\n"), 400 },
	{ BYTES(GET HOST "A: b\r\n\tc\r\n"), 400 },
	{ BYTES(GET HOST "A: b\r\n \r\n"), 400 },
	{ BYTES(GET " " HOST), 400 },
	/* Host */
	{ BYTES(GET END), 400 },
	{ BYTES(GET "X-Host: a\r\n" END), 400 },
	{ BYTES(GET HOST HOST), 400 },
	{ BYTES(GET HOST "HOST: b\r\n"), 400 },
	{ BYTES(GET "Host:\r\nHost:\r\n"), 400 },
	{ BYTES(GET "Host: a, b\r\n"), 400 },
	{ BYTES(GET "Host: a b\r\n"), 400 },
	{ BYTES(GET "Host: a/b\r\n"), 400 },
	{ BYTES(GET "Host: a@b\r\n"), 400 },
	{ BYTES(GET "Host: a:b\r\n"), 400 },
	/* Content-Length */
	{ BYTES(POST HOST "Content-Length:\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: +5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: -1\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 0x5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5 5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5, 5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5,\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5.0\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5\xa0\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 5\r\ncontent-length: 6\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length: 4097\r\n" END), 413 },
	{ BYTES(POST HOST "Content-Length: 18446744073709551616\r\n"), 413 },
	{ BYTES(POST HOST "Content-Length: 18446744073709551621\r\n"), 413 },
	{ BYTES(POST HOST "Content_Length: 5\r\n"), 400 },
	{ BYTES(POST HOST "Content.Length: 5\r\n"), 400 },
	{ BYTES(POST HOST "Content-Length : 5\r\n"), 400 },
	/* Transfer-Encoding */
	{ BYTES(POST HOST "Transfer-Encoding:\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: identity\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: xchunked\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: chunked,\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: ,chunked\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: \"chunked\"\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: chunked;q=1\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: gzip, chunked\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: chunked, identity\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: chunked, chunked\r\n"), 501 },
	{ BYTES(POST HOST "Transfer-Encoding: \vchunked\r\n"), 400 },
	{ BYTES(POST HOST "Transfer-Encoding : chunked\r\n"), 400 },
	{ BYTES(POST HOST "Transfer_Encoding: chunked\r\n"), 400 },
	{ BYTES(POST HOST
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
	  400 },
	{ BYTES(POST HOST
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
	  400 },
	{ BYTES(POST HOST
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
	  400 },
	{ BYTES(POST HOST
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END),
	  400 },
	{ BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END), 400 },
	/* Expect, Connection */
	{ BYTES(POST HOST "Expect: 200-ok\r\n"), 417 },
	{ BYTES(POST HOST "Expect: 100-continue, x\r\n"), 417 },
};

static void test_refused(void **state)
{
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (read_all(&request, refused[i].bytes, refused[i].len, MAX) !=
			    HTTP_REFUSED ||
		    request.status != refused[i].status || !request.problem)
			fail_msg("%zu: %s: %d, %s", i, refused[i].bytes,
				 (int)request.status, request.problem);
	}
}

/* Behind "Transfer-Encoding: chunked". */
static const struct {
	const char *bytes;
	size_t len;
} chunks_refused[] = {
	{ BYTES("\r\n") },
	{ BYTES("g\r\n") },
	{ BYTES("0x5\r\n") },
	{ BYTES("+5\r\n") },
	{ BYTES("-5\r\n") },
	{ BYTES(" 5\r\n") },
	{ BYTES("5 \r\n") },
	{ BYTES("5 ;a\r\n") },
	{ BYTES("5,\r\n") },
	{ BYTES("5\n") },
	{ BYTES("5\r") },
	{ BYTES("5\r\rhello") },
	{ BYTES("5;a\nhello\r\n") },
	{ BYTES("5;a\0\r\n") },
	{ BYTES("5\r\nhelloX\r\n") },
	{ BYTES("5\r\nhello\n") },
	{ BYTES("5\r\nhello\r\r") },
	{ BYTES("5\r\nhello0\r\n") },
	{ BYTES("00000000000000005\r\n") }, /* 17 digits */
	{ BYTES("0\r\nA\r\n") },
	{ BYTES("0\r\nA : b\r\n") },
	{ BYTES("0\r\nHost: b\r\n") },
	{ BYTES("0\r\nContent-Length: 1\r\n") },
	{ BYTES("0\r\ntransfer_encoding: chunked\r\n") },
	{ BYTES("0\r\n A: b\r\n") },
	{ BYTES("0\r\nA: b\r\n c\r\n") },
	{ BYTES("0\r\nA: b\n") },
	{ BYTES("0\r\nGET /x HTTP/1.1\r\n") },
};

static void test_chunks_refused(void **state)
{
	static const char head[] = POST HOST
		"Transfer-Encoding: chunked\r\n" END;
	struct http_request request;
	char bytes[sizeof(head) + 64];

	(void)state;
	memcpy(bytes, head, sizeof(head) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(chunks_refused); i++) {
		size_t len = chunks_refused[i].len;

		memcpy(bytes + sizeof(head) - 1, chunks_refused[i].bytes, len);
		/* "5\r" alone may still go on well. */
		bytes[sizeof(head) - 1 + len] = 'x';
		if (read_all(&request, bytes, sizeof(head) + len, MAX) !=
			    HTTP_REFUSED ||
		    request.status != HTTP_BAD_REQUEST)
			fail_msg("%zu: %s", i, chunks_refused[i].bytes);
	}
}

static const struct {
	const char *bytes;
	size_t len;
	const char *origin;
	size_t body_size;
	size_t behind; /* bytes that are none of the request */
} taken[] = {
	{ BYTES(GET HOST END), "/", 0, 0 },
	{ BYTES(GET HOST END GET HOST END), "/", 0, 27 },
	{ BYTES(GET HOST END "\n"), "/", 0, 1 },
	{ BYTES(GET "Host:\r\n" END), "/", 0, 0 },
	{ BYTES(GET "hOsT:a:80\t \r\n" END), "/", 0, 0 },
	{ BYTES(GET "Host: [fe80::a9fe:a9fe%25eth0]\r\n" END), "/", 0, 0 },
	{ BYTES("GET /a?b=c&d HTTP/1.0\r\n" END), "/a?b=c&d", 0, 0 },
	{ BYTES("GET /a/../b//c%2e\\|^ HTTP/1.1\r\n" HOST END),
	  "/a/../b//c%2e\\|^", 0, 0 },
	{ BYTES("OPTIONS * HTTP/1.1\r\n" HOST END), "*", 0, 0 },
	{ BYTES("get /x HTTP/1.1\r\n" HOST END), "/x", 0, 0 },
	{ BYTES("X-1! /x HTTP/1.1\r\n" HOST END), "/x", 0, 0 },
	{ BYTES("GET http://a/x?y HTTP/1.1\r\n" HOST END), "/x?y", 0, 0 },
	{ BYTES("GET HTTP://A HTTP/1.1\r\n" HOST END), "", 0, 0 },
	{ BYTES("GET http://a?x HTTP/1.1\r\n" HOST END), "?x", 0, 0 },
	{ BYTES("GET http://a:8/ HTTP/1.1\r\nHost: A:8\r\n" END), "/", 0, 0 },
	{ BYTES(GET HOST "A:\r\nB:  \t\r\nC:\tx\ty \r\nD: \xc3\xa4\r\n" END),
	  "/", 0, 0 },
	{ BYTES(GET HOST "X_Under: 1\r\nHost2: b\r\n" END), "/", 0, 0 },
	{ BYTES(POST HOST "Content-Length: 0\r\n" END "x"), "/", 0, 1 },
	{ BYTES(POST HOST "Content-Length: 5\r\n" END "hello"), "/", 5, 0 },
	{ BYTES(POST HOST "Content-Length: 0005\r\n" END "h\0l\nox"), "/", 5,
	  1 },
	{ BYTES("POST / HTTP/1.0\r\nContent-Length: 1\r\n" END "a"), "/", 1,
	  0 },
	{ BYTES(POST HOST "Transfer-Encoding: Chunked\r\n" END "0\r\n\r\nx"),
	  "/", 0, 1 },
	{ BYTES(POST HOST "Transfer-Encoding: chunked\r\n" END
			  "5\r\nhello\r\n00A;b=\"c\"\r\n0\r\n\r\n56789\r\n"
			  "000;x\r\nA: b\r\nContent-MD5: 9\r\n\r\n"),
	  "/", 15, 0 },
	{ BYTES(POST HOST "Expect: 100-Continue\r\n" END), "/", 0, 0 },
	{ BYTES(GET HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n" END), "/", 0,
	  0 },
};

static void test_taken(void **state)
{
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		const char *origin = taken[i].origin;

		if (read_all(&request, taken[i].bytes, taken[i].len, MAX) !=
		    HTTP_WHOLE)
			fail_msg("%zu: %s: %s", i, taken[i].bytes,
				 request.problem);
		assert_int_equal(request.body_size, taken[i].body_size);
		assert_int_equal(request.line_at,
				 taken[i].len - taken[i].behind);
		assert_int_equal(request.origin.len, strlen(origin));
		assert_memory_equal(taken[i].bytes + request.origin.at, origin,
				    strlen(origin));
	}
}

/* What is not whole waits for more, at each byte. */
static void test_more(void **state)
{
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		size_t len = taken[i].len - taken[i].behind;

		for (size_t n = 0; n < len; n++) {
			memset(&request, 0, sizeof(request));
			assert_int_equal(http_read(&request, taken[i].bytes, n,
						   MAX),
					 HTTP_MORE);
		}
	}
}

static void test_fields(void **state)
{
	static const char bytes[] = GET HOST "Empty:\r\nX-A:\t b c \r\n" END;
	static const char *const expected[][2] = { { "Host", "a" },
						   { "Empty", "" },
						   { "X-A", "b c" } };
	struct http_request request;

	(void)state;
	assert_int_equal(read_all(&request, BYTES(bytes), MAX), HTTP_WHOLE);
	assert_int_equal(request.n_fields, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct http_field *field = &request.fields[i];

		assert_int_equal(field->name.len, strlen(expected[i][0]));
		assert_memory_equal(bytes + field->name.at, expected[i][0],
				    field->name.len);
		assert_int_equal(field->value.len, strlen(expected[i][1]));
		assert_memory_equal(bytes + field->value.at, expected[i][1],
				    field->value.len);
	}
	assert_true(http_request_is(&request, bytes, "GET"));
	assert_false(http_request_is(&request, bytes, "get"));
	assert_false(http_request_is(&request, bytes, "GE"));
}

/* A request of exactly as many bytes is taken; with one less it is too large,
 * which is known as soon as it can be. */
static void test_size(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		size_t head; /* refused when this is there; 0: at the end */
		enum http_status status;
	} table[] = {
		{ BYTES(GET HOST END), 0, 431 },
		{ BYTES(POST HOST "Content-Length: 5\r\n" END "hello"), 49,
		  413 },
		{ BYTES(POST HOST "Transfer-Encoding: chunked\r\n" END
				  "5\r\nhello\r\n0\r\n\r\n"),
		  0, 413 },
		{ BYTES("GET /0123456789"), 0, 414 },
	};
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t len = table[i].len, head = table[i].head;

		assert_int_equal(
			read_all(&request, table[i].bytes, len,
				 table[i].status == 414 ? len + 1 : len),
			table[i].status == 414 ? HTTP_MORE : HTTP_WHOLE);
		assert_int_equal(read_all(&request, table[i].bytes,
					  head ? head : len, len - 1),
				 HTTP_REFUSED);
		assert_int_equal(request.status, table[i].status);
	}
	/* A chunk that cannot fit is refused when its size is there. */
	assert_int_equal(read_all(&request,
				  BYTES(POST HOST
					"Transfer-Encoding: chunked\r\n" END
					"1000\r\n"),
				  MAX),
			 HTTP_REFUSED);
	assert_int_equal(request.status, HTTP_CONTENT_TOO_LARGE);
	assert_int_equal(read_all(&request,
				  BYTES(POST HOST
					"Transfer-Encoding: chunked\r\n" END
					"ffffffffffffffff\r\n"),
				  MAX),
			 HTTP_REFUSED);
	assert_int_equal(request.status, HTTP_CONTENT_TOO_LARGE);
}

/* @n times @line behind a request's beginning. */
static enum http_verdict read_many(struct http_request *request,
				   const char *begin, const char *line,
				   size_t n)
{
	char *bytes = malloc(strlen(begin) + n * strlen(line) + 3), *at;
	enum http_verdict verdict;

	at = stpcpy(bytes, begin);
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, line);
	at = stpcpy(at, "\r\n");
	verdict = read_all(request, bytes, (size_t)(at - bytes), MAX);
	free(bytes);
	return verdict;
}

static void test_counts(void **state)
{
	static const char chunked[] = POST HOST
		"Transfer-Encoding: chunked\r\n" END "0\r\n";
	struct http_request request;

	(void)state;
	assert_int_equal(read_many(&request, GET HOST, "A: b\r\n", 99),
			 HTTP_WHOLE);
	assert_int_equal(read_many(&request, GET HOST, "A: b\r\n", 100),
			 HTTP_REFUSED);
	assert_int_equal(request.status, HTTP_FIELDS_TOO_LARGE);
	assert_int_equal(read_many(&request, chunked, "A: b\r\n", 100),
			 HTTP_WHOLE);
	assert_int_equal(read_many(&request, chunked, "A: b\r\n", 101),
			 HTTP_REFUSED);
	assert_int_equal(request.status, HTTP_FIELDS_TOO_LARGE);
	assert_int_equal(read_many(&request, GET HOST, "Connection: a, b\r\n",
				   50),
			 HTTP_WHOLE);
	assert_int_equal(read_many(&request, GET HOST, "Connection: a, b\r\n",
				   51),
			 HTTP_REFUSED);
	assert_int_equal(request.status, HTTP_FIELDS_TOO_LARGE);
}

static void test_continue(void **state)
{
	static const struct {
		const char *bytes;
		size_t body;
		bool wants;
	} table[] = {
		{ POST HOST "Expect: 100-continue\r\nContent-Length: 2\r\n" END
			    "ab",
		  2, true },
		{ POST HOST "Expect: 100-continue\r\n"
			    "Transfer-Encoding: chunked\r\n" END "0\r\n\r\n",
		  5, true },
		{ "POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
		  "Content-Length: 2\r\n" END "ab",
		  2, false },
		{ POST HOST "Content-Length: 2\r\n" END "ab", 2, false },
		{ POST HOST "Expect: 100-continue\r\n" END, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct http_request request = { 0 };
		size_t len = strlen(table[i].bytes);

		for (size_t n = 0; n <= len; n++) {
			(void)http_read(&request, table[i].bytes, n, MAX);
			assert_int_equal(
				http_request_wants_continue(&request, n),
				table[i].wants && n == len - table[i].body);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_chunks_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_continue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
