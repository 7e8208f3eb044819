// SPDX-License-Identifier: Apache-2.0
/* test_proxy_header.c - the PROXY protocol's header, byte by byte */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"
#include "common/service.h"
#include "relay/backend/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* A text with zero bytes in it, and how long it is. */
#define BYTES(text) text, sizeof(text) - 1

static const struct sockaddr *address(struct sockaddr_storage *storage,
				      const char *text, uint16_t port)
{
	struct ip_addr addr;

	if (!text)
		return NULL;
	if (text[0] == '/') {
		storage->ss_family = AF_UNIX;
		return (struct sockaddr *)storage;
	}
	assert_int_equal(ip_addr_parse(text, &addr), 0);
	(void)ip_addr_to_sockaddr(&addr, port, 0, storage);
	return (struct sockaddr *)storage;
}

static void test_v1(void **state)
{
	static const struct {
		const char *src;
		uint16_t src_port;
		const char *dst;
		uint16_t dst_port;
		int transport;
		const char *expected;
	} cases[] = {
		{ "192.168.0.1", 56324, "192.168.0.11", 443, SOCK_STREAM,
		  "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n" },
		{ "255.255.255.255", 65535, "255.255.255.255", 65535,
		  SOCK_STREAM,
		  "PROXY TCP4 255.255.255.255 255.255.255.255 65535 "
		  "65535\r\n" },
		{ "fd00::1", 1, "2001:db8::2", 80, SOCK_STREAM,
		  "PROXY TCP6 fd00::1 2001:db8::2 1 80\r\n" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, SOCK_STREAM,
		  "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n" },
		/* a dual-stack socket's view of IPv4 */
		{ "::ffff:10.0.0.1", 5, "::ffff:10.0.0.2", 6, SOCK_STREAM,
		  "PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n" },
		{ "::ffff:10.0.0.1", 5, "10.0.0.2", 6, SOCK_STREAM,
		  "PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n" },
		/* of two families */
		{ "10.0.0.1", 5, "fd00::1", 6, SOCK_STREAM,
		  "PROXY TCP6 0:0:0:0:0:ffff:a00:1 fd00::1 5 6\r\n" },
		/* inet_ntop(3) would write ::1.2.3.4 */
		{ "::102:304", 5, "fd00::1", 6, SOCK_STREAM,
		  "PROXY TCP6 0:0:0:0:0:0:102:304 fd00::1 5 6\r\n" },
		/* version 1 knows TCP only */
		{ "10.0.0.1", 5, "10.0.0.2", 6, SOCK_DGRAM,
		  "PROXY UNKNOWN\r\n" },
		{ "/", 0, "10.0.0.2", 6, SOCK_STREAM, "PROXY UNKNOWN\r\n" },
		{ "10.0.0.1", 5, NULL, 0, SOCK_STREAM, "PROXY UNKNOWN\r\n" },
	};
	struct sockaddr_storage src, dst;
	uint8_t buffer[PROXY_HEADER_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct proxy_info info = {
			.transport = cases[i].transport,
			.src = address(&src, cases[i].src, cases[i].src_port),
			.dst = address(&dst, cases[i].dst, cases[i].dst_port),
			.netns = "not told",
			.crc32c = true,
		};

		len = proxy_header_v1(&info, buffer, sizeof(buffer));
		assert_int_equal(len, strlen(cases[i].expected));
		assert_memory_equal(buffer, cases[i].expected, len);
	}
}

