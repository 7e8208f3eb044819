// SPDX-License-Identifier: Apache-2.0
/* measure_appears.c - from a mount or an address to a connection
 *
 * Prints nanoseconds, one sample a line.
 *
 *   measure_appears names DIR PORT FIRST COUNT KEEP
 *	makes the namespaces nFIRST..., removing the one KEEP before each; from
 *	mount(2) returning to connect(2) succeeding inside
 *   measure_appears answers DIR PORT FIRST COUNT KEEP
 *	the same, to the first byte that answers a request of HTTP
 *   measure_appears bare DIR PORT FIRST COUNT KEEP
 *	the same as names, of namespaces without anything: loopback is down, and
 *	the connection is to 169.254.169.254
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

#define METADATA UINT32_C(0xa9fea9fe) /* 169.254.169.254 */

static void print_sample(uint64_t begin_ns, uint64_t end_ns)
{
	printf("%llu\n", (unsigned long long)(end_ns - begin_ns));
}

/* Asks on a new connection. Return: when the answer began. */
static uint64_t ask(int fd)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
	uint64_t now_ns;
	char byte;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(request) - 1 ||
	    recv(fd, &byte, 1, 0) != 1)
		bench_die("no answer");
	now_ns = bench_now_ns();
	close(fd);
	return now_ns;
}

static void measure_names(char **argv, bool asks, bool bare)
{
	uint32_t addr4 = htonl(bare ? METADATA : INADDR_LOOPBACK);
	uint16_t port = (uint16_t)bench_number(argv[1]);
	unsigned int first = bench_number(argv[2]);
	unsigned int end = first + bench_number(argv[3]);
	unsigned int keep = bench_number(argv[4]);
	char name[BENCH_NAME_MAX];
	uint64_t begin_ns, end_ns;
	int fd;

	for (unsigned int i = first; i < end; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		begin_ns = bare ? bench_netns_make_bare(argv[0], name)
				: bench_netns_make(argv[0], name);
		end_ns = bench_connect_spin(addr4, port, &fd);
		print_sample(begin_ns, asks ? ask(fd) : end_ns);
		if (!asks)
			close(fd);
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
	int fd;

	if (netns_fd < 0)
		bench_die("%s/%s", argv[0], argv[1]);
	bench_netns_enter(netns_fd);
	netlink_fd = bench_netlink_open(0);
	for (unsigned int i = first; i < end; i++) {
		uint32_t addr4 = htonl(0x0a000001 + i); /* 10.0.0.1 + i */

		bench_address(netlink_fd, true, if_nametoindex("lo"), addr4);
		begin_ns = bench_now_ns();
		print_sample(begin_ns, bench_connect_spin(addr4, port, &fd));
		close(fd);
		bench_address(netlink_fd, false, if_nametoindex("lo"), addr4);
		usleep(2000); /* the listener's end is not measured */
	}
}

int main(int argc, char **argv)
{
	bench_init();
	if (argc == 7 && strcmp(argv[1], "names") == 0)
		measure_names(argv + 2, /* asks= */ false, /* bare= */ false);
	else if (argc == 7 && strcmp(argv[1], "answers") == 0)
		measure_names(argv + 2, /* asks= */ true, /* bare= */ false);
	else if (argc == 7 && strcmp(argv[1], "bare") == 0)
		measure_names(argv + 2, /* asks= */ false, /* bare= */ true);
	else if (argc == 7 && strcmp(argv[1], "addresses") == 0)
		measure_addresses(argv + 2);
	else
		bench_die("measure_appears names|answers|bare|addresses ...");
	return 0;
}
