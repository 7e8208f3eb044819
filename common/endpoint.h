/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - where a listener listens, and which two cannot both exist */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/protocol.h"

/* "sctp-seqpacket [" + address + "%" + ifname + "]:65535" */
#define ENDPOINT_TEXT_MAX (IP_TEXT_MAX + 32)

/**
 * struct endpoint - the key of a listener within its namespace
 *
 * No padding and no unused byte that is not zero: memcmp() compares, uthash
 * hashes the whole.
 * @scope_id:	interface index for link-local IPv6, else 0
 * @bound_ifindex: of the interface that the socket is bound to
 *		(`interface_bound`), so that it hears nothing through others;
 *		0: it is bound to none
 * @port:	host byte order
 * @protocol:	enum protocol
 * @family:	AF_UNSPEC: all addresses of both families (dual-stack; `any`),
 *		or with @multihomed the SCTP endpoint on listed addresses;
 *		AF_INET, AF_INET6 with zero @addr: all of that family
 * @multihomed:	1 for `address: all`
 */
struct endpoint {
	uint32_t scope_id;
	uint32_t bound_ifindex;
	uint16_t port;
	uint8_t protocol;
	uint8_t family;
	uint8_t addr[16];
	uint8_t multihomed;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct endpoint) == 32, "struct endpoint has padding");

/** enum endpoint_conflict - why only one of two endpoints can exist */
enum endpoint_conflict {
	ENDPOINT_COMPATIBLE, /* both can */
	ENDPOINT_SAME, /* they are equal */
	ENDPOINT_PORTS, /* of two protocols that share their ports */
	ENDPOINT_WILDCARDS, /* two wildcards that overlap */
	ENDPOINT_WILDCARD, /* a wildcard and an address that it covers */
	ENDPOINT_ADDRESS, /* both have an address */
};

/** endpoint_addr() - its address as a value; AF_UNSPEC for `any` and `all` */
struct ip_addr endpoint_addr(const struct endpoint *endpoint);

/** endpoint_equal() - are both the same key? */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/** endpoint_is_wildcard() - any, any4 or any6? */
bool endpoint_is_wildcard(const struct endpoint *endpoint);

/** endpoint_member() - the endpoint on one address of a multihomed one */
struct endpoint endpoint_member(const struct endpoint *multihomed,
				const struct ip_addr *addr);

/**
 * endpoint_conflict() - does the kernel keep one from being opened while the
 * other is?
 *
 * It lets either a wildcard or single addresses have a port, or one address
 * several times if each socket is bound to another interface, and knows no
 * difference between TCP and MPTCP, nor between the two SCTP styles. Two
 * multihomed endpoints always conflict, because addresses come and go; one and
 * another endpoint do as if it had every address, see
 * endpoint_members_conflict().
 */
enum endpoint_conflict endpoint_conflict(const struct endpoint *a,
					 const struct endpoint *b);

/**
 * endpoint_members_conflict() - as endpoint_conflict(), for the addresses that
 * a multihomed endpoint has
 * @addrs:	of @multihomed, @n of them
 * @other:	not multihomed
 */
bool endpoint_members_conflict(const struct endpoint *multihomed,
			       const struct ip_addr *addrs, size_t n,
			       const struct endpoint *other);

/**
 * endpoint_fmt() - "tcp *:80", "udp 0.0.0.0:53", "tcp [fe80::1%3]:80"; and with
 * the index of the interface that it is bound to, "tcp 10.0.0.1%3:80"
 * @buffer:	of ENDPOINT_TEXT_MAX, returned
 */
const char *endpoint_fmt(const struct endpoint *endpoint, char *buffer);

/** endpoint_addr_fmt() - the address part alone: "*", "10.0.0.1", "fe80::1%3";
 * "all" for multihomed. @buffer of IP_TEXT_MAX, returned. */
const char *endpoint_addr_fmt(const struct endpoint *endpoint, char *buffer);

#endif
