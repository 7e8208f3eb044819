// SPDX-License-Identifier: Apache-2.0
/* test_observed.c - interfaces and addresses of one namespace, as told */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "common/util.h"
#include "watcher/observed.h"

#define MAX 4

enum what { LINK, LINK_GONE, ADDRESS, ADDRESS_GONE };

/* One message; text is a name or an address. */
struct message {
	enum what what;
	uint32_t ifindex;
	const char *text;
	uint32_t flags;
	unsigned int result;
	const char *after; /* "1:lo 2:eth0 | 1 10.0.0.1 …"; NULL: not checked */
};

static struct netns_address address_of(const struct message *message)
{
	struct netns_address address = {
		.ifindex = message->ifindex,
		.prefix_bits = 24,
		.scope = RT_SCOPE_UNIVERSE,
		.flags = message->flags,
	};

	assert_int_equal(ip_addr_parse(message->text, &address.addr), 0);
	return address;
}

static struct netns_interface link_of(const struct message *message)
{
	struct netns_interface link = { .ifindex = message->ifindex };

	(void)snprintf(link.ifname, sizeof(link.ifname), "%s", message->text);
	return link;
}

static unsigned int apply(struct netns *netns, const struct message *message)
{
	struct netns_address address;
	struct netns_interface link;

	switch (message->what) {
	case LINK:
		link = link_of(message);
		return observed_link(netns, &link, MAX);
	case LINK_GONE:
		return observed_link_gone(netns, message->ifindex);
	case ADDRESS:
		address = address_of(message);
		return observed_address(netns, &address, MAX);
	case ADDRESS_GONE:
		address = address_of(message);
		return observed_address_gone(netns, &address);
	}
	return 0;
}

/* "!" behind an address: not usable */
static const char *show(const struct netns *netns)
{
	static char text[1024];
	char ip[IP_TEXT_MAX];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < netns->n_interfaces; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u:%s ",
				      netns->interfaces[i].ifindex,
				      netns->interfaces[i].ifname);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "|");
	for (size_t i = 0; i < netns->n_addresses; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, " %u:%s%s",
			netns->addresses[i].ifindex,
			ip_addr_fmt(&netns->addresses[i].addr, ip),
			netns_address_usable(&netns->addresses[i]) ? "" : "!");
	return text;
}

static void done(struct netns *netns)
{
	free(netns->interfaces);
	free(netns->addresses);
}

static void run(struct netns *netns, const struct message *messages, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(apply(netns, &messages[i]),
				 messages[i].result);
		if (messages[i].after)
			assert_string_equal(show(netns), messages[i].after);
	}
}

#define C OBSERVED_CHANGED
#define O OBSERVED_OMITTED

static void test_events(void **state)
{
	static const struct message messages[] = {
		{ LINK, 2, "eth0", 0, C, "2:eth0 |" },
		{ LINK, 1, "lo", 0, C, "1:lo 2:eth0 |" },
		/* Statistics, carrier, anything else: not a change. */
		{ LINK, 2, "eth0", 0, 0, "1:lo 2:eth0 |" },
		{ ADDRESS, 2, "fe80::1", IFA_F_TENTATIVE, C,
		  "1:lo 2:eth0 | 2:fe80::1!" },
		{ ADDRESS, 2, "fe80::1", IFA_F_TENTATIVE, 0, NULL },
		{ ADDRESS, 2, "fe80::1", IFA_F_PERMANENT, C,
		  "1:lo 2:eth0 | 2:fe80::1" },
		{ ADDRESS, 2, "2001:db8::1", IFA_F_TENTATIVE | IFA_F_OPTIMISTIC,
		  C, "1:lo 2:eth0 | 2:2001:db8::1 2:fe80::1" },
		{ ADDRESS, 2, "2001:db8::1", IFA_F_TENTATIVE | IFA_F_DADFAILED,
		  C, "1:lo 2:eth0 | 2:2001:db8::1! 2:fe80::1" },
		{ ADDRESS, 2, "fe80::1", IFA_F_DEPRECATED, C,
		  "1:lo 2:eth0 | 2:2001:db8::1! 2:fe80::1" },
		{ ADDRESS, 1, "127.0.0.1", IFA_F_PERMANENT, C,
		  "1:lo 2:eth0 | 1:127.0.0.1 2:2001:db8::1! 2:fe80::1" },
		{ LINK, 2, "net0", 0, C, NULL },
		{ ADDRESS_GONE, 2, "fe80::1", 0, C,
		  "1:lo 2:net0 | 1:127.0.0.1 2:2001:db8::1!" },
		{ ADDRESS_GONE, 2, "fe80::1", 0, 0, NULL },
		{ ADDRESS_GONE, 1, "2001:db8::1", 0, 0, NULL },
		{ LINK_GONE, 2, "", 0, C, "1:lo | 1:127.0.0.1" },
		{ LINK_GONE, 2, "", 0, 0, NULL },
	};
	struct netns netns = { .addresses_known = true };

	(void)state;
	run(&netns, messages, ARRAY_SIZE(messages));
	done(&netns);
}

