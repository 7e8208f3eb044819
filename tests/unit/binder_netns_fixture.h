/* SPDX-License-Identifier: Apache-2.0 */
/* binder_netns_fixture.h - two real namespaces for the binder's unit tests */
#ifndef TESTS_UNIT_BINDER_NETNS_FIXTURE_H
#define TESTS_UNIT_BINDER_NETNS_FIXTURE_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "binder_fixture.h"
#include "common/log.h"
#include "common/netns_enter.h"

static int other_netns_fd = -1;

static inline int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static inline int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return r;
}

static inline int setup(void **state)
{
	static struct fixture fixture;

	fixture_init(&fixture, 1000, FIXTURE_RETRY_MIN_US);
	fixture.netns_fd = other_netns_fd;
	*state = &fixture;
	return 0;
}

static inline int teardown(void **state)
{
	fixture_done(*state);
	return 0;
}

/* Two new namespaces: one is the process's own, one the other. */
static inline int namespaces(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || loopback_up() < 0)
		return -1;
	other_netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (other_netns_fd < 0 || unshare(CLONE_NEWNET) < 0 ||
	    loopback_up() < 0)
		return -1;
	return netns_enter_init();
}

static inline int run_in_namespaces(const struct CMUnitTest *tests, size_t n,
				    const char *name)
{
	if (geteuid() != 0) {
		puts("0 PASSED: all SKIPPED, network namespaces need root");
		return 0;
	}
	log_init(name, LOG_LEVEL_ERROR);
	return _cmocka_run_group_tests(name, tests, n, namespaces, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
