/* SPDX-License-Identifier: Apache-2.0 */
/* ip.h - IP addresses and prefixes as values */
#ifndef COMMON_IP_H
#define COMMON_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Longest text: IPv6 with an interface's name behind '%', and brackets. */
#define IP_TEXT_MAX 72

/**
 * struct ip_addr - an address; unused bytes are zero, so memcmp() compares
 * @family:	AF_INET (4 bytes of @bytes), AF_INET6 (16), AF_UNSPEC (none)
 * @bytes:	network byte order
 */
struct ip_addr {
	uint8_t family;
	uint8_t bytes[16];
};

/** struct ip_prefix - an address and how many of its leading bits count */
struct ip_prefix {
	struct ip_addr addr;
	uint8_t bits;
};

/** ip_addr_equal() - same family and bytes? */
bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);

/**
 * ip_addr_parse() - inet_pton(3) for either family; no brackets, no scope
 * Return: 0, or -EINVAL with *@ret_addr untouched.
 */
int ip_addr_parse(const char *text, struct ip_addr *ret_addr);

/** ip_addr_fmt() - writes the text form to @buffer of IP_TEXT_MAX; returns it
 */
const char *ip_addr_fmt(const struct ip_addr *addr, char *buffer);

/** ip_addr_is_any() - 0.0.0.0 or ::? */
bool ip_addr_is_any(const struct ip_addr *addr);

/** ip_addr_is_loopback() - 127/8 or ::1? */
bool ip_addr_is_loopback(const struct ip_addr *addr);

/** ip_addr_is_v4_mapped() - is it an IPv6 address that stands for an IPv4 one,
 * ::ffff:0:0/96? */
bool ip_addr_is_v4_mapped(const struct ip_addr *addr);

/** ip_addr_is_link_local() - is it in fe80::/10, and so needs a scope?
 * 169.254/16 needs none. */
bool ip_addr_is_link_local(const struct ip_addr *addr);

/**
 * ip_prefix_parse() - "10.0.0.0/8", "fd00::/8", or a bare address (all bits)
 * Return: 0; -EINVAL for what is neither; -ERANGE for too many bits; -EDOM
 * when bits behind the prefix length are set (the writer meant another net).
 */
int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix);

/**
 * ip_host_prefix_parse() - "192.0.2.1/24": an address, and its net's length
 *
 * Return: as ip_prefix_parse(), but never -EDOM.
 */
int ip_host_prefix_parse(const char *text, struct ip_prefix *ret_prefix);

/** ip_prefix_contains() - is @addr in the prefix? Never when the families
 * differ. */
bool ip_prefix_contains(const struct ip_prefix *prefix,
			const struct ip_addr *addr);

/** ip_port_parse() - digits only, 1 to 65535, to host byte order
 * Return: 0, or -EINVAL with *@ret_port untouched. */
int ip_port_parse(const char *text, uint16_t *ret_port);

#define IP_ADDR_PORT_EXPECTED "ADDRESS:PORT or [IPV6]:PORT"

/**
 * ip_addr_port_parse() - "10.0.0.1:80" or "[::1]:80"
 * @ret_port:	host byte order
 * @ret_problem: static text of what was expected, on failure;
 *		IP_ADDR_PORT_EXPECTED when it has another form
 *
 * Literal addresses only: berth resolves no names.
 * Return: 0 or -EINVAL.
 */
int ip_addr_port_parse(const char *text, struct ip_addr *ret_addr,
		       uint16_t *ret_port, const char **ret_problem);

/**
 * ip_addr_to_sockaddr() - an AF_INET or AF_INET6 address as bind(2) takes it
 * @port:	host byte order
 * @scope_id:	interface index for link-local IPv6, else 0
 * Return: the length for bind(2).
 */
socklen_t ip_addr_to_sockaddr(const struct ip_addr *addr, uint16_t port,
			      uint32_t scope_id, struct sockaddr_storage *ret);

/**
 * ip_addr_from_sockaddr() - the reverse of ip_addr_to_sockaddr(); a v4-mapped
 * IPv6 address becomes AF_INET
 * @ret_port:	host byte order; may be NULL
 * Return: 0 or -EAFNOSUPPORT.
 */
int ip_addr_from_sockaddr(const struct sockaddr_storage *sa,
			  struct ip_addr *ret_addr, uint16_t *ret_port);

#endif