static void test_limit(void **state)
{
	static const struct message messages[] = {
		{ ADDRESS, 1, "10.0.0.1", 0, C, NULL },
		{ ADDRESS, 1, "10.0.0.2", 0, C, NULL },
		{ ADDRESS, 1, "10.0.0.3", 0, C, NULL },
		{ ADDRESS, 1, "10.0.0.4", 0, C, NULL },
		{ ADDRESS, 1, "10.0.0.5", 0, O, NULL },
		{ ADDRESS, 1, "10.0.0.4", 1, C, NULL },
		{ LINK, 1, "a", 0, C, NULL },
		{ LINK, 2, "b", 0, C, NULL },
		{ LINK, 3, "c", 0, C, NULL },
		{ LINK, 4, "d", 0, C, NULL },
		{ LINK, 5, "e", 0, O, NULL },
	};
	static const struct message gone[] = {
		{ ADDRESS_GONE, 1, "10.0.0.9", 0, O, NULL },
		{ ADDRESS_GONE, 1, "10.0.0.1", 0, C | O, NULL },
		{ LINK_GONE, 1, "", 0, C | O, "2:b 3:c 4:d |" },
	};
	struct netns netns = { .addresses_known = true };

	(void)state;
	run(&netns, messages, ARRAY_SIZE(messages));
	assert_int_equal(netns.n_addresses, MAX);
	netns.addresses_omitted = 1; /* as a listing would say */
	run(&netns, gone, ARRAY_SIZE(gone));
	done(&netns);
}

static bool list(struct observed_listing *listing, struct netns *netns,
		 const struct message *messages, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct netns_interface link;
		struct netns_address address;

		if (messages[i].what == LINK) {
			link = link_of(&messages[i]);
			assert_true(observed_listing_link(listing, &link));
		} else {
			address = address_of(&messages[i]);
			assert_true(
				observed_listing_address(listing, &address));
		}
	}
	return observed_listing_apply(listing, netns);
}

/* Who has added an address may change, and whether an interface is up. */
static void test_details(void **state)
{
	struct netns_address address = {
		.ifindex = 1,
		.addr.family = AF_INET,
		.prefix_bits = 32,
	};
	struct netns_interface link = { .ifindex = 1, .ifname = "lo" };
	struct observed_listing listing = { .max = 8 };
	struct netns netns = { .addresses_known = true };

	(void)state;
	for (int i = 0; i < 2; i++) {
		link.up = i == 0;
		address.proto = i == 0 ? 190 : 0;
		assert_int_equal(observed_link(&netns, &link, MAX), C);
		assert_int_equal(observed_link(&netns, &link, MAX), 0);
		assert_int_equal(netns.interfaces[0].up, link.up);
		assert_int_equal(observed_address(&netns, &address, MAX), C);
		assert_int_equal(observed_address(&netns, &address, MAX), 0);
		assert_int_equal(netns.addresses[0].proto, address.proto);
	}
	for (int i = 0; i < 4; i++) {
		link.up = i >= 1;
		address.proto = i >= 2 ? 190 : 0;
		assert_true(observed_listing_link(&listing, &link));
		assert_true(observed_listing_address(&listing, &address));
		assert_int_equal(observed_listing_apply(&listing, &netns),
				 i == 1 || i == 2);
	}
	done(&netns);
}

