// SPDX-License-Identifier: Apache-2.0
/* relay_hold.c - opens connections inside a namespace and holds them
 *
 *   relay_hold DIR NAME ADDRESS PORT idle COUNT
 *	64 bytes there and back on each, then silence
 *   relay_hold DIR NAME ADDRESS PORT stall COUNT
 *	half of the clients do not read what is sent to them, half send to a
 *	server that does not read: until nothing more fits anywhere
 *
 * Prints "ready" when all is as it will stay, and holds it until its standard
 * input ends. See relay_backend.c for the other end.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#define COUNT_MAX 10000
#define MESSAGE_BYTES 64
#define TIMEOUT_S 20
#define STALLED_BYTES (16 * 1024) /* what a client keeps at most */
#define QUIET_US 500000 /* nothing moved for so long: nothing will */
#define ROUNDS_MAX 100

static struct sockaddr_in server = { .sin_family = AF_INET };
static int conns[COUNT_MAX];
static char buffer[64 * 1024];

static int connect_server(bool stall)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int bytes = STALLED_BYTES;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
				 sizeof(timeout)) < 0)
		bench_die("socket");
	if (stall) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		bench_die("connect");
	return fd;
}

static void make_idle(unsigned int i)
{
	char message[MESSAGE_BYTES] = "e";

	conns[i] = connect_server(/* stall= */ false);
	if (send(conns[i], message, sizeof(message), MSG_NOSIGNAL) < 0 ||
	    recv(conns[i], message, sizeof(message), MSG_WAITALL) !=
		    (ssize_t)sizeof(message))
		bench_die("connection %u", i);
}

static void make_stall(unsigned int i)
{
	conns[i] = connect_server(/* stall= */ true);
	if (send(conns[i], i % 2 ? "s" : "d", 1, MSG_NOSIGNAL) != 1)
		bench_die("connection %u", i);
}

/* Return: the bytes that found room on their way. */
static size_t push(unsigned int count)
{
	size_t moved = 0;
	ssize_t n;

	for (unsigned int i = 1; i < count; i += 2) {
		n = send(conns[i], buffer, sizeof(buffer),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			moved += (size_t)n;
		else if (errno != EAGAIN)
			bench_die("connection %u", i);
	}
	return moved;
}

static void wait_stalled(unsigned int count)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (push(count) > 0)
			continue;
		usleep(QUIET_US);
		if (push(count) == 0)
			return;
	}
	bench_die("the connections do not stall");
}

int main(int argc, char **argv)
{
	unsigned int count;
	int netns_fd;
	char byte;
	bool stall;

	bench_init();
	bench_raise_files();
	if (argc != 7 || inet_pton(AF_INET, argv[3], &server.sin_addr) != 1 ||
	    bench_number(argv[6]) > COUNT_MAX)
		bench_die("relay_hold DIR NAME ADDRESS PORT idle|stall COUNT");
	server.sin_port = htons((uint16_t)bench_number(argv[4]));
	stall = strcmp(argv[5], "stall") == 0;
	count = bench_number(argv[6]);
	netns_fd = bench_netns_open(argv[1], argv[2]);
	if (netns_fd < 0)
		bench_die("%s/%s", argv[1], argv[2]);
	bench_netns_enter(netns_fd);
	for (unsigned int i = 0; i < count; i++)
		stall ? make_stall(i) : make_idle(i);
	if (stall)
		wait_stalled(count);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
