// SPDX-License-Identifier: Apache-2.0
/* udp_socket.c - asking the kernel about a connected UDP socket
 *
 * Theory of operation: without IP_RECVERR a connected socket does not hear of
 * most ICMP errors, such as those that a host or a network cannot be reached.
 * With IP_RECVERR each error comes twice: the next system call returns it, and
 * the error queue has it with its origin. epoll(7) reports EPOLLERR until the
 * queue is empty. To read the queue also takes away the error that the next
 * system call would return. So the queue is the one place to look.
 *
 * The kernel also queues a copy of each error that sending returned. Those are
 * not about an earlier datagram, and are skipped.
 */
#include "relay/udp/udp_socket.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h> /* for linux/errqueue.h */

#include <linux/errqueue.h>

#include "common/util.h"
#include "relay/udp/udp_address.h"

/* Errors that are taken at once. With more, the socket is reported again. */
#define TOLD_MAX 64

void udp_socket_prepare(int fd, int family)
{
	static const int on = 1, no_df = IP_PMTUDISC_DONT;

	/* An IPv6 socket speaks IPv4 to ::ffff:0:0/96, so the options of IPv4
	 * are set on both. IPv6 routers do not fragment: there the kernel has
	 * to hear of "too big" to do it itself, as it does by default. */
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on,
				 sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &no_df,
			 sizeof(no_df));
}

/* An entry of the queue: the error, and the address that it came from. */
union told_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) +
			      sizeof(struct sockaddr_in6))];
};

static void told_add(struct udp_told *told, struct cmsghdr *cmsg)
{
	struct sock_extended_err queued;
	enum udp_verdict verdict;

	if (!((cmsg->cmsg_level == IPPROTO_IP &&
	       cmsg->cmsg_type == IP_RECVERR) ||
	      (cmsg->cmsg_level == IPPROTO_IPV6 &&
	       cmsg->cmsg_type == IPV6_RECVERR)) ||
	    cmsg->cmsg_len < CMSG_LEN(sizeof(queued)))
		return;
	memcpy(&queued, CMSG_DATA(cmsg), sizeof(queued));
	if (queued.ee_origin != SO_EE_ORIGIN_ICMP &&
	    queued.ee_origin != SO_EE_ORIGIN_ICMP6)
		return;
	verdict = udp_error_verdict(UDP_ORIGIN_TOLD, (int)queued.ee_errno);
	if (told->n++ == 0 || verdict > told->verdict) {
		told->error = (int)queued.ee_errno;
		told->verdict = verdict;
	}
}

struct udp_told udp_socket_told(int fd)
{
	struct udp_told told = { .n = 0 };
	union told_control control;
	struct cmsghdr *cmsg;

	for (int i = 0; i < TOLD_MAX; i++) {
		struct msghdr header = {
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};

		if (recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
		for (cmsg = CMSG_FIRSTHDR(&header); cmsg;
		     cmsg = CMSG_NXTHDR(&header, cmsg))
			told_add(&told, cmsg);
	}
	return told;
}

bool udp_socket_lost_address(int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { .bytes = { 0 } };
	struct msghdr header = {
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	struct in6_pktinfo source = { .ipi6_ifindex = 0 };
	union udp_address own = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(own);

	if (getsockname(fd, &own.any, &len) < 0 ||
	    own.any.sa_family != AF_INET6 ||
	    IN6_IS_ADDR_V4MAPPED(&own.in6.sin6_addr) ||
	    /* The kernel cannot be asked for it without its interface. */
	    (IN6_IS_ADDR_LINKLOCAL(&own.in6.sin6_addr) &&
	     own.in6.sin6_scope_id == 0))
		return false;
	source.ipi6_addr = own.in6.sin6_addr;
	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(source));
	memcpy(CMSG_DATA(cmsg), &source, sizeof(source));
	/* The kernel checks the source address that a control message names.
	 * With this flag it sends nothing. */
	return sendmsg(fd, &header, MSG_PROBE | MSG_DONTWAIT) < 0 &&
	       errno == EINVAL;
}