static void test_v2(void **state)
{
	static const struct {
		const char *src;
		const char *dst;
		int transport;
		const char *netns;
		bool crc32c;
		const char *expected;
		size_t expected_len;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.2", SOCK_STREAM, NULL, false,
		  BYTES(SIGNATURE "\x21\x11\x00\x0c"
				  "\x0a\x00\x00\x01\x0a\x00\x00\x02"
				  "\x12\x34\x00\x50") },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.2", SOCK_DGRAM, NULL, false,
		  BYTES(SIGNATURE "\x21\x12\x00\x0c"
				  "\x0a\x00\x00\x01\x0a\x00\x00\x02"
				  "\x12\x34\x00\x50") },
		{ "fd00::1", "fd00::2", SOCK_STREAM, NULL, false,
		  BYTES(SIGNATURE
			"\x21\x21\x00\x24"
			"\xfd\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\x00\x00\x00\x00\x00\x01"
			"\xfd\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\x00\x00\x00\x00\x00\x02\x12\x34\x00\x50") },
		{ "fd00::1", "fd00::2", SOCK_DGRAM, "n", false,
		  BYTES(SIGNATURE
			"\x21\x22\x00\x28"
			"\xfd\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\x00\x00\x00\x00\x00\x01"
			"\xfd\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\x00\x00\x00\x00\x00\x02\x12\x34\x00\x50"
			"\x30\x00\x01n") },
		{ "10.0.0.1", "fd00::2", SOCK_STREAM, NULL, false,
		  BYTES(SIGNATURE
			"\x21\x21\x00\x24"
			"\x00\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\xff\xff\x0a\x00\x00\x01"
			"\xfd\x00\x00\x00\x00\x00\x00\x00"
			"\x00\x00\x00\x00\x00\x00\x00\x02\x12\x34\x00\x50") },
		{ "10.0.0.1", "10.0.0.2", SOCK_STREAM, "blue", true,
		  BYTES(SIGNATURE "\x21\x11\x00\x1a"
				  "\x0a\x00\x00\x01\x0a\x00\x00\x02"
				  "\x12\x34\x00\x50"
				  "\x30\x00\x04"
				  "blue"
				  "\x03\x00\x04\xf0\xf5\x51\xd6") },
		{ "/", "10.0.0.2", SOCK_STREAM, "blue", false,
		  BYTES(SIGNATURE "\x21\x00\x00\x07\x30\x00\x04"
				  "blue") },
		{ NULL, NULL, SOCK_STREAM, NULL, false,
		  BYTES(SIGNATURE "\x21\x00\x00\x00") },
	};
	struct sockaddr_storage src, dst;
	uint8_t buffer[PROXY_HEADER_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct proxy_info info = {
			.transport = cases[i].transport,
			.src = address(&src, cases[i].src, 0x1234),
			.dst = address(&dst, cases[i].dst, 80),
			.netns = cases[i].netns,
			.crc32c = cases[i].crc32c,
		};

		len = proxy_header_v2(&info, buffer, sizeof(buffer));
		assert_int_equal(len, cases[i].expected_len);
		assert_memory_equal(buffer, cases[i].expected, len);
	}
}

/* The receiver's part: zero the field, sum up, compare. */
static void test_checksum_can_be_verified(void **state)
{
	struct sockaddr_storage src, dst;
	const struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = address(&src, "fd00::1", 1),
		.dst = address(&dst, "fd00::2", 2),
		.netns = "blue",
		.crc32c = true,
	};
	uint8_t buffer[PROXY_HEADER_MAX];
	uint32_t crc;
	size_t len;

	(void)state;
	len = proxy_header_v2(&info, buffer, sizeof(buffer));
	crc = (uint32_t)buffer[len - 4] << 24 | buffer[len - 3] << 16 |
	      buffer[len - 2] << 8 | buffer[len - 1];
	memset(buffer + len - 4, 0, 4);
	assert_int_equal(crc, proxy_header_crc32c(buffer, len));
}