static void test_listing(void **state)
{
	static const struct message first[] = {
		{ LINK, 2, "eth0", 0, 0, NULL },
		{ LINK, 1, "lo", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.2", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.1", 0, 0, NULL },
	};
	static const struct message other_order[] = {
		{ LINK, 1, "lo", 0, 0, NULL },
		{ LINK, 2, "eth0", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.1", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.2", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.1", 0, 0, NULL }, /* another peer */
	};
	static const struct message flags[] = {
		{ LINK, 1, "lo", 0, 0, NULL },
		{ LINK, 2, "eth0", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.1", 0, 0, NULL },
		{ ADDRESS, 2, "10.0.0.2", IFA_F_DADFAILED, 0, NULL },
	};
	struct observed_listing listing = { .max = 8 };
	struct netns netns = { 0 };

	(void)state;
	/* Even an empty one is news the first time. */
	assert_true(observed_listing_apply(&listing, &netns));
	assert_true(netns.addresses_known);
	assert_false(observed_listing_apply(&listing, &netns));
	assert_true(list(&listing, &netns, first, ARRAY_SIZE(first)));
	assert_string_equal(show(&netns),
			    "1:lo 2:eth0 | 2:10.0.0.1 2:10.0.0.2");
	assert_false(
		list(&listing, &netns, other_order, ARRAY_SIZE(other_order)));
	assert_true(list(&listing, &netns, flags, ARRAY_SIZE(flags)));
	assert_string_equal(show(&netns),
			    "1:lo 2:eth0 | 2:10.0.0.1 2:10.0.0.2!");
	observed_listing_done(&listing);
	done(&netns);
}

static void test_listing_limit(void **state)
{
	struct observed_listing listing = { .max = 3 };
	struct netns_address address = { .ifindex = 1 };
	struct netns netns = { 0 };
	unsigned int n = 0;

	(void)state;
	address.addr.family = AF_INET;
	while (n < 100000 && observed_listing_address(&listing, &address)) {
		n++;
		memcpy(address.addr.bytes, &n, sizeof(n));
	}
	assert_true(n > 5000); /* counted exactly up to here */
	assert_true(n < 20000);
	assert_true(listing.cut_off);
	assert_true(observed_listing_apply(&listing, &netns));
	assert_int_equal(netns.n_addresses, 3);
	assert_int_equal(netns.addresses_omitted, n - 3 + 1);
	done(&netns);
}

/* Many, in random order, against the simplest model there is. */
static void test_random(void **state)
{
	bool there[256] = { false };
	struct netns netns = { .addresses_known = true };
	struct netns_address address = { .ifindex = 1 };
	unsigned int seed = (unsigned int)time(NULL);
	size_t n = 0;

	(void)state;
	(void)printf("seed %u\n", seed);
	address.addr.family = AF_INET;
	for (int i = 0; i < 20000; i++) {
		unsigned int at = (unsigned int)rand_r(&seed) % 256;
		bool add = rand_r(&seed) % 2;
		unsigned int result;

		address.addr.bytes[3] = (uint8_t)at;
		result = add ? observed_address(&netns, &address, 1000)
			     : observed_address_gone(&netns, &address);
		assert_int_equal(result == OBSERVED_CHANGED, there[at] != add);
		there[at] = add;
	}
	for (size_t i = 0; i < 256; i++) {
		if (there[i])
			assert_int_equal(netns.addresses[n++].addr.bytes[3], i);
	}
	assert_int_equal(netns.n_addresses, n);
	done(&netns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_listing_limit),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
