// SPDX-License-Identifier: Apache-2.0
/* test_news.c - what exactly became different in a namespace */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "watcher/news.h"
#include "watcher/observed.h"

#define MAX 8

/* struct ear - hears all but what is @deaf, and writes it down in short */
struct ear {
	struct news_teller teller;
	uint32_t deaf;
	char text[512];
};

static bool wanted(enum news_kind kind, void *user_data)
{
	const struct ear *ear = user_data;

	return !(ear->deaf & 1u << kind);
}

static void tell(const struct news *news, void *user_data)
{
	static const char signs[] = { "Nn+-()!" };
	struct ear *ear = user_data;
	size_t len = strlen(ear->text);
	char address[IP_TEXT_MAX];

	if (news->address)
		(void)snprintf(ear->text + len, sizeof(ear->text) - len,
			       "%c%s/%u %s;", signs[news->kind],
			       ip_addr_fmt(&news->address->addr, address),
			       news->address->prefix_bits, news->ifname);
	else
		(void)snprintf(ear->text + len, sizeof(ear->text) - len,
			       "%c%s;", signs[news->kind],
			       news->container ? news->container->name : "");
}

static struct ear hear(uint32_t deaf)
{
	return (struct ear){
		.teller = { .wanted = wanted, .tell = tell },
		.deaf = deaf,
	};
}

static struct netns_address address_of(const char *text, uint32_t ifindex,
				       uint32_t flags)
{
	struct netns_address address = {
		.prefix_bits = 24,
		.ifindex = ifindex,
		.flags = flags,
	};

	assert_int_equal(ip_addr_parse(text, &address.addr), 0);
	return address;
}

static void set_address(struct netns *netns, const char *text, uint32_t ifindex,
			uint32_t flags)
{
	struct netns_address address = address_of(text, ifindex, flags);

	(void)observed_address(netns, &address, MAX);
}

static void set_link(struct netns *netns, uint32_t ifindex, const char *name)
{
	struct netns_interface link = { .ifindex = ifindex };

	(void)snprintf(link.ifname, sizeof(link.ifname), "%s", name);
	(void)observed_link(netns, &link, MAX);
}

static void test_addresses(void **state)
{
	struct ear ear = hear(0);
	struct netns netns = { .id = 1 };
	struct netns_address first = address_of("10.0.0.1", 2, 0);
	struct news_before before;

	(void)state;
	ear.teller.user_data = &ear;
	news_addresses_before(&ear.teller, &netns, &before);
	set_link(&netns, 2, "eth0");
	set_link(&netns, 3, "eth1");
	set_address(&netns, "10.0.0.1", 2, 0);
	set_address(&netns, "10.0.0.2", 3, 0);
	set_address(&netns, "fd00::1", 3, IFA_F_TENTATIVE);
	news_addresses_after(&ear.teller, &netns, &before);
	assert_string_equal(ear.text, "+10.0.0.1/24 eth0;+10.0.0.2/24 eth1;");
	*ear.text = '\0';

	/* It becomes usable; the same once more is no news. */
	news_addresses_before(&ear.teller, &netns, &before);
	set_address(&netns, "fd00::1", 3, 0);
	set_address(&netns, "10.0.0.1", 2, IFA_F_DEPRECATED);
	news_addresses_after(&ear.teller, &netns, &before);
	assert_string_equal(ear.text, "+fd00::1/24 eth1;");
	*ear.text = '\0';

	/* An interface takes its addresses with it. */
	news_addresses_before(&ear.teller, &netns, &before);
	(void)observed_link_gone(&netns, 3);
	(void)observed_address_gone(&netns, &first);
	set_address(&netns, "10.0.0.3", 2, 0);
	netns.addresses_omitted = 7;
	news_addresses_after(&ear.teller, &netns, &before);
	assert_string_equal(ear.text, "-10.0.0.1/24 eth0;+10.0.0.3/24 eth0;"
				      "-10.0.0.2/24 eth1;-fd00::1/24 eth1;!;");
	free(netns.interfaces);
	free(netns.addresses);
}

static void test_nobody_listens(void **state)
{
	struct ear ear = hear(UINT32_MAX);
	const struct news_teller nobody = { .user_data = &ear };
	struct netns netns = { .id = 1 };
	struct news_before before;

	(void)state;
	ear.teller.user_data = &ear;
	set_address(&netns, "10.0.0.1", 2, 0);
	news_addresses_before(&ear.teller, &netns, &before);
	assert_null(before.netns.addresses);
	news_addresses_after(&ear.teller, &netns, &before);
	news_addresses_before(&nobody, &netns, &before);
	assert_null(before.netns.addresses);
	news_addresses_after(&nobody, &netns, &before);
	news_names(&nobody, &netns, true);
	news_names(&ear.teller, &netns, false);
	assert_string_equal(ear.text, "");
	free(netns.addresses);
}

static void test_containers(void **state)
{
	static const struct container a = { .name = "a",
					    .pod_namespace = "",
					    .id = "" };
	static const struct container b = { .name = "b",
					    .pod_namespace = "",
					    .id = "" };
	static const struct container a_anew = {
		.name = "a", .pod_namespace = "", .id = "", .pid = 7
	};
	const struct container *was[] = { &a, &b }, *is[] = { &a_anew };
	struct netns netns = { .containers = is, .n_containers = 1 };
	struct ear ear = hear(0);

	(void)state;
	ear.teller.user_data = &ear;
	news_containers(&ear.teller, &netns, was, 2);
	assert_string_equal(ear.text, ")b;(a;");
	*ear.text = '\0';
	news_containers(&ear.teller, &netns, is, 1);
	assert_string_equal(ear.text, "");
	ear.deaf = 1u << NEWS_CONTAINER_GONE;
	news_containers(&ear.teller, &netns, was, 2);
	assert_string_equal(ear.text, "(a;");
}

static void test_names(void **state)
{
	const struct netns netns = { .id = 1 };
	struct ear ear = hear(0);

	(void)state;
	ear.teller.user_data = &ear;
	news_names(&ear.teller, &netns, /* is_new= */ true);
	news_names(&ear.teller, &netns, /* is_new= */ false);
	assert_string_equal(ear.text, "N;n;");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
