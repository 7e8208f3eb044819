// SPDX-License-Identifier: Apache-2.0
/* test_udp_address.c - control messages to keys, and back; whose address a
 * backend may see */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "common/util.h"
#include "relay/udp/udp_address.h"
#include "relay/udp/udp_session.h"

#define IFINDEX 7

struct received {
	union udp_address from;
	struct msghdr header;
	union udp_control control;
};

static void received_init(struct received *received, uint16_t family)
{
	memset(received, 0, sizeof(*received));
	received->from.any.sa_family = family;
	received->from.in.sin_port = htons(4000);
	received->header.msg_name = &received->from;
	received->header.msg_control = &received->control;
}

/* @lost: so many bytes had no room, as the kernel cuts it */
static void add(struct received *received, int level, int type,
		const void *data, size_t size, size_t lost)
{
	size_t len = received->header.msg_controllen;
	struct cmsghdr header = {
		.cmsg_len = CMSG_LEN(size) - lost,
		.cmsg_level = level,
		.cmsg_type = type,
	};

	memcpy(received->control.bytes + len, &header, sizeof(header));
	memcpy(received->control.bytes + len + sizeof(header), data,
	       size - lost);
	received->header.msg_controllen =
		len + (lost ? header.cmsg_len : CMSG_SPACE(size));
}

static void add4(struct received *received, const char *address, size_t lost)
{
	struct in_pktinfo info = { .ipi_ifindex = IFINDEX };

	assert_int_equal(inet_pton(AF_INET, address, &info.ipi_spec_dst), 1);
	add(received, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info), lost);
}

static void add6(struct received *received, const char *address, size_t lost)
{
	struct in6_pktinfo info = { .ipi6_ifindex = IFINDEX };

	assert_int_equal(inet_pton(AF_INET6, address, &info.ipi6_addr), 1);
	add(received, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info), lost);
}

static const struct {
	uint16_t family;
	const char *info6, *info4; /* in this order, as the kernel does */
	size_t lost; /* of the last one */
	const char *local; /* NULL: not known */
	uint32_t ifindex;
} cases[] = {
	{ AF_INET, NULL, "192.0.2.1", 0, "192.0.2.1", 0 },
	{ AF_INET, NULL, NULL, 0, NULL, 0 },
	{ AF_INET, NULL, "192.0.2.1", 1, NULL, 0 },
	{ AF_INET, "2001:db8::1", NULL, 0, NULL, 0 },
	{ AF_INET6, "2001:db8::1", NULL, 0, "2001:db8::1", 0 },
	{ AF_INET6, "fe80::1", NULL, 0, "fe80::1", IFINDEX },
	{ AF_INET6, "ff02::1", NULL, 0, NULL, 0 },
	{ AF_INET6, "fe80::1", NULL, 4, NULL, 0 },
	{ AF_INET6, "::ffff:192.0.2.9", "192.0.2.1", 0, "::ffff:192.0.2.1", 0 },
	{ AF_INET6, "::ffff:192.0.2.9", "192.0.2.1", 5, "::ffff:192.0.2.9", 0 },
	{ AF_INET6, "fe80::1", "192.0.2.1", 0, "::ffff:192.0.2.1", 0 },
};

static void test_local_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t last4 = cases[i].info4 ? cases[i].lost : 0;
		size_t last6 = cases[i].info4 ? 0 : cases[i].lost;
		uint8_t local[16] = { 0 };
		struct received received;
		struct udp_key key;
		uint32_t overflow = 5;

		received_init(&received, cases[i].family);
		if (cases[i].info6)
			add6(&received, cases[i].info6, last6);
		if (cases[i].info4)
			add4(&received, cases[i].info4, last4);
		udp_key_received(&key, cases[i].family, &received.header,
				 &overflow);
		if (cases[i].local)
			assert_int_equal(inet_pton(cases[i].family,
						   cases[i].local, local),
					 1);
		assert_memory_equal(key.local, local, sizeof(local));
		assert_int_equal(key.ifindex, cases[i].ifindex);
		assert_int_equal(key.family, cases[i].family);
		assert_int_equal(key.port, htons(4000));
		assert_int_equal(overflow, 5);
	}
}

