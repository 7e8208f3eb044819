/* SPDX-License-Identifier: Apache-2.0 */
/* udp_socket.h - asking the kernel about a connected UDP socket
 *
 * For sockets of IPv4 and IPv6, not for UNIX sockets. Nothing here blocks.
 */
#ifndef RELAY_UDP_UDP_SOCKET_H
#define RELAY_UDP_UDP_SOCKET_H

#include <stdbool.h>

#include "relay/udp/udp_error.h"

/** sendmsg(2) sends nothing, and tells whether it would. Linux has this flag;
 * the C library only has its number under another name. */
#define MSG_PROBE 0x10

/**
 * udp_socket_prepare() - has the kernel report all ICMP errors of @fd, and
 * fragment what is too large for the path; before connect(2)
 * @family:	AF_INET or AF_INET6
 *
 * If the kernel cannot do either, the socket is used without.
 */
void udp_socket_prepare(int fd, int family);

/**
 * struct udp_told - what the error queue of a socket had
 * @n:		how many errors of earlier datagrams
 * @error:	the gravest one, a positive errno; 0: there is none
 * @verdict:	what follows from @error
 */
struct udp_told {
	unsigned int n;
	int error;
	enum udp_verdict verdict;
};

/**
 * udp_socket_told() - takes what is in the error queue of @fd, up to some
 * number
 *
 * The kernel then also forgets the error that the next system call would have
 * returned. Return: what there was.
 */
struct udp_told udp_socket_told(int fd);

/**
 * udp_socket_lost_address() - has the host lost the local IPv6 address of @fd?
 *
 * The kernel goes on sending from such an address without an error. With IPv4
 * sending fails, so there this is not needed.
 */
bool udp_socket_lost_address(int fd);

#endif
