// SPDX-License-Identifier: Apache-2.0
/* test_health.c - the verdict about a listener, and what it says */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <linux/if_addr.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "binder/listener.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/health.h"
#include "lib/berth.h"

#define LO 1
#define ETH 7
#define ETH2 8
#define GONE 9

static struct netns_interface interfaces[] = {
	{ LO, "lo", true },
	{ ETH, "eth0", true },
	{ ETH2, "eth1", true },
};

static bool find_interface(const struct health_facts *health_facts,
			   uint32_t ifindex,
			   struct netns_interface *ret_interface)
{
	(void)health_facts;
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
		if (interfaces[i].ifindex != ifindex)
			continue;
		*ret_interface = interfaces[i];
		return true;
	}
	return false;
}

static struct service service;
static struct listener listener;
static struct netns_address addresses[4];
static struct netns netns;
static struct health_facts facts;

static int setup(void **state)
{
	(void)state;
	service = (struct service){ .options = SOCKET_OPTIONS_NONE };
	listener = (struct listener){
		.state = LISTENER_OPEN,
		.service = &service,
		.endpoint = { .protocol = PROTOCOL_TCP },
	};
	netns = (struct netns){ .addresses_known = true,
				.addresses = addresses };
	facts = (struct health_facts){
		.listener = &listener,
		.netns = &netns,
		.interface = find_interface,
		.delivered = true,
		.backlog = -1,
	};
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
		interfaces[i].up = true;
	return 0;
}

/* @text: "*", "0.0.0.0", or an address */
static void listen_on(const char *text)
{
	struct ip_addr addr = { .family = AF_UNSPEC };

	if (strcmp(text, "*") != 0)
		assert_int_equal(ip_addr_parse(text, &addr), 0);
	listener.endpoint.family = addr.family;
	memcpy(listener.endpoint.addr, addr.bytes, sizeof(addr.bytes));
}

static void has(uint32_t ifindex, const char *text, uint8_t bits,
		uint32_t flags)
{
	struct netns_address *address = &addresses[netns.n_addresses++];

	*address = (struct netns_address){ .ifindex = ifindex,
					   .prefix_bits = bits,
					   .flags = flags };
	assert_int_equal(ip_addr_parse(text, &address->addr), 0);
}

static void down(uint32_t ifindex)
{
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
		if (interfaces[i].ifindex == ifindex)
			interfaces[i].up = false;
	}
}

/* @text: NULL: nothing to say */
static void expect(enum health_state state, const char *text)
{
	struct health health = health_of(&facts);
	char buffer[HEALTH_TEXT_MAX];
	const char *said = health_text(&health, &facts, buffer);

	if (!text)
		assert_null(said);
	else
		assert_string_equal(said, text);
	assert_string_equal(health_state_name(health.state),
			    health_state_name(state));
}

