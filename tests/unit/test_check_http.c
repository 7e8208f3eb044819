// SPDX-License-Identifier: Apache-2.0
/* test_check_http.c - what a check says by HTTP, and the status of the answer
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/check_http.h"

#define REST                          \
	"User-Agent: berth-relay\r\n" \
	"Accept: */*\r\n"             \
	"Connection: close\r\n\r\n"

static struct sockaddr_storage address(const char *text, uint16_t port)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	struct ip_addr addr;

	if (ip_addr_parse(text, &addr) == 0)
		(void)ip_addr_to_sockaddr(&addr, port, 0, &sa);
	return sa;
}

static void test_request(void **state)
{
	static char example[] = "a.example";
	static const struct {
		const char *to;
		uint16_t port;
		char *host;
		const char *said;
	} cases[] = {
		{ "10.0.0.1", 8080, NULL, "Host: 10.0.0.1:8080\r\n" },
		{ "10.0.0.1", 80, NULL, "Host: 10.0.0.1\r\n" },
		{ "fd00::1", 8080, NULL, "Host: [fd00::1]:8080\r\n" },
		{ "fd00::1", 80, NULL, "Host: [fd00::1]\r\n" },
		{ "unix", 0, NULL, "Host: localhost\r\n" },
		{ "10.0.0.1", 8080, example, "Host: a.example\r\n" },
	};
	char said[CHECK_HTTP_REQUEST_MAX], expected[CHECK_HTTP_REQUEST_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct sockaddr_storage to =
			address(cases[i].to, cases[i].port);
		const struct service_check check = {
			.http_path = (char[]){ "/healthz?a" },
			.http_host = cases[i].host,
		};
		size_t len = check_http_request(&check, SERVICE_PROXY_NONE, &to,
						said);

		(void)snprintf(expected, sizeof(expected),
			       "GET /healthz?a HTTP/1.1\r\n%s" REST,
			       cases[i].said);
		assert_int_equal(len, strlen(expected));
		assert_string_equal(said, expected);
	}
}

/* The longest texts, and the longest header. */
static void test_room(void **state)
{
	const struct sockaddr_storage to = address("unix", 0);
	char path[SERVICE_CHECK_TEXT_MAX + 1], host[SERVICE_CHECK_TEXT_MAX + 1];
	const struct service_check check = { .http_path = path,
					     .http_host = host };
	char said[CHECK_HTTP_REQUEST_MAX];
	size_t len;

	(void)state;
	memset(path, '/', sizeof(path) - 1);
	memset(host, 'a', sizeof(host) - 1);
	path[sizeof(path) - 1] = host[sizeof(host) - 1] = '\0';
	len = check_http_request(&check, SERVICE_PROXY_V2_CRC32C, &to, said);
	assert_true(len < sizeof(said));
	assert_memory_equal(said + len - 4, "\r\n\r\n", 4);
}

static void test_proxy_headers(void **state)
{
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0";
	const struct sockaddr_storage to = address("10.0.0.1", 80);
	const struct service_check check = { .http_path = (char[]){ "/" } };
	char said[CHECK_HTTP_REQUEST_MAX];
	uint8_t header[23];
	uint32_t crc;

	(void)state;
	(void)check_http_request(&check, SERVICE_PROXY_V1, &to, said);
	assert_memory_equal(said, "PROXY UNKNOWN\r\nGET / ", 21);
	(void)check_http_request(&check, SERVICE_PROXY_V2, &to, said);
	assert_memory_equal(said, v2, 15);
	assert_memory_equal(said + 15, "\0GET / ", 7);
	(void)check_http_request(&check, SERVICE_PROXY_V2_CRC32C, &to, said);
	assert_memory_equal(said, v2, 15);
	assert_memory_equal(said + 15, "\7\3\0\4", 4);
	assert_memory_equal(said + 23, "GET / ", 6);
	memcpy(header, said, sizeof(header));
	memcpy(&crc, header + 19, sizeof(crc));
	memset(header + 19, 0, sizeof(crc));
	assert_int_equal(ntohl(crc),
			 proxy_header_crc32c(header, sizeof(header)));
}

static void test_answer(void **state)
{
	static const struct {
		const char *answer;
		enum check_http_verdict verdict;
		unsigned int status;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\n", CHECK_HTTP_STATUS, 200 },
		{ "HTTP/1.0 204 \r\n", CHECK_HTTP_STATUS, 204 },
		{ "HTTP/1.1 503\r\n", CHECK_HTTP_STATUS, 503 },
		{ "HTTP/1.1 599 x", CHECK_HTTP_STATUS, 599 },
		{ "HTTP/1.1 101 Switching", CHECK_HTTP_STATUS, 101 },
		{ "HTTP/1.1 200", CHECK_HTTP_MORE, 0 },
		{ "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
		  "HTTP/1.1 100\r\n\r\nHTTP/1.1 404 Not",
		  CHECK_HTTP_STATUS, 404 },
		/* Only the empty line ends an interim answer. */
		{ "HTTP/1.1 103 \r\r\n\n\r\n\n\rHTTP/1.1 404 ", CHECK_HTTP_MORE,
		  0 },
		{ "HTTP/1.1 103 x\r\r\n\r\r\n\r\nHTTP/1.1 200 ",
		  CHECK_HTTP_STATUS, 200 },
		{ "HTTP/1.1 099 x\r\n", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/1.1 600 x\r\n", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/1.1 2000 x\r\n", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/1.1 20 x\r\n", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/1.1 200\n", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/1.1  200 x", CHECK_HTTP_BROKEN, 0 },
		{ "HTTP/2.0 200 x", CHECK_HTTP_BROKEN, 0 },
		{ "http/1.1 200 x", CHECK_HTTP_BROKEN, 0 },
		{ "\r\nHTTP/1.1 200 x", CHECK_HTTP_BROKEN, 0 },
		{ "SSH-2.0-OpenSSH", CHECK_HTTP_BROKEN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *answer = cases[i].answer;
		struct check_http whole = { 0 }, slow = { 0 };
		enum check_http_verdict verdict = CHECK_HTTP_MORE;

		assert_int_equal(check_http_read(&whole, answer,
						 strlen(answer)),
				 cases[i].verdict);
		if (cases[i].verdict == CHECK_HTTP_STATUS)
			assert_int_equal(whole.status, cases[i].status);
		for (; *answer && verdict == CHECK_HTTP_MORE; answer++)
			verdict = check_http_read(&slow, answer, 1);
		assert_int_equal(verdict, cases[i].verdict);
		assert_int_equal(slow.status, whole.status);
	}
}

/* A backend that never comes to the end is not read for ever. */
static void test_interim_bound(void **state)
{
	static const char interim[] = "HTTP/1.1 102 x\r\n\r\n";
	struct check_http http = { 0 };
	enum check_http_verdict verdict = CHECK_HTTP_MORE;
	size_t n = 0;

	(void)state;
	for (; verdict == CHECK_HTTP_MORE && n < CHECK_HTTP_INTERIM_MAX; n++)
		verdict = check_http_read(&http, interim, strlen(interim));
	assert_int_equal(verdict, CHECK_HTTP_BROKEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_proxy_headers),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_interim_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
