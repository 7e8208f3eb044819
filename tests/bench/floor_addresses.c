// SPDX-License-Identifier: Apache-2.0
/* floor_addresses.c - the least that makes a listener appear with an address
 *
 * One netlink socket, setns, socket, bind, listen; and close when the address
 * goes. Arguments: DIR NAME PORT.
 */
#include "tests/bench/bench.h"

#include <linux/rtnetlink.h>

static int listen_fd = -1; /* one address at a time */

static void handle(const struct nlmsghdr *nlh, const char *dir,
		   const char *name, uint16_t port)
{
	struct ifaddrmsg *ifa = NLMSG_DATA(nlh);
	struct rtattr *attr = IFA_RTA(ifa);
	int len = (int)IFA_PAYLOAD(nlh), netns_fd;
	uint32_t addr4 = 0;

	if (nlh->nlmsg_type == RTM_DELADDR) {
		close(listen_fd);
		return;
	}
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == IFA_LOCAL)
			memcpy(&addr4, RTA_DATA(attr), sizeof(addr4));
	}
	netns_fd = bench_netns_open(dir, name);
	if (netns_fd < 0)
		bench_die("%s/%s", dir, name);
	listen_fd = bench_listen_in(netns_fd, addr4, port);
	close(netns_fd);
}

/* Is it from the namespace that has this nsid? */
static bool from_nsid(struct msghdr *msg, int nsid)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	for (; cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level == SOL_NETLINK &&
		    cmsg->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			return memcmp(CMSG_DATA(cmsg), &nsid, sizeof(nsid)) ==
			       0;
	}
	return false;
}

int main(int argc, char **argv)
{
	char buffer[8192] __attribute__((aligned(8)));
	char control[64] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = buffer, .iov_len = sizeof(buffer) };
	int netlink_fd, netns_fd, nsid, on = 1;

	bench_init();
	if (argc != 4)
		bench_die("floor_addresses DIR NAME PORT");
	netns_fd = bench_netns_open(argv[1], argv[2]);
	if (netns_fd < 0)
		bench_die("%s/%s", argv[1], argv[2]);
	netlink_fd = bench_netlink_open(RTNLGRP_IPV4_IFADDR);
	nsid = bench_nsid(netlink_fd, netns_fd);
	close(netns_fd);
	if (setsockopt(netlink_fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on,
		       sizeof(on)) < 0)
		bench_die("NETLINK_LISTEN_ALL_NSID");
	bench_notify();
	for (;;) {
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(netlink_fd, &msg, 0);

		if (n < 0)
			bench_die("netlink receive");
		if (from_nsid(&msg, nsid))
			handle((struct nlmsghdr *)buffer, argv[1], argv[2],
			       (uint16_t)bench_number(argv[3]));
	}
}
