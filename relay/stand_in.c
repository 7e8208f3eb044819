// SPDX-License-Identifier: Apache-2.0
/* stand_in.c - to speak to a backend from the client's address */
#include "relay/stand_in.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static bool is_elsewhere(const struct ip_addr *addr)
{
	static const struct ip_addr loopback6 = { .family = AF_INET6,
						  .bytes[15] = 1 };

	if (addr->family == AF_INET)
		return addr->bytes[0] != 0 && addr->bytes[0] != IN_LOOPBACKNET;
	return !ip_addr_is_any(addr) && !ip_addr_equal(addr, &loopback6) &&
	       !ip_addr_is_link_local(addr);
}

int stand_in_check(const struct ip_addr *client, int family)
{
	if (client->family != family)
		return -EAFNOSUPPORT;
	return is_elsewhere(client) ? 0 : -EADDRNOTAVAIL;
}

int stand_in_bind(int fd, int family, const struct ip_addr *client)
{
	static const int on = 1;
	struct sockaddr_storage sa;
	socklen_t len;
	int r;

	r = stand_in_check(client, family);
	if (r < 0)
		return r;
	len = ip_addr_to_sockaddr(client, 0, 0, &sa);
	/* Else a port would be taken that may serve only one destination. SCTP
	 * does not heed it. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
			 sizeof(on));
	return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}
