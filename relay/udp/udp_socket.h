/* SPDX-License-Identifier: Apache-2.0 */
/* udp_socket.h - what the kernel tells of a connected UDP socket
 *
 * For sockets of IPv4 and IPv6, not for UNIX sockets. Nothing here blocks.
 */
#ifndef RELAY_UDP_UDP_SOCKET_H
#define RELAY_UDP_UDP_SOCKET_H

#include <stdbool.h>

#include "relay/udp/udp_error.h"

/**
 * udp_socket_prepare() - has the kernel tell of all ICMP errors, and pass what
 * is too large for the path in fragments; before connect(2)
 *
 * A kernel that cannot works without.
 */
void udp_socket_prepare(int fd, int family);

/**
 * struct udp_told - what the error queue had
 * @n:		errors of earlier datagrams
 * @error:	the gravest one, a positive errno
 * @verdict:	of that
 */
struct udp_told {
	unsigned int n;
	int error;
	enum udp_verdict verdict;
};

/**
 * udp_socket_told() - empties the error queue, or takes a good part of it
 *
 * The error that waits for the next system call goes with the queue.
 */
struct udp_told udp_socket_told(int fd);

/**
 * udp_socket_lost_address() - has the host no longer the local IPv6 address
 * that @fd was connected from?
 *
 * The kernel goes on sending from such an address, and says nothing. With IPv4
 * sending fails, so that nobody has to ask.
 */
bool udp_socket_lost_address(int fd);

#endif
