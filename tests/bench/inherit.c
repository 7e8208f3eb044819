// SPDX-License-Identifier: Apache-2.0
/* inherit.c - gives nginx its UDP sockets inside a namespace
 *
 * inherit DIR NAME PORT COUNT NGINX ARGUMENT... opens COUNT sockets on 0.0.0.0
 * in the namespace (nginx wants one for each worker) and executes nginx in the
 * host's namespace, with the sockets in the variable NGINX as for its own
 * binary upgrades. nginx cannot enter a namespace. With these sockets its path
 * is as short as that of the other programs, with no veth pair between it and
 * the backend.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	char sockets[64] = "", number[16];
	int netns_fd, fd, on = 1;

	bench_init();
	if (argc < 6)
		bench_die("inherit DIR NAME PORT COUNT NGINX ARGUMENT...");
	netns_fd = bench_netns_open(argv[1], argv[2]);
	if (netns_fd < 0)
		bench_die("%s/%s", argv[1], argv[2]);
	bench_netns_enter(netns_fd);
	close(netns_fd);
	sa.sin_port = htons((uint16_t)bench_number(argv[3]));
	for (unsigned int i = 0; i < bench_number(argv[4]) && i < 4; i++) {
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) <
			    0 ||
		    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
			bench_die("port %s", argv[3]);
		snprintf(number, sizeof(number), "%d;", fd);
		strcat(sockets, number);
	}
	bench_netns_home();
	if (setenv("NGINX", sockets, 1) < 0)
		bench_die("setenv");
	execv(argv[5], argv + 5);
	bench_die("%s", argv[5]);
}
