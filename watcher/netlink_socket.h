/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_socket.h - a socket of rtnetlink, and how it receives
 *
 * libnl makes the sockets and takes the messages apart. It does not receive
 * them: nl_recvmsgs allocates a buffer for each datagram and copies each
 * message out of it, and it has no room for control messages, so that it fails
 * for ever on a socket with NETLINK_LISTEN_ALL_NSID. Datagrams are therefore
 * received into a buffer of the caller's and read where they lie.
 */
#ifndef WATCHER_NETLINK_SOCKET_H
#define WATCHER_NETLINK_SOCKET_H

struct nl_sock;

/* The room for one datagram: dumps come in up to 32 KiB, events in 4. */
#define NETLINK_DATAGRAM_BYTES 65536

/**
 * netlink_socket_open() - opens a socket of rtnetlink in the own namespace
 * @ret_sock:	bound, close-on-exec, in no group; the caller's, to be closed
 *		with nl_socket_free()
 *
 * Return: 0; -ENOMEM; -errno of socket(2) or bind(2).
 */
int netlink_socket_open(struct nl_sock **ret_sock);

/**
 * netlink_socket_set() - turns on an option of SOL_NETLINK
 * @option:	NETLINK_LISTEN_ALL_NSID or another one of netlink(7)
 *
 * Return: 0; -errno of setsockopt(2): -ENOPROTOOPT when the kernel is older
 * than the option, -EPERM when a capability is missing.
 */
int netlink_socket_set(struct nl_sock *sock, int option);

#endif
