// SPDX-License-Identifier: Apache-2.0
/* netlink.c - the few rtnetlink requests of the benchmark's programs */
#include "tests/bench/bench.h"

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#define MESSAGE_MAX 8192

/* One request with room for its attributes. */
struct request {
	struct nlmsghdr nlh;
	union {
		struct rtgenmsg gen;
		struct ifaddrmsg addr;
	} body;
	char attrs[128];
};

int bench_netlink_open(int group)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		bench_die("netlink");
	if (group && setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
				sizeof(group)) < 0)
		bench_die("netlink group %d", group);
	return fd;
}

static void add_attr(struct request *request, unsigned short type,
		     const void *data, size_t len)
{
	struct rtattr *attr =
		(void *)((char *)request + NLMSG_ALIGN(request->nlh.nlmsg_len));

	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	request->nlh.nlmsg_len =
		NLMSG_ALIGN(request->nlh.nlmsg_len) + RTA_ALIGN(attr->rta_len);
}

/* The value of an attribute that is an int, or -1. */
static int int_attr(const struct nlmsghdr *nlh, size_t body_len,
		    unsigned short type)
{
	struct rtattr *attr =
		(void *)((char *)NLMSG_DATA(nlh) + NLMSG_ALIGN(body_len));
	int len = (int)(nlh->nlmsg_len - NLMSG_SPACE(body_len)), value;

	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == type) {
			memcpy(&value, RTA_DATA(attr), sizeof(value));
			return value;
		}
	}
	return -1;
}

/* Sends, and waits for the answer; other messages are dropped. Returns the
 * answer's errno, negative, or 0. */
static int talk(int fd, struct request *request, struct nlmsghdr **ret_answer)
{
	static char buffer[MESSAGE_MAX] __attribute__((aligned(8)));
	static uint32_t seq;
	ssize_t n;

	request->nlh.nlmsg_seq = ++seq;
	request->nlh.nlmsg_flags |= NLM_F_REQUEST;
	if (send(fd, request, request->nlh.nlmsg_len, 0) < 0)
		bench_die("netlink send");
	for (;;) {
		struct nlmsghdr *nlh = (void *)buffer;

		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0)
			bench_die("netlink receive");
		for (; NLMSG_OK(nlh, (size_t)n); nlh = NLMSG_NEXT(nlh, n)) {
			if (nlh->nlmsg_seq != seq)
				continue;
			*ret_answer = nlh;
			if (nlh->nlmsg_type != NLMSG_ERROR)
				return 0;
			return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
		}
	}
}

static struct request nsid_request(uint16_t type, int netns_fd)
{
	struct request request = {
		.nlh.nlmsg_type = type,
		.nlh.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
	};

	add_attr(&request, NETNSA_FD, &netns_fd, sizeof(netns_fd));
	return request;
}

int bench_nsid(int netlink_fd, int netns_fd)
{
	struct request request = nsid_request(RTM_NEWNSID, netns_fd);
	struct nlmsghdr *answer;
	int assign = -1, r;

	request.nlh.nlmsg_flags = NLM_F_ACK;
	add_attr(&request, NETNSA_NSID, &assign, sizeof(assign));
	r = talk(netlink_fd, &request, &answer);
	if (r < 0 && r != -EEXIST) {
		errno = -r;
		bench_die("RTM_NEWNSID");
	}
	request = nsid_request(RTM_GETNSID, netns_fd);
	r = talk(netlink_fd, &request, &answer);
	errno = -r;
	if (r < 0)
		bench_die("RTM_GETNSID");
	return int_attr(answer, sizeof(struct rtgenmsg), NETNSA_NSID);
}

void bench_address(int netlink_fd, bool add, unsigned int ifindex,
		   uint32_t addr4)
{
	struct request request = {
		.nlh.nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR,
		.nlh.nlmsg_flags = NLM_F_ACK | (add ? NLM_F_CREATE : 0),
		.nlh.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
		.body.addr = { .ifa_family = AF_INET,
			       .ifa_prefixlen = 32,
			       .ifa_index = ifindex },
	};
	struct nlmsghdr *answer;
	int r;

	add_attr(&request, IFA_LOCAL, &addr4, sizeof(addr4));
	add_attr(&request, IFA_ADDRESS, &addr4, sizeof(addr4));
	r = talk(netlink_fd, &request, &answer);
	errno = -r;
	if (r < 0)
		bench_die("address");
}

uint64_t bench_wait_freed(int netlink_fd, int nsid)
{
	char buffer[MESSAGE_MAX] __attribute__((aligned(8)));
	ssize_t n;

	for (;;) {
		struct nlmsghdr *nlh = (void *)buffer;
		uint64_t now_ns;

		n = recv(netlink_fd, buffer, sizeof(buffer), 0);
		now_ns = bench_now_ns();
		if (n < 0)
			bench_die("waiting for RTM_DELNSID");
		for (; NLMSG_OK(nlh, (size_t)n); nlh = NLMSG_NEXT(nlh, n)) {
			if (nlh->nlmsg_type == RTM_DELNSID &&
			    int_attr(nlh, sizeof(struct rtgenmsg),
				     NETNSA_NSID) == nsid)
				return now_ns;
		}
	}
}