/* The check value of the CRC catalogue, and the vectors of RFC 3720, B.4. */
static void test_crc32c(void **state)
{
	uint8_t zeros[32] = { 0 }, ones[32], rising[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (size_t i = 0; i < sizeof(rising); i++)
		rising[i] = (uint8_t)i;
	assert_int_equal(proxy_header_crc32c((const uint8_t *)"123456789", 9),
			 0xe3069283);
	assert_int_equal(proxy_header_crc32c(zeros, sizeof(zeros)), 0x8a9136aa);
	assert_int_equal(proxy_header_crc32c(ones, sizeof(ones)), 0x62a8ab43);
	assert_int_equal(proxy_header_crc32c(rising, sizeof(rising)),
			 0x46dd794e);
	assert_int_equal(proxy_header_crc32c(NULL, 0), 0);
}

static void test_too_small(void **state)
{
	struct sockaddr_storage src, dst;
	const struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = address(&src, "10.0.0.1", 1),
		.dst = address(&dst, "10.0.0.2", 2),
		.netns = "blue",
		.crc32c = true,
	};
	uint8_t buffer[PROXY_HEADER_MAX];
	size_t v1 = proxy_header_v1(&info, buffer, sizeof(buffer));
	size_t v2 = proxy_header_v2(&info, buffer, sizeof(buffer));

	(void)state;
	assert_int_equal(proxy_header_v1(&info, buffer, v1), v1);
	assert_int_equal(proxy_header_v2(&info, buffer, v2), v2);
	memset(buffer, 'x', sizeof(buffer));
	assert_int_equal(proxy_header_v1(&info, buffer, v1 - 1), 0);
	assert_int_equal(proxy_header_v2(&info, buffer, v2 - 1), 0);
	assert_int_equal(proxy_header_v1(&info, buffer, 0), 0);
	for (size_t i = 0; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], 'x');
}

/* What the header file promises: any file's name fits, with all the rest. */
static void test_longest(void **state)
{
	struct sockaddr_storage src, dst;
	char netns[256], value[SERVICE_TLVS_BYTES_MAX];
	const struct service_tlv tlvs[] = { { 0xe0, value }, { 0xef, value } };
	struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = address(&src, "fd00::1", 1),
		.dst = address(&dst, "fd00::2", 2),
		.netns = netns,
		.crc32c = true,
	};
	uint8_t buffer[PROXY_HEADER_MAX];

	(void)state;
	memset(netns, 'n', sizeof(netns) - 1);
	netns[sizeof(netns) - 1] = '\0';
	assert_int_equal(proxy_header_v2(&info, buffer, sizeof(buffer)),
			 16 + 36 + 3 + 255 + 3 + 4);
	memset(value, 'v', sizeof(value));
	value[(SERVICE_TLVS_BYTES_MAX - 6) / 2] = '\0';
	info.tlvs = tlvs;
	info.n_tlvs = ARRAY_SIZE(tlvs);
	assert_int_equal(proxy_header_v2(&info, buffer, sizeof(buffer)),
			 16 + 36 + 3 + 255 + 3 + 4 + SERVICE_TLVS_BYTES_MAX);
}

/* Behind the name, before the checksum, in their order; a value may be empty.
 * v1 has no place for them. */
static void test_tlvs(void **state)
{
	static const char expected[] = SIGNATURE "\x21\x11\x00\x25"
						 "\x0a\x00\x00\x01"
						 "\x0a\x00\x00\x02"
						 "\x12\x34\x00\x50"
						 "\x30\x00\x04"
						 "blue"
						 "\xe1\x00\x05web-1"
						 "\xe0\x00\x00"
						 "\x03\x00\x04";
	const struct service_tlv tlvs[] = { { 0xe1, (char *)"web-1" },
					    { 0xe0, (char *)"" } };
	struct sockaddr_storage src, dst;
	struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = address(&src, "10.0.0.1", 0x1234),
		.dst = address(&dst, "10.0.0.2", 80),
		.netns = "blue",
		.tlvs = tlvs,
		.n_tlvs = ARRAY_SIZE(tlvs),
		.crc32c = true,
	};
	uint8_t buffer[PROXY_HEADER_MAX];
	size_t len = proxy_header_v2(&info, buffer, sizeof(buffer));
	uint8_t v1[PROXY_HEADER_MAX];
	size_t v1_len = proxy_header_v1(&info, v1, sizeof(v1));

	(void)state;
	assert_int_equal(len, sizeof(expected) - 1 + 4);
	assert_memory_equal(buffer, expected, sizeof(expected) - 1);
	info.n_tlvs = 0;
	assert_int_equal(proxy_header_v1(&info, buffer, sizeof(buffer)),
			 v1_len);
	assert_memory_equal(buffer, v1, v1_len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_checksum_can_be_verified),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_tlvs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
