/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_header.h - the PROXY protocol's header: who the client is
 *
 * Pure: text and bytes from addresses, no contact with the kernel. See
 * doc/proxy-protocol.txt of HAProxy.
 */
#ifndef RELAY_BACKEND_PROXY_HEADER_H
#define RELAY_BACKEND_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_tlv;
struct sockaddr;

/* A v2 header with IPv6 addresses, the longest name, the most TLVs and a
 * checksum has 1341 bytes; without TLVs 317. The specification recommends that
 * a header should go into one segment: this fits into a packet of Ethernet. */
#define PROXY_HEADER_MAX 1344

/**
 * struct proxy_info - what a header says of one connection or datagram
 * @transport:	SOCK_STREAM or SOCK_DGRAM, of what the client speaks
 * @src:	the client's address
 * @dst:	the address that the client spoke to
 * @netns:	the name of the client's network namespace; NULL: none
 * @tlvs:	v2: custom ones; at most SERVICE_TLVS_BYTES_MAX
 * @crc32c:	v2: with a checksum of the header
 *
 * IPv4 addresses that are mapped into IPv6, as dual-stack sockets have them,
 * are told as IPv4. NULL and other families are told as unknown.
 */
struct proxy_info {
	int transport;
	const struct sockaddr *src;
	const struct sockaddr *dst;
	const char *netns;
	const struct service_tlv *tlvs;
	size_t n_tlvs;
	bool crc32c;
};

/**
 * proxy_header_v1() - "PROXY TCP4 …", or "PROXY UNKNOWN"
 * @size:	of @buffer; PROXY_HEADER_MAX is always enough
 *
 * Without @netns, @tlvs and @crc32c: version 1 has no place for them.
 * Return: bytes written; 0: it does not fit, and @buffer is untouched.
 */
size_t proxy_header_v1(const struct proxy_info *info, uint8_t *buffer,
		       size_t size);

/**
 * proxy_header_v2() - the binary header with PP2_TYPE_NETNS, custom TLVs,
 * PP2_TYPE_CRC32C, in this order
 * @size:	of @buffer; PROXY_HEADER_MAX is enough for each name that a file
 *		can have
 *
 * Return: bytes written; 0: it does not fit, and @buffer is untouched.
 */
size_t proxy_header_v2(const struct proxy_info *info, uint8_t *buffer,
		       size_t size);

/** proxy_header_crc32c() - the checksum of RFC 4960, appendix B, as a number */
uint32_t proxy_header_crc32c(const uint8_t *data, size_t len);

#endif