/* One listener on an address, and one address of the namespace. */
static const struct {
	const char *listens, *has;
	uint32_t ifindex, flags, down, bound;
	uint8_t bits;
	enum health_state state;
	const char *text;
} reach[] = {
	{ "10.0.0.1", "10.0.0.1", ETH, 0, 0, 0, 24, HEALTH_OK, NULL },
	{ "10.0.0.2", "10.0.0.1", ETH, 0, 0, 0, 24, HEALTH_UNREACHABLE,
	  "no interface has 10.0.0.2" },
	{ "10.0.0.2", "10.0.0.1", LO, 0, 0, 0, 24, HEALTH_OK, NULL },
	{ "10.0.1.2", "10.0.0.1", LO, 0, 0, 0, 24, HEALTH_UNREACHABLE,
	  "no interface has 10.0.1.2" },
	{ "10.0.0.2", "10.0.0.1", LO, 0, LO, 0, 24, HEALTH_UNREACHABLE,
	  "lo is down, which is to have 10.0.0.2" },
	{ "fd00::2", "fd00::1", LO, 0, 0, 0, 64, HEALTH_UNREACHABLE,
	  "no interface has fd00::2" },
	{ "fd00::1", "fd00::1", ETH, 0, ETH, 0, 64, HEALTH_UNREACHABLE,
	  "the interface eth0 is down, which has fd00::1" },
	{ "fd00::1", "fd00::1", ETH, IFA_F_TENTATIVE, 0, 0, 64,
	  HEALTH_UNREACHABLE,
	  "duplicate address detection runs on fd00::1, interface eth0" },
	{ "fd00::1", "fd00::1", ETH, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, 0, 0,
	  64, HEALTH_OK, NULL },
	{ "fd00::1", "fd00::1", ETH, IFA_F_TENTATIVE | IFA_F_DADFAILED, 0, 0,
	  64, HEALTH_UNREACHABLE,
	  "duplicate address detection failed on fd00::1, interface eth0" },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, ETH, 0, 24, HEALTH_LIMITED,
	  "the interface eth0 is down, which has 10.0.0.1: only clients in the "
	  "namespace reach it" },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, ETH, ETH, 24, HEALTH_UNREACHABLE,
	  "the interface eth0 is down, which has 10.0.0.1" },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, LO, 0, 24, HEALTH_LIMITED,
	  "lo is down: only clients from outside the namespace reach it" },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, LO, ETH, 24, HEALTH_OK, NULL },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, 0, ETH2, 24, HEALTH_UNREACHABLE,
	  "no interface has 10.0.0.1" },
	{ "10.0.0.1", "10.0.0.1", ETH, 0, 0, GONE, 24, HEALTH_UNREACHABLE,
	  "the interface that it is bound to is gone" },
	/* of an interface that went a moment ago */
	{ "10.0.0.1", "10.0.0.1", GONE, 0, 0, 0, 24, HEALTH_UNREACHABLE,
	  "no interface has 10.0.0.1" },
	{ "*", "10.0.0.1", ETH, 0, 0, 0, 24, HEALTH_OK, NULL },
	{ "*", "fe80::1", ETH, 0, 0, 0, 64, HEALTH_OK, NULL },
	{ "0.0.0.0", "fe80::1", ETH, 0, 0, 0, 64, HEALTH_UNREACHABLE,
	  "no interface has an IPv4 address" },
	{ "::", "10.0.0.1", ETH, 0, LO, 0, 24, HEALTH_UNREACHABLE,
	  "lo is down, and no other interface has an IPv6 address" },
	{ "*", "169.254.169.254", LO, 0, LO, 0, 32, HEALTH_UNREACHABLE,
	  "lo is down, and no other interface has an address" },
	{ "*", "fd00::1", ETH, 0, ETH, 0, 64, HEALTH_UNREACHABLE,
	  "each interface that has an address is down" },
	{ "::", "fd00::1", ETH, IFA_F_DADFAILED, 0, 0, 64, HEALTH_UNREACHABLE,
	  "duplicate address detection failed on fd00::1, interface eth0, and "
	  "there is no other address" },
	{ "224.0.0.251", "10.0.0.1", ETH, 0, 0, 0, 24, HEALTH_OK, NULL },
	{ "ff02::fb", "10.0.0.1", ETH, 0, 0, 0, 24, HEALTH_OK, NULL },
};

static void test_reach(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(reach); i++) {
		setup(state);
		listen_on(reach[i].listens);
		has(reach[i].ifindex, reach[i].has, reach[i].bits,
		    reach[i].flags);
		down(reach[i].down);
		listener.endpoint.bound_ifindex = reach[i].bound;
		expect(reach[i].state, reach[i].text);
	}
}

static void test_the_best_address_counts(void **state)
{
	(void)state;
	listen_on("fd00::1");
	has(ETH, "fd00::1", 64, IFA_F_DADFAILED);
	has(ETH2, "fd00::1", 64, IFA_F_TENTATIVE);
	expect(HEALTH_UNREACHABLE,
	       "duplicate address detection runs on fd00::1, interface eth1");
	has(LO, "fd00::1", 128, 0);
	expect(HEALTH_OK, NULL);
}

static void test_datagrams_to_the_broadcast_address(void **state)
{
	(void)state;
	listen_on("10.0.0.255");
	has(ETH, "10.0.0.1", 24, 0);
	expect(HEALTH_UNREACHABLE, "no interface has 10.0.0.255");
	listener.endpoint.protocol = PROTOCOL_UDP;
	expect(HEALTH_OK, NULL);
	addresses[0].prefix_bits = 31;
	expect(HEALTH_UNREACHABLE, "no interface has 10.0.0.255");
	addresses[0].prefix_bits = 0;
	expect(HEALTH_UNREACHABLE, "no interface has 10.0.0.255");
}

static void test_scope_and_transparent(void **state)
{
	(void)state;
	listen_on("fe80::1");
	listener.endpoint.scope_id = ETH2;
	has(ETH, "fe80::1", 64, 0);
	expect(HEALTH_UNREACHABLE, "no interface has fe80::1%8");
	service.options.transparent = true;
	expect(HEALTH_OK, NULL);
}

