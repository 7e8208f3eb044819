// SPDX-License-Identifier: Apache-2.0
/* ip.c - IP addresses and prefixes as values */
#include "common/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/util.h"

static unsigned int ip_family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int ip_addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = AF_INET };

	if (inet_pton(AF_INET, text, addr.bytes) != 1) {
		addr = (struct ip_addr){ .family = AF_INET6 };
		if (inet_pton(AF_INET6, text, addr.bytes) != 1)
			return -EINVAL;
	}
	*ret_addr = addr;
	return 0;
}

const char *ip_addr_fmt(const struct ip_addr *addr, char *buffer)
{
	if (addr->family == AF_UNSPEC ||
	    !inet_ntop(addr->family, addr->bytes, buffer, IP_TEXT_MAX))
		memcpy(buffer, "*", sizeof("*"));
	return buffer;
}

bool ip_addr_is_any(const struct ip_addr *addr)
{
	static const uint8_t zero[sizeof(addr->bytes)];

	return memcmp(addr->bytes, zero, sizeof(zero)) == 0;
}

bool ip_addr_is_loopback(const struct ip_addr *addr)
{
	static const uint8_t loopback6[sizeof(addr->bytes)] = { [15] = 1 };

	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	return memcmp(addr->bytes, loopback6, sizeof(loopback6)) == 0;
}

bool ip_addr_is_v4_mapped(const struct ip_addr *addr)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return addr->family == AF_INET6 &&
	       memcmp(addr->bytes, prefix, sizeof(prefix)) == 0;
}

bool ip_addr_is_link_local(const struct ip_addr *addr)
{
	return addr->family == AF_INET6 && addr->bytes[0] == 0xfe &&
	       (addr->bytes[1] & 0xc0) == 0x80;
}

/* The first bits of both agree. */
static bool ip_bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) &
			     (uint8_t)(0xff << (8 - rest))) == 0;
}

/* Decimal digits only: strtoul(3) would take signs and spaces. */
static int ip_bits_parse(const char *text, unsigned int *ret_bits)
{
	unsigned int bits = 0;

	if (!*text || strlen(text) > 3)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned int)(*text - '0');
	}
	*ret_bits = bits;
	return 0;
}

int ip_host_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	char addr_text[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct ip_prefix prefix;
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned int bits;

	if (len >= sizeof(addr_text))
		return -EINVAL;
	memcpy(addr_text, text, len);
	addr_text[len] = '\0';
	if (ip_addr_parse(addr_text, &prefix.addr) < 0)
		return -EINVAL;
	bits = ip_family_bits(prefix.addr.family);
	if (slash && ip_bits_parse(slash + 1, &bits) < 0)
		return -EINVAL;
	if (bits > ip_family_bits(prefix.addr.family))
		return -ERANGE;
	prefix.bits = (uint8_t)bits;
	*ret_prefix = prefix;
	return 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	struct ip_prefix prefix;
	struct ip_addr masked = { 0 };
	int r = ip_host_prefix_parse(text, &prefix);

	if (r < 0)
		return r;
	memcpy(masked.bytes, prefix.addr.bytes, prefix.bits / 8);
	if (prefix.bits % 8)
		masked.bytes[prefix.bits / 8] =
			prefix.addr.bytes[prefix.bits / 8] &
			(uint8_t)(0xff << (8 - prefix.bits % 8));
	if (memcmp(masked.bytes, prefix.addr.bytes, sizeof(masked.bytes)) != 0)
		return -EDOM;
	*ret_prefix = prefix;
	return 0;
}

bool ip_prefix_contains(const struct ip_prefix *prefix,
			const struct ip_addr *addr)
{
	return prefix->addr.family == addr->family &&
	       ip_bits_equal(prefix->addr.bytes, addr->bytes, prefix->bits);
}

int ip_port_parse(const char *text, uint16_t *ret_port)
{
	unsigned int port = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned int)(*text - '0');
	}
	if (port < 1 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* Splits "a:p" and "[a]:p"; @host has room for INET6_ADDRSTRLEN. */
static const char *host_split(const char *text, char *host, size_t size)
{
	const char *end, *port;
	size_t len;

	if (text[0] == '[') {
		text++;
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return NULL;
		port = end + 2;
	} else {
		end = strchr(text, ':');
		/* A second colon means IPv6 without brackets: nobody can tell
		 * where the port begins. */
		if (!end || strchr(end + 1, ':'))
			return NULL;
		port = end + 1;
	}
	len = (size_t)(end - text);
	if (len >= size)
		return NULL;
	memcpy(host, text, len);
	host[len] = '\0';
	return port;
}

int ip_addr_port_parse(const char *text, struct ip_addr *ret_addr,
		       uint16_t *ret_port, const char **ret_problem)
{
	char host[46];
	const char *port_text = host_split(text, host, sizeof(host));

	*ret_problem = IP_ADDR_PORT_EXPECTED;
	if (!port_text)
		return -EINVAL;
	if (ip_addr_parse(host, ret_addr) < 0 ||
	    (ret_addr->family == AF_INET6) != (text[0] == '[')) {
		*ret_problem =
			"a literal address (names are not resolved), IPv6 "
			"in brackets";
		return -EINVAL;
	}
	if (ip_port_parse(port_text, ret_port) < 0) {
		*ret_problem = "a port from 1 to 65535";
		return -EINVAL;
	}
	return 0;
}

socklen_t ip_addr_to_sockaddr(const struct ip_addr *addr, uint16_t port,
			      uint32_t scope_id, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (addr->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, addr->bytes, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = scope_id;
	memcpy(&in6->sin6_addr, addr->bytes, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

int ip_addr_from_sockaddr(const struct sockaddr_storage *sa,
			  struct ip_addr *ret_addr, uint16_t *ret_port)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	struct ip_addr addr = { .family = AF_INET };
	uint16_t port;

	if (sa->ss_family == AF_INET) {
		memcpy(addr.bytes, &in->sin_addr, sizeof(in->sin_addr));
		port = ntohs(in->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			memcpy(addr.bytes, in6->sin6_addr.s6_addr + 12, 4);
		} else {
			addr.family = AF_INET6;
			memcpy(addr.bytes, &in6->sin6_addr,
			       sizeof(in6->sin6_addr));
		}
		port = ntohs(in6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_addr = addr;
	if (ret_port)
		*ret_port = port;
	return 0;
}