/* What is sent from there would be received with the same key. */
static void test_the_way_back(void **state)
{
	static const struct {
		uint16_t family;
		const char *local;
	} back[] = {
		{ AF_INET, "192.0.2.1" },
		{ AF_INET6, "2001:db8::1" },
		{ AF_INET6, "fe80::1" },
		{ AF_INET6, "::ffff:192.0.2.1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(back); i++) {
		struct received received, sent;
		struct udp_key key, again;
		uint32_t overflow = 0;

		received_init(&received, back[i].family);
		if (back[i].family == AF_INET6)
			add6(&received, back[i].local, 0);
		else
			add4(&received, back[i].local, 0);
		udp_key_received(&key, back[i].family, &received.header,
				 &overflow);
		received_init(&sent, back[i].family);
		sent.header.msg_namelen = udp_key_client(&key, &sent.from);
		sent.header.msg_controllen =
			udp_key_source(&key, &sent.control);
		assert_int_not_equal(sent.header.msg_controllen, 0);
		udp_key_received(&again, back[i].family, &sent.header,
				 &overflow);
		assert_memory_equal(&key, &again, sizeof(key));
	}
}

static void test_overflow(void **state)
{
	const uint32_t dropped = 77;
	struct received received;
	struct udp_key key;
	uint32_t overflow = 5;

	(void)state;
	received_init(&received, AF_INET);
	add(&received, SOL_SOCKET, SO_RXQ_OVFL, &dropped, sizeof(dropped), 2);
	udp_key_received(&key, AF_INET, &received.header, &overflow);
	assert_int_equal(overflow, 5);
	received_init(&received, AF_INET);
	add(&received, SOL_SOCKET, SO_RXQ_OVFL, &dropped, sizeof(dropped), 0);
	add4(&received, "192.0.2.1", 0);
	udp_key_received(&key, AF_INET, &received.header, &overflow);
	assert_int_equal(overflow, 77);
	assert_int_equal(key.local[0], 192);
}

/* As the listening socket of @family has it: IPv4 clients of a dual-stack one
 * are v4-mapped. */
static struct udp_key key_of(int family, const char *client, uint16_t port)
{
	struct udp_key key = { .family = (uint16_t)family,
			       .port = htons(port),
			       .scope_id = 3 };

	assert_int_equal(inet_pton(family, client, key.client), 1);
	return key;
}

static void test_stand_in(void **state)
{
	static const struct {
		int key_family;
		const char *client;
		const char *address; /* what the backend sees */
	} clients[] = {
		{ AF_INET, "10.0.0.7", "10.0.0.7" },
		{ AF_INET6, "::ffff:10.0.0.7", "10.0.0.7" },
		{ AF_INET6, "2001:db8::7", "2001:db8::7" },
		{ AF_INET6, "::2", "::2" },
	};
	struct ip_addr client;
	char text[IP_TEXT_MAX];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		bool six = strchr(clients[i].address, ':');
		struct udp_key key =
			key_of(clients[i].key_family, clients[i].client, 123);

		assert_int_equal(udp_key_stand_in(&key,
						  six ? AF_INET6 : AF_INET,
						  &client, &port),
				 0);
		assert_int_equal(port, 123);
		assert_string_equal(ip_addr_fmt(&client, text),
				    clients[i].address);
		assert_int_equal(udp_key_stand_in(&key,
						  six ? AF_INET : AF_INET6,
						  &client, &port),
				 -EAFNOSUPPORT);
	}
}

static void test_nobody(void **state)
{
	static const struct {
		int key_family;
		int family;
		const char *client;
		uint16_t port;
	} clients[] = {
		{ AF_INET, AF_INET, "127.0.0.1", 1 },
		{ AF_INET, AF_INET, "127.255.255.255", 1 },
		{ AF_INET, AF_INET, "0.0.0.0", 1 }, /* would be: any */
		{ AF_INET, AF_INET, "0.1.2.3", 1 },
		{ AF_INET, AF_INET, "10.0.0.7", 0 },
		{ AF_INET6, AF_INET, "::ffff:127.0.0.1", 1 },
		{ AF_INET6, AF_INET, "::ffff:0.0.0.0", 1 },
		{ AF_INET6, AF_INET6, "::", 1 },
		{ AF_INET6, AF_INET6, "::1", 1 },
		{ AF_INET6, AF_INET6, "fe80::1", 1 },
		{ AF_INET6, AF_INET6, "2001:db8::7", 0 },
	};
	struct ip_addr client = { .family = AF_UNSPEC };
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		struct udp_key key = key_of(clients[i].key_family,
					    clients[i].client, clients[i].port);

		assert_int_equal(udp_key_stand_in(&key, clients[i].family,
						  &client, &port),
				 -EADDRNOTAVAIL);
		assert_int_equal(client.family, AF_UNSPEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local_address),
		cmocka_unit_test(test_the_way_back),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_stand_in),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
