// SPDX-License-Identifier: Apache-2.0
/* stand_in.c - to speak to a backend from the client's address */
#include "common/stand_in.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* The first byte of a multicast address; in IPv4 all addresses above are
 * reserved. */
#define GROUP4 224
#define GROUP6 255

static bool is_elsewhere4(const uint8_t *bytes)
{
	return bytes[0] != 0 && bytes[0] != IN_LOOPBACKNET && bytes[0] < GROUP4;
}

/* A socket of IPv6 that is bound to a mapped address has that IPv4 address. */
static bool is_elsewhere6(const struct ip_addr *addr)
{
	static const struct ip_addr loopback = { .family = AF_INET6,
						 .bytes[15] = 1 };

	return !ip_addr_is_any(addr) && !ip_addr_equal(addr, &loopback) &&
	       !ip_addr_is_link_local(addr) && addr->bytes[0] != GROUP6 &&
	       !ip_addr_is_v4_mapped(addr);
}

int stand_in_check(const struct ip_addr *client, int family)
{
	bool elsewhere;

	if (client->family != family)
		return -EAFNOSUPPORT;
	elsewhere = client->family == AF_INET ? is_elsewhere4(client->bytes)
					      : is_elsewhere6(client);
	return elsewhere ? 0 : -EADDRNOTAVAIL;
}
