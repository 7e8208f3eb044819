/* SPDX-License-Identifier: Apache-2.0 */
/* listener_spec.h - a wanted listener: where, with what, for whom */
#ifndef COMMON_LISTENER_SPEC_H
#define COMMON_LISTENER_SPEC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/protocol.h"
#include "common/service.h"

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

/** endpoint_addr() - its address as a value; AF_UNSPEC for `any` and `all` */
struct ip_addr endpoint_addr(const struct endpoint *endpoint);

/** endpoint_equal() - are all members equal, so that only one of the two can be
 * open? */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/** endpoint_overlaps() - does the kernel keep one from being opened while the
 * other is? A multihomed one may have any address. */
bool endpoint_overlaps(const struct endpoint *a, const struct endpoint *b);

/** endpoint_is_wildcard() - any, any4 or any6? */
bool endpoint_is_wildcard(const struct endpoint *endpoint);

/**
 * endpoint_fmt() - "tcp *:80", "udp 0.0.0.0:53", "tcp [fe80::1%3]:80"; and with
 * the index of the interface that it is bound to, "tcp 10.0.0.1%3:80"
 * @buffer:	of ENDPOINT_TEXT_MAX, returned
 */
const char *endpoint_fmt(const struct endpoint *endpoint, char *buffer);

/** endpoint_addr_fmt() - the address part alone: "*", "10.0.0.1", "fe80::1%3";
 * "all" for multihomed. @buffer of IP_TEXT_MAX, returned. */
const char *endpoint_addr_fmt(const struct endpoint *endpoint, char *buffer);

/**
 * struct listener_spec - one wanted listener
 * @service:	one reference is owned by the spec
 * @ifname:	the interface through which the address matched; "" without one
 * @addrs:	the addresses of a @multihomed endpoint; owned
 * @freebind:	the address is literal and need not exist (IP_FREEBIND)
 * @observed:	the kernel told of the address, perhaps before it can be bound
 * @refusal:	static text when nothing serves this yet: it is listed, and
 *		not opened. NULL: it is to be opened.
 */
struct listener_spec {
	struct endpoint endpoint;
	struct service *service;
	char ifname[IF_NAMESIZE];
	struct ip_addr *addrs;
	size_t n_addrs;
	bool freebind;
	bool observed;
	const char *refusal;
};

/** listener_spec_done() - gives back what the spec owns, not the struct */
void listener_spec_done(struct listener_spec *spec);

#endif
