/* SPDX-License-Identifier: Apache-2.0 */
/* udp_address.h - who sent a datagram to which address, and the way back
 *
 * Pure: between the kernel's messages and the keys of sessions.
 */
#ifndef RELAY_UDP_UDP_ADDRESS_H
#define RELAY_UDP_UDP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/ip.h"

struct udp_key;

union udp_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};
_Static_assert(offsetof(struct sockaddr_in, sin_port) ==
		       offsetof(struct sockaddr_in6, sin6_port),
	       "the port is where it is, whatever the family");

/* Room for all that a datagram brings: both kinds of local address, as a
 * dual-stack socket that asks for both gets them; the size of merged ones
 * (UDP_GRO); how many the kernel had to drop (SO_RXQ_OVFL). */
union udp_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		   CMSG_SPACE(sizeof(struct in_pktinfo)) +
		   CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
};

/**
 * udp_control_read() - what a control message says
 *
 * The kernel cuts the last one where the room ends.
 * Return: is it of that kind, and whole? Else *@ret_value is untouched.
 */
bool udp_control_read(const struct cmsghdr *cmsg, int level, int type,
		      void *ret_value, size_t size);

/**
 * udp_key_received() - the key of what was received on a listening socket
 * @family:	of that socket
 * @header:	as recvmmsg(2) left it
 * @overflow:	set if the kernel says how many datagrams it ever dropped
 *		because the socket was full, else untouched
 */
void udp_key_received(struct udp_key *key, uint16_t family,
		      struct msghdr *header, uint32_t *overflow);

/** udp_key_client() - the client's address. Return: its length. */
socklen_t udp_key_client(const struct udp_key *key, union udp_address *address);

/**
 * udp_key_local() - the address that the client spoke to, with @port
 *
 * Return: its length; 0: it is not known.
 */
socklen_t udp_key_local(const struct udp_key *key, uint16_t port,
			union udp_address *address);

/** udp_key_ends() - both addresses; @ret_local is AF_UNSPEC if it is not known
 */
void udp_key_ends(const struct udp_key *key, struct ip_addr *ret_client,
		  struct ip_addr *ret_local);

/**
 * udp_key_stand_in() - the client's address and port, for a socket that sends
 * from there in its place
 * @family:	of that socket
 * @ret_port:	host byte order
 *
 * Return: 0; as of stand_in_check(); -EADDRNOTAVAIL: port 0.
 */
int udp_key_stand_in(const struct udp_key *key, int family,
		     struct ip_addr *ret_client, uint16_t *ret_port);

/**
 * udp_key_source() - writes the control message that sends from there
 *
 * Return: its bytes; 0: the kernel has to choose.
 */
size_t udp_key_source(const struct udp_key *key, union udp_control *control);

#endif
