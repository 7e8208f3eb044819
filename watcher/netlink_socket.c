// SPDX-License-Identifier: Apache-2.0
/* netlink_socket.c - a socket of rtnetlink, and how it receives */
#include "watcher/netlink_socket.h"

#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "common/util.h"

int netlink_socket_open(struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) < 0) {
		r = errno ? -errno : -EIO;
		nl_socket_free(sock);
		return r;
	}
	*ret_sock = sock;
	return 0;
}

int netlink_socket_set(struct nl_sock *sock, int option)
{
	const int one = 1;

	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, option, &one,
		       sizeof(one)) < 0)
		return -errno;
	return 0;
}
