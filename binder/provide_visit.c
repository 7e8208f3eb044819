// SPDX-License-Identifier: Apache-2.0
/* provide_visit.c - changes inside a namespace, by a socket born there
 *
 * libnl-route builds the messages. It does not send them: its sockets are made
 * where the thread is, and the thread is inside for as short as can be.
 */
#include "binder/provide_visit.h"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netns_enter.h"
#include "common/util.h"

/* An answer is the header, an error and the request's header. */
#define ANSWER_BYTES 4096

/* On loopback an address is the host's alone: of host scope, it is never chosen
 * as the source of what leaves by other interfaces. */
static int address_scope(const struct provide_request *request)
{
	return request->on_loopback && request->addr.family == AF_INET
		       ? RT_SCOPE_HOST
		       : RT_SCOPE_UNIVERSE;
}

static bool fill_address(struct rtnl_addr *address, struct nl_addr *local,
			 const struct provide_request *request)
{
	nl_addr_set_prefixlen(local, request->prefix_bits);
	if (rtnl_addr_set_local(address, local) < 0)
		return false;
	rtnl_addr_set_ifindex(address, (int)request->ifindex);
	rtnl_addr_set_prefixlen(address, request->prefix_bits);
	rtnl_addr_set_scope(address, address_scope(request));
	/* No detection of duplicates: the listener can be used at once. */
	if (request->addr.family == AF_INET6)
		rtnl_addr_set_flags(address, IFA_F_NODAD);
	return true;
}

static struct nl_msg *address_message(const struct provide_request *request)
{
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local =
		nl_addr_build(request->addr.family, request->addr.bytes,
			      request->addr.family == AF_INET ? 4 : 16);
	struct nl_msg *message = NULL;

	if (address && local && fill_address(address, local, request)) {
		if (request->change == PROVIDE_REMOVE)
			(void)rtnl_addr_build_delete_request(address, 0,
							     &message);
		else
			(void)rtnl_addr_build_add_request(
				address, NLM_F_CREATE | NLM_F_EXCL, &message);
	}
	nl_addr_put(local); /* NULL is fine */
	rtnl_addr_put(address);
	/* This libnl does not know the attribute. */
	if (message && request->change == PROVIDE_ADD &&
	    nla_put_u8(message, IFA_PROTO, PROVIDE_MARK) < 0) {
		nlmsg_free(message);
		message = NULL;
	}
	return message;
}

static struct nl_msg *link_message(const struct provide_request *request)
{
	struct rtnl_link *present = rtnl_link_alloc();
	struct rtnl_link *wanted = rtnl_link_alloc();
	struct nl_msg *message = NULL;

	if (present && wanted) {
		rtnl_link_set_ifindex(present, (int)request->ifindex);
		rtnl_link_set_flags(wanted, IFF_UP);
		(void)rtnl_link_build_change_request(present, wanted, 0,
						     &message);
	}
	rtnl_link_put(present); /* NULL is fine */
	rtnl_link_put(wanted);
	return message;
}

/* Return: the positive errno that stands in the answer; EBADMSG: none does. */
static int answer_error(const char *buffer, ssize_t len)
{
	const struct nlmsghdr *hdr = (const void *)buffer;
	const struct nlmsgerr *answer = NLMSG_DATA(hdr);

	if (!NLMSG_OK(hdr, (size_t)len) || hdr->nlmsg_type != NLMSG_ERROR ||
	    hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)))
		return EBADMSG;
	return -answer->error;
}

/* The kernel answers within send(2), so that recv(2) has not to wait. */
static int ask(int fd, struct nl_msg *message)
{
	_Alignas(struct nlmsghdr) char buffer[ANSWER_BYTES];
	struct nlmsghdr *hdr = nlmsg_hdr(message);
	ssize_t n;

	hdr->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, hdr, hdr->nlmsg_len, 0) < 0)
		return errno;
	n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	return n < 0 ? errno : answer_error(buffer, n);
}

static int carry_out(int fd, const struct provide_request *request)
{
	struct nl_msg *message = request->change == PROVIDE_SET_UP
					 ? link_message(request)
					 : address_message(request);
	int error;

	if (!message)
		return ENOMEM;
	error = ask(fd, message);
	nlmsg_free(message);
	return error;
}

int provide_visit(int netns_fd, struct provide_request *requests, size_t n)
{
	struct netns_socket sock = {
		.domain = AF_NETLINK,
		.type = SOCK_RAW,
		.protocol = NETLINK_ROUTE,
	};
	_cleanup_close_ int fd = -1;
	int r;

	if (netns_fd < 0)
		return -EINVAL;
	r = netns_sockets(netns_fd, &sock, 1);
	if (r < 0)
		return r;
	if (sock.fd < 0)
		return -sock.error;
	fd = sock.fd;
	for (size_t i = 0; i < n; i++)
		requests[i].error = carry_out(fd, &requests[i]);
	return 0;
}
