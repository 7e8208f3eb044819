// SPDX-License-Identifier: Apache-2.0
/* test_provide_verdict.c - what is observed, compared with what is wanted */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "binder/provide_verdict.h"
#include "binder/provide_visit.h"
#include "common/util.h"

static struct netns_interface interfaces[] = {
	{ 1, "lo", false },
	{ 7, "eth0", true },
};

static struct netns_address address_of(uint32_t ifindex, const char *text,
				       uint8_t bits, uint8_t proto)
{
	struct netns_address address = {
		.ifindex = ifindex,
		.prefix_bits = bits,
		.proto = proto,
	};

	assert_int_equal(ip_addr_parse(text, &address.addr), 0);
	return address;
}

static const struct {
	const char *ifname, *addr;
	uint8_t bits;
	uint32_t ifindex;
	enum provide_verdict verdict;
	uint32_t found;
} cases[] = {
	{ "lo", "192.0.2.1", 32, 0, PROVIDE_MARKED, 1 },
	{ "lo", "192.0.2.2", 32, 0, PROVIDE_PRESENT, 1 },
	{ "lo", "192.0.2.3", 32, 0, PROVIDE_ABSENT, 1 },
	{ "eth0", "192.0.2.1", 32, 0, PROVIDE_ABSENT, 7 },
	{ "eth0", "192.0.2.1", 32, 1, PROVIDE_MARKED, 1 }, /* renamed */
	{ "eth1", "192.0.2.1", 32, 0, PROVIDE_NO_INTERFACE, 0 },
	{ "lo", "192.0.2.1", 32, 9, PROVIDE_NO_INTERFACE, 0 },
	{ "lo", "192.0.2.1", 24, 0, PROVIDE_MARKED_OTHER_LENGTH, 1 },
	{ "lo", "192.0.2.2", 24, 0, PROVIDE_OTHER_LENGTH, 1 },
	/* It has the address from both: it is there without berth. */
	{ "eth0", "2001:db8::1", 64, 0, PROVIDE_OTHER_LENGTH, 7 },
	{ "eth0", "2001:db8::1", 128, 0, PROVIDE_MARKED, 7 },
};

static void test_addresses(void **state)
{
	struct netns_address addresses[] = {
		address_of(1, "192.0.2.1", 32, PROVIDE_MARK),
		address_of(1, "192.0.2.2", 32, 0),
		address_of(7, "2001:db8::1", 128, PROVIDE_MARK),
		address_of(7, "2001:db8::1", 127, PROVIDE_MARK + 1),
	};
	struct netns netns = {
		.addresses_known = true,
		.observed = true,
		.interfaces = interfaces,
		.n_interfaces = ARRAY_SIZE(interfaces),
		.addresses = addresses,
		.n_addresses = ARRAY_SIZE(addresses),
	};
	uint32_t ifindex;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct provision wanted = {
			.kind = PROVISION_ADDRESS,
			.prefix_bits = cases[i].bits,
		};

		(void)snprintf(wanted.ifname, sizeof(wanted.ifname), "%s",
			       cases[i].ifname);
		assert_int_equal(ip_addr_parse(cases[i].addr, &wanted.addr), 0);
		netns.observed = false;
		assert_int_equal(provide_judge(&netns, &wanted,
					       cases[i].ifindex, &ifindex),
				 PROVIDE_UNKNOWN);
		netns.observed = true;
		assert_int_equal(provide_judge(&netns, &wanted,
					       cases[i].ifindex, &ifindex),
				 cases[i].verdict);
		assert_int_equal(ifindex, cases[i].found);
	}
}

static void test_loopback(void **state)
{
	const struct provision wanted = {
		.kind = PROVISION_LOOPBACK,
		.ifname = PROVISION_LOOPBACK_NAME,
	};
	struct netns netns = {
		.addresses_known = true,
		.observed = true,
		.interfaces = interfaces,
		.n_interfaces = ARRAY_SIZE(interfaces),
	};
	uint32_t ifindex;

	(void)state;
	for (int up = 0; up < 2; up++) {
		interfaces[0].up = up;
		assert_int_equal(provide_judge(&netns, &wanted, 0, &ifindex),
				 up ? PROVIDE_PRESENT : PROVIDE_ABSENT);
		assert_int_equal(ifindex, 1);
	}
}

/* The caller's own namespace is never changed. */
static void test_no_namespace(void **state)
{
	struct provide_request request = {
		.change = PROVIDE_SET_UP,
		.ifindex = 1,
	};

	(void)state;
	assert_int_equal(provide_visit(-1, &request, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_no_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
