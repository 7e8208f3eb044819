// SPDX-License-Identifier: Apache-2.0
/* measure_appears.c - from a mount or an address to a connection
 *
 * Prints nanoseconds, one sample a line.
 *
 *   measure_appears names DIR PORT FIRST COUNT KEEP
 *	makes the namespaces nFIRST..., removing the one KEEP before each; from
 *	mount(2) returning to connect(2) succeeding inside
 *   measure_appears addresses DIR NAME PORT FIRST COUNT
 *	adds addresses to lo of a namespace and removes them; from the kernel's
 *	answer to connect(2) succeeding inside
 *
 * The measuring thread itself is inside, and tries without a pause, so that it
 * adds microseconds and not a scheduler's tick.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <net/if.h>

static void print_sample(uint64_t begin_ns, uint64_t end_ns)
{
	printf("%llu\n", (unsigned long long)(end_ns - begin_ns));
}

static void measure_names(char **argv)
{
	uint16_t port = (uint16_t)bench_number(argv[1]);
	unsigned int first = bench_number(argv[2]);
	unsigned int end = first + bench_number(argv[3]);
	unsigned int keep = bench_number(argv[4]);
	char name[BENCH_NAME_MAX];
	uint64_t begin_ns;

	for (unsigned int i = first; i < end; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		begin_ns = bench_netns_make(argv[0], name);
		print_sample(begin_ns,
			     bench_connect_spin(htonl(INADDR_LOOPBACK), port));
		if (i >= keep) {
			snprintf(name, sizeof(name), "n%u", i - keep);
			bench_netns_remove(argv[0], name);
		}
	}
}

static void measure_addresses(char **argv)
{
	int netns_fd = bench_netns_open(argv[0], argv[1]), netlink_fd;
	uint16_t port = (uint16_t)bench_number(argv[2]);
	unsigned int first = bench_number(argv[3]);
	unsigned int end = first + bench_number(argv[4]);
	uint64_t begin_ns;

	if (netns_fd < 0)
		bench_die("%s/%s", argv[0], argv[1]);
	bench_netns_enter(netns_fd);
	netlink_fd = bench_netlink_open(0);
	for (unsigned int i = first; i < end; i++) {
		uint32_t addr4 = htonl(0x0a000001 + i); /* 10.0.0.1 + i */

		bench_address(netlink_fd, true, if_nametoindex("lo"), addr4);
		begin_ns = bench_now_ns();
		print_sample(begin_ns, bench_connect_spin(addr4, port));
		bench_address(netlink_fd, false, if_nametoindex("lo"), addr4);
		usleep(2000); /* the listener's end is not measured */
	}
}

int main(int argc, char **argv)
{
	bench_init();
	if (argc == 7 && strcmp(argv[1], "names") == 0)
		measure_names(argv + 2);
	else if (argc == 7 && strcmp(argv[1], "addresses") == 0)
		measure_addresses(argv + 2);
	else
		bench_die("measure_appears names|addresses ...");
	return 0;
}
