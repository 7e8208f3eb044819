// SPDX-License-Identifier: Apache-2.0
/* measure_freed.c - from a name's removal to the namespace's end
 *
 * Makes a namespace and a veth pair into it, connects clients that stay
 * outside, so that only whoever serves them holds the namespace; half of them
 * get data that they do not read. Then removes the name, and prints the
 * nanoseconds until the kernel says RTM_DELNSID.
 *
 *   measure_freed DIR PORT FIRST COUNT CLIENTS
 *
 * A first byte says what a client wants, see floor_freed.c; `measure_freed
 * backend PORT` serves the same outside, for a relay.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define CLIENTS_MAX 256
#define SUBNETS 250
#define CLIENT_BUFFER_BYTES 4096 /* small: what nobody reads fills it soon */
#define CONNECT_ATTEMPTS 1000 /* the listener may be younger than we */
#define QUIET_NS 50000000 /* nothing more came for so long: all is full */

static void __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		bench_die("%s", command);
}

static int connect_client(unsigned int addr4, uint16_t port, char what)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = addr4 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int bytes = CLIENT_BUFFER_BYTES, attempts = 0;
	char answer;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno != ECONNREFUSED || attempts++ > CONNECT_ATTEMPTS)
			bench_die("connect to the namespace");
		usleep(1000);
	}
	if (write(fd, &what, 1) != 1 || read(fd, &answer, 1) != 1)
		bench_die("no answer through the namespace");
	return fd;
}

/* Waits until no client's receive queue grows any more. */
static void wait_full(const int *clients, unsigned int n)
{
	uint64_t since_ns = bench_now_ns();
	int before[CLIENTS_MAX] = { 0 }, queued;

	while (bench_now_ns() - since_ns < QUIET_NS) {
		for (unsigned int i = 0; i < n; i++) {
			if (ioctl(clients[i], FIONREAD, &queued) < 0)
				bench_die("FIONREAD");
			if (queued != before[i])
				since_ns = bench_now_ns();
			before[i] = queued;
		}
		usleep(1000);
	}
}

/* Returns the namespace's nsid. */
static int make(const char *dir, const char *name, unsigned int i,
		int netlink_fd)
{
	int netns_fd, nsid;

	bench_netns_make(dir, name);
	bench_netns_home();
	netns_fd = bench_netns_open(dir, name);
	nsid = bench_nsid(netlink_fd, netns_fd);
	run("ip link add bench%u type veth peer name eth0 netns "
	    "/proc/%d/fd/%d && ip addr add 10.9.%u.1/24 dev bench%u && "
	    "ip link set bench%u up && nsenter --net=/proc/%d/fd/%d sh -c "
	    "'ip addr add 10.9.%u.2/24 dev eth0 && ip link set eth0 up'",
	    i, getpid(), netns_fd, i % SUBNETS, i, i, getpid(), netns_fd,
	    i % SUBNETS);
	close(netns_fd);
	return nsid;
}

static void measure(const char *dir, uint16_t port, unsigned int i,
		    unsigned int n)
{
	int netlink_fd = bench_netlink_open(RTNLGRP_NSID);
	int clients[CLIENTS_MAX], nsid;
	char name[BENCH_NAME_MAX];
	uint64_t begin_ns;

	snprintf(name, sizeof(name), "n%u", i);
	nsid = make(dir, name, i, netlink_fd);
	for (unsigned int c = 0; c < n; c++)
		clients[c] =
			connect_client(htonl(0x0a090002 + (i % SUBNETS << 8)),
				       port, c % 2 ? 'f' : 'q');
	wait_full(clients, n);
	begin_ns = bench_now_ns();
	bench_netns_remove(dir, name);
	printf("%llu\n",
	       (unsigned long long)(bench_wait_freed(netlink_fd, nsid) -
				    begin_ns));
	for (unsigned int c = 0; c < n; c++)
		close(clients[c]);
	close(netlink_fd);
	/* The interfaces go last; the next sample starts without them. */
	snprintf(name, sizeof(name), "bench%u", i);
	while (if_nametoindex(name))
		usleep(1000);
}

static void serve(int fd)
{
	static char junk[65536];
	static bool floods[65536];
	ssize_t n;
	char what;

	n = read(fd, &what, 1);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		floods[fd] = false;
		close(fd);
		return;
	}
	if (n == 1) {
		floods[fd] = what == 'f';
		(void)!write(fd, "a", 1);
	}
	while (floods[fd] && write(fd, junk, sizeof(junk)) > 0)
		;
}

static void backend(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), on = 1, fd;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listen_fd };

	setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(listen_fd, SOMAXCONN) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0)
		bench_die("backend on port %u", port);
	bench_notify();
	for (;;) {
		if (epoll_wait(epoll_fd, &event, 1, -1) < 1)
			continue;
		if (event.data.fd != listen_fd) {
			serve(event.data.fd);
			continue;
		}
		fd = accept4(listen_fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		event.events = EPOLLIN | EPOLLOUT | EPOLLET;
		event.data.fd = fd;
		if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
			bench_die("accept");
	}
}

int main(int argc, char **argv)
{
	unsigned int first, end;

	bench_init();
	if (argc == 3 && strcmp(argv[1], "backend") == 0)
		backend((uint16_t)bench_number(argv[2]));
	if (argc != 6)
		bench_die("measure_freed DIR PORT FIRST COUNT CLIENTS");
	first = bench_number(argv[3]);
	end = first + bench_number(argv[4]);
	for (unsigned int i = first; i < end; i++)
		measure(argv[1], (uint16_t)bench_number(argv[2]), i,
			bench_number(argv[5]));
	return 0;
}
