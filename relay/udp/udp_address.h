/* SPDX-License-Identifier: Apache-2.0 */
/* udp_address.h - which client sent a datagram to which address, and the way
 * back
 *
 * Translates between the kernel's messages and struct udp_key. No system
 * calls, no state.
 */
#ifndef RELAY_UDP_UDP_ADDRESS_H
#define RELAY_UDP_UDP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/ip.h"

/**
 * struct udp_key - a client and the address that it sent to
 *
 * Keys are compared and hashed as bytes: there is no padding, and unused bytes
 * are zero. Addresses are in network byte order. An IPv4 address is in the
 * first four bytes, or mapped into IPv6, as the listening socket's family has
 * it.
 * @client:	the client's address
 * @local:	the address that the client sent to; zero: not known
 * @scope_id:	of a link-local client, else 0
 * @ifindex:	of a link-local @local, else 0
 * @port:	the client's, network byte order
 * @family:	of the listening socket
 */
struct udp_key {
	uint8_t client[16];
	uint8_t local[16];
	uint32_t scope_id;
	uint32_t ifindex;
	uint16_t port;
	uint16_t family;
};
_Static_assert(sizeof(struct udp_key) == 44, "struct udp_key has padding");

union udp_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};
_Static_assert(offsetof(struct sockaddr_in, sin_port) ==
		       offsetof(struct sockaddr_in6, sin6_port),
	       "the port is in the same place in both families");

/* Room for all control messages that come with a datagram: the local address
 * twice, because a dual-stack socket that asks for both kinds gets both; the
 * size of merged datagrams (UDP_GRO); and how many datagrams the kernel had to
 * drop (SO_RXQ_OVFL). */
union udp_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		   CMSG_SPACE(sizeof(struct in_pktinfo)) +
		   CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
};

/**
 * udp_control_read() - reads a control message of one kind
 * @level, @type: the kind
 * @ret_value:	gets @size bytes, the message's value
 *
 * The kernel cuts the last control message off where the room ends.
 * Return: true if @cmsg is of that kind and whole; else *@ret_value is
 * untouched.
 */
bool udp_control_read(const struct cmsghdr *cmsg, int level, int type,
		      void *ret_value, size_t size);

/**
 * udp_key_received() - makes the key of a datagram that a listening socket
 * received
 * @family:	of that socket
 * @header:	as recvmmsg(2) left it
 * @overflow:	set if the kernel says how many datagrams it ever dropped
 *		because the socket was full, else untouched
 */
void udp_key_received(struct udp_key *key, uint16_t family,
		      struct msghdr *header, uint32_t *overflow);

/** udp_key_client() - writes the client's address and port to @address.
 * Return: the length of the address. */
socklen_t udp_key_client(const struct udp_key *key, union udp_address *address);

/**
 * udp_key_local() - writes the address that the client sent to
 * @port:	goes with the address; network byte order
 *
 * Return: the length of the address; 0: it is not known, and @address is
 * untouched.
 */
socklen_t udp_key_local(const struct udp_key *key, uint16_t port,
			union udp_address *address);

/**
 * udp_key_ends() - tells both addresses
 * @ret_local:	of family AF_UNSPEC if it is not known
 */
void udp_key_ends(const struct udp_key *key, struct ip_addr *ret_client,
		  struct ip_addr *ret_local);

/**
 * udp_key_stand_in() - tells the client's address and port, for a socket that
 * sends from there in the client's place
 * @family:	of that socket
 * @ret_port:	host byte order
 *
 * Return: 0; as of stand_in_check(); -EADDRNOTAVAIL: the client's port is 0.
 */
int udp_key_stand_in(const struct udp_key *key, int family,
		     struct ip_addr *ret_client, uint16_t *ret_port);

/**
 * udp_key_source() - writes the control message by which a listening socket
 * sends from the address that the client sent to
 *
 * Return: its bytes; 0: the address is not known, so the kernel has to choose
 * one.
 */
size_t udp_key_source(const struct udp_key *key, union udp_control *control);

#endif
