// SPDX-License-Identifier: Apache-2.0
/* proxy_header.c - the PROXY protocol's header: who the client is */
#include "relay/backend/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/service.h"

/* "PROXY TCP6 " and what two buffers of INET6_ADDRSTRLEN and two ports may
 * hold; 108 are in use at most. */
#define V1_TEXT_MAX 128

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_SIGNATURE_LEN 12
#define V2_PROXY 0x21 /* version 2, command PROXY */
#define V2_FIXED_LEN 16 /* all of them; the rest is counted in the header */
#define V2_STREAM 0x1
#define V2_DGRAM 0x2
#define V2_INET 0x10
#define V2_INET6 0x20
#define V2_UNSPEC 0x00

#define TLV_CRC32C 0x03
#define TLV_NETNS 0x30
#define TLV_HEAD_LEN 3

/**
 * struct ends - both addresses in one family
 * @family:	AF_INET, AF_INET6, or AF_UNSPEC when they are not known
 * @addr_len:	bytes of each address in use
 * @src_port, @dst_port: network byte order
 */
struct ends {
	int family;
	size_t addr_len;
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t src_port;
	uint16_t dst_port;
};

/* As IPv6, into which all of IPv4 can be mapped.
 * Return: false for what is neither. */
static bool to_ipv6(const struct sockaddr *sa, uint8_t *addr, uint16_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + sizeof(mapped), &in.sin_addr, 4);
		*port = in.sin_port;
		return true;
	}
	if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(addr, &in6.sin6_addr, sizeof(in6.sin6_addr));
		*port = in6.sin6_port;
		return true;
	}
	return false;
}

static bool is_mapped(const uint8_t *addr)
{
	struct in6_addr in6;

	memcpy(&in6, addr, sizeof(in6));
	return IN6_IS_ADDR_V4MAPPED(&in6);
}

/* One IPv4 address and one that is not are both told as IPv6. */
static struct ends find_ends(const struct proxy_info *info)
{
	struct ends ends = { .family = AF_UNSPEC };

	if (!to_ipv6(info->src, ends.src, &ends.src_port) ||
	    !to_ipv6(info->dst, ends.dst, &ends.dst_port))
		return ends;
	ends.family = AF_INET6;
	ends.addr_len = 16;
	if (is_mapped(ends.src) && is_mapped(ends.dst)) {
		ends.family = AF_INET;
		ends.addr_len = 4;
		memmove(ends.src, ends.src + 12, 4);
		memmove(ends.dst, ends.dst + 12, 4);
	}
	return ends;
}

/* The specification wants hexadecimal groups only, where inet_ntop(3) may
 * write the last ones as an IPv4 address. @text has room for 46 bytes. */
static void addr_fmt(int family, const uint8_t *addr, char *text)
{
	size_t used = 0;

	(void)inet_ntop(family, addr, text, INET6_ADDRSTRLEN); /* fits */
	if (family == AF_INET || !strchr(text, '.'))
		return;
	for (int i = 0; i < 16; i += 2)
		used += (size_t)snprintf(text + used, INET6_ADDRSTRLEN - used,
					 "%s%x", i ? ":" : "",
					 addr[i] << 8 | addr[i + 1]);
}

size_t proxy_header_v1(const struct proxy_info *info, uint8_t *buffer,
		       size_t size)
{
	struct ends ends = find_ends(info);
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	char text[V1_TEXT_MAX] = "PROXY UNKNOWN\r\n";
	size_t len;

	if (ends.family != AF_UNSPEC && info->transport == SOCK_STREAM) {
		addr_fmt(ends.family, ends.src, src);
		addr_fmt(ends.family, ends.dst, dst);
		(void)snprintf(text, sizeof(text),
			       "PROXY TCP%c %s %s %u %u\r\n",
			       ends.family == AF_INET ? '4' : '6', src, dst,
			       ntohs(ends.src_port),
			       ntohs(ends.dst_port)); /* fits */
	}
	len = strlen(text);
	if (len > size)
		return 0;
	memcpy(buffer, text, len);
	return len;
}

uint32_t proxy_header_crc32c(const uint8_t *data, size_t len)
{
	/* Of the reflected polynomial 0x82f63b78, by half bytes: a header is
	 * short, and this is no more than a cache line. */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static void put_u16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

static uint8_t *put_tlv(uint8_t *at, uint8_t type, const void *data, size_t len)
{
	at[0] = type;
	put_u16(at + 1, len);
	return put(at + TLV_HEAD_LEN, data, len);
}

static uint8_t *put_ends(uint8_t *at, const struct ends *ends)
{
	at = put(at, ends->src, ends->addr_len);
	at = put(at, ends->dst, ends->addr_len);
	if (ends->family == AF_UNSPEC)
		return at;
	at = put(at, &ends->src_port, sizeof(ends->src_port));
	return put(at, &ends->dst_port, sizeof(ends->dst_port));
}

static uint8_t v2_family(const struct ends *ends, int transport)
{
	unsigned int kind = transport == SOCK_DGRAM ? V2_DGRAM : V2_STREAM;

	switch (ends->family) {
	case AF_INET:
		return (uint8_t)(V2_INET | kind);
	case AF_INET6:
		return (uint8_t)(V2_INET6 | kind);
	default:
		return V2_UNSPEC;
	}
}

/* How long the whole header gets. */
static size_t v2_len(const struct proxy_info *info, const struct ends *ends)
{
	size_t len = V2_FIXED_LEN + 2 * ends->addr_len;

	if (ends->family != AF_UNSPEC)
		len += 2 * sizeof(ends->src_port);
	if (info->netns)
		len += TLV_HEAD_LEN + strlen(info->netns);
	len += service_tlvs_bytes(info->tlvs, info->n_tlvs);
	if (info->crc32c)
		len += TLV_HEAD_LEN + sizeof(uint32_t);
	return len;
}

size_t proxy_header_v2(const struct proxy_info *info, uint8_t *buffer,
		       size_t size)
{
	struct ends ends = find_ends(info);
	size_t len = v2_len(info, &ends);
	uint8_t *at = buffer;
	uint32_t crc = 0;

	if (len > size || len - V2_FIXED_LEN > UINT16_MAX)
		return 0;
	at = put(at, V2_SIGNATURE, V2_SIGNATURE_LEN);
	*at++ = V2_PROXY;
	*at++ = v2_family(&ends, info->transport);
	put_u16(at, len - V2_FIXED_LEN);
	at = put_ends(at + 2, &ends);
	if (info->netns)
		at = put_tlv(at, TLV_NETNS, info->netns, strlen(info->netns));
	for (size_t i = 0; i < info->n_tlvs; i++)
		at = put_tlv(at, info->tlvs[i].type, info->tlvs[i].value,
			     strlen(info->tlvs[i].value));
	if (info->crc32c) {
		/* Counted as zero in its own sum. */
		at = put_tlv(at, TLV_CRC32C, &crc, sizeof(crc));
		crc = htonl(proxy_header_crc32c(buffer, len));
		memcpy(at - sizeof(crc), &crc, sizeof(crc));
	}
	return len;
}