static void test_what_is_not_known(void **state)
{
	(void)state;
	listen_on("10.0.0.1");
	netns.addresses_omitted = 1;
	expect(HEALTH_UNKNOWN,
	       "none of the addresses that berthd keeps is its own, and the "
	       "namespace has more than max_addresses");
	netns.addresses_known = false;
	expect(HEALTH_UNKNOWN,
	       "the addresses of the namespace are not known yet");
	facts.netns = NULL;
	expect(HEALTH_UNKNOWN,
	       "the addresses of the namespace are not known yet");
	listener.state = LISTENER_WAITING;
	listener.reason = "the port is taken";
	expect(HEALTH_UNREACHABLE, "the port is taken");
}

static void test_who_answers(void **state)
{
	struct health_socket socket = {
		.verdict = HEALTH_PATH_MISSING,
		.path = "/run/x/s",
		.at = strlen("/run/x"),
		.uid = 3,
		.gid = 4,
		.mode = S_IFSOCK | 0640,
		.relay_uid = 5,
		.relay_gid = 6,
	};

	(void)state;
	listen_on("*");
	has(LO, "127.0.0.1", 8, 0);
	facts.socket = &socket;
	expect(HEALTH_BACKEND_DOWN, "the UNIX socket /run/x/s does not exist");
	socket.verdict = HEALTH_PATH_NO_SOCKET;
	expect(HEALTH_BACKEND_DOWN, "/run/x/s is no UNIX socket");
	socket.verdict = HEALTH_PATH_DIRECTORY;
	socket.mode = S_IFDIR | 01710;
	expect(HEALTH_BACKEND_DOWN,
	       "the directory /run/x admits uid 3 and gid 4 (mode 1710), and "
	       "berth-relay is uid 5, gid 6");
	socket.verdict = HEALTH_PATH_SOCKET;
	socket.at = strlen(socket.path);
	socket.mode = S_IFSOCK | 0444;
	expect(HEALTH_BACKEND_DOWN,
	       "the UNIX socket /run/x/s admits nobody (mode 0444), and "
	       "berth-relay is uid 5, gid 6");
	socket.verdict = HEALTH_PATH_FINE;
	expect(HEALTH_OK, NULL);
	facts.backends = (struct health_backends){
		.known = true,
		.reason = "127.0.0.1:53 refused 6 times, last 3 s ago",
	};
	expect(HEALTH_OK, facts.backends.reason);
	facts.backends.all_down = true;
	expect(HEALTH_BACKEND_DOWN, facts.backends.reason);
	facts.delivered = false;
	expect(HEALTH_BACKEND_DOWN, "its consumer does not have it yet");
}

static void test_room(void **state)
{
	struct berth_counts counts = { .active = 2 };

	(void)state;
	listen_on("10.0.0.1");
	has(ETH, "10.0.0.1", 24, 0);
	service.max_connections = 2;
	facts.counts = &counts;
	expect(HEALTH_LIMITED, "limit 2 reached, the next client waits");
	facts.backlog = 1;
	expect(HEALTH_LIMITED, "limit 2 reached, clients wait");
	listener.endpoint.protocol = PROTOCOL_UDP;
	expect(HEALTH_LIMITED, "limit 2 reached, new sessions take the place "
			       "of idle ones");
	counts.active = 1;
	facts.backlog = 11;
	facts.backlog_max = 12;
	expect(HEALTH_OK, "11 in the backlog");
	/* Those who are kept out are the greater evil. */
	down(LO);
	expect(HEALTH_LIMITED,
	       "lo is down: only clients from outside the namespace reach it");
	facts.backlog_max = 11;
	expect(HEALTH_LIMITED, "11 in the backlog, which is full");
}

static void test_names_for_metrics(void **state)
{
	(void)state;
	assert_string_equal(health_cause_name(HEALTH_NO_ADDRESS), "no_address");
	assert_string_equal(health_cause_name(HEALTH_INTERFACE_DOWN),
			    "interface_down");
	assert_string_equal(health_cause_name(HEALTH_BACKEND_DOWN_TOLD),
			    "backend_down");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reach, setup),
		cmocka_unit_test_setup(test_the_best_address_counts, setup),
		cmocka_unit_test_setup(test_datagrams_to_the_broadcast_address,
				       setup),
		cmocka_unit_test_setup(test_scope_and_transparent, setup),
		cmocka_unit_test_setup(test_what_is_not_known, setup),
		cmocka_unit_test_setup(test_who_answers, setup),
		cmocka_unit_test_setup(test_room, setup),
		cmocka_unit_test(test_names_for_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
