// SPDX-License-Identifier: Apache-2.0
/* sctp_addrs.c - the addresses of an SCTP socket: an endpoint may have several
 */
#include "common/sctp_addrs.h"

#include <netinet/in.h>
#include <netinet/sctp.h>
#include <string.h>

#include "common/backend_source.h"
#include "common/util.h"

/* linux/in6.h has it, but cannot be included beside netinet/in.h. */
#ifndef IPV6_PREFER_SRC_PUBLIC
#define IPV6_PREFER_SRC_PUBLIC 0x0002
#endif

/* Linux 5.0 */
#ifndef SCTP_REUSE_PORT
#define SCTP_REUSE_PORT 36
#endif

/* Packs addresses as sctp_bindx(3) wants them. NULL: out of memory. */
static void *pack(const struct ip_addr *addrs, size_t n, uint16_t port)
{
	void *packed =
		malloc(n * sizeof(struct sockaddr_in6)); /* the largest */
	uint8_t *end = packed;
	struct sockaddr_storage sa;
	socklen_t len;

	if (!packed)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		len = ip_addr_to_sockaddr(&addrs[i], port, 0, &sa);
		memcpy(end, &sa, len);
		end += len;
	}
	return packed;
}

static int bind_addrs(int fd, const struct ip_addr *addrs, size_t n,
		      uint16_t port, int flags)
{
	_cleanup_free_ void *packed = NULL;

	if (n == 0)
		return 0;
	packed = pack(addrs, n, port);
	if (!packed)
		return -ENOMEM;
	if (sctp_bindx(fd, packed, (int)n, flags) < 0)
		return -errno;
	return 0;
}

int sctp_addrs_add(int fd, const struct ip_addr *addrs, size_t n, uint16_t port)
{
	return bind_addrs(fd, addrs, n, port, SCTP_BINDX_ADD_ADDR);
}

int sctp_addrs_remove(int fd, const struct ip_addr *addrs, size_t n,
		      uint16_t port)
{
	return bind_addrs(fd, addrs, n, port, SCTP_BINDX_REM_ADDR);
}

/* Writes @addr as a socket of @family takes it: an IPv6 socket takes IPv4
 * addresses as mapped ones. */
static socklen_t to_sockaddr(int family, const struct ip_addr *addr,
			     uint16_t port, struct sockaddr_storage *ret_sa)
{
	struct ip_addr mapped = { .family = AF_INET6, .bytes = { 0 } };

	if (family == addr->family)
		return ip_addr_to_sockaddr(addr, port, 0, ret_sa);
	memset(&mapped.bytes[10], 0xff, 2);
	memcpy(&mapped.bytes[12], addr->bytes, sizeof(struct in_addr));
	return ip_addr_to_sockaddr(&mapped, port, 0, ret_sa);
}

/* Asks the kernel which address reaches a peer, by connecting a UDP socket,
 * which sends nothing. */
static int routed_addr(int udp_fd, const struct sockaddr_storage *to,
		       socklen_t to_len, struct ip_addr *ret_addr)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	/* Disconnect first: the socket would keep the local address of the
	 * last peer. */
	(void)connect(udp_fd, &none, sizeof(none));
	if (connect(udp_fd, (const struct sockaddr *)to, to_len) < 0 ||
	    getsockname(udp_fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ip_addr_from_sockaddr(&sa, ret_addr, NULL);
}

static void prepare_ipv6(int fd, int udp_fd)
{
	static const int lasting = IPV6_PREFER_SRC_PUBLIC, off = 0;

	/* A failure of either call does not matter here. Temporary (privacy)
	 * addresses change every day, and an association may last longer. */
	(void)setsockopt(udp_fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &lasting,
			 sizeof(lasting));
	/* Accept IPv4 addresses too, whatever net.ipv6.bindv6only says. */
	(void)setsockopt(udp_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}

static size_t add_unless_there(struct ip_addr *addrs, size_t n,
			       const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++) {
		if (ip_addr_equal(&addrs[i], addr))
			return n;
	}
	addrs[n] = *addr;
	return n + 1;
}

int sctp_addrs_add_routed(int fd, int udp_fd, const struct sctp_addrs *to)
{
	struct ip_addr from[SCTP_ADDRS_MAX], addr;
	int family = sctp_addrs_family(to), r, error = 0;
	struct sockaddr_storage sa;
	socklen_t len;
	size_t n = 0;

	if (family == AF_INET6)
		prepare_ipv6(fd, udp_fd);
	for (size_t i = 0; i < to->n; i++) {
		len = to_sockaddr(family, &to->addrs[i], to->port, &sa);
		r = routed_addr(udp_fd, &sa, len, &addr);
		if (r < 0)
			error = r;
		/* A link-local address cannot be bound without its interface,
		 * which is not known here. */
		else if (!ip_addr_is_link_local(&addr))
			n = add_unless_there(from, n, &addr);
	}
	return n == 0 ? error : sctp_addrs_add(fd, from, n, 0);
}

static bool has_family(const struct sctp_addrs *addrs, int family)
{
	for (size_t i = 0; i < addrs->n; i++) {
		if (addrs->addrs[i].family == family)
			return true;
	}
	return false;
}

int sctp_addrs_add_chosen(int fd, const struct backend_source *from, size_t n,
			  const struct sctp_addrs *to)
{
	static const int on = 1;
	struct ip_addr addrs[SCTP_ADDRS_MAX];
	uint16_t port = 0;
	size_t n_addrs = 0;

	for (size_t i = 0; i < n && n_addrs < SCTP_ADDRS_MAX; i++) {
		if (!has_family(to, from[i].addr.family))
			continue;
		n_addrs = add_unless_there(addrs, n_addrs, &from[i].addr);
		port = from[i].port;
	}
	if (port &&
	    setsockopt(fd, IPPROTO_SCTP, SCTP_REUSE_PORT, &on, sizeof(on)) < 0)
		return -errno;
	return sctp_addrs_add(fd, addrs, n_addrs, port);
}

int sctp_addrs_family(const struct sctp_addrs *addrs)
{
	for (size_t i = 0; i < addrs->n; i++) {
		if (addrs->addrs[i].family == AF_INET6)
			return AF_INET6;
	}
	return AF_INET;
}

static bool has_addr(const struct sctp_addrs *addrs, const struct ip_addr *addr)
{
	for (size_t i = 0; i < addrs->n; i++) {
		if (ip_addr_equal(&addrs->addrs[i], addr))
			return true;
	}
	return false;
}

/* Reads @n addresses that lie packed at @next. */
static size_t unpack(const uint8_t *next, size_t n, struct ip_addr *addrs)
{
	struct sockaddr_storage sa = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = ((const struct sockaddr *)next)->sa_family ==
					     AF_INET6
				     ? sizeof(struct sockaddr_in6)
				     : sizeof(struct sockaddr_in);

		memcpy(&sa, next, len);
		next += len;
		if (ip_addr_from_sockaddr(&sa, &addrs[kept], NULL) == 0)
			kept++;
	}
	return kept;
}

int sctp_addrs_get(int fd, struct ip_addr **ret_addrs, size_t *ret_n)
{
	struct sockaddr *list = NULL;
	struct ip_addr *addrs;
	int n = sctp_getladdrs(fd, 0, &list);

	if (n < 0)
		return -errno;
	addrs = calloc(n ? (size_t)n : 1, sizeof(*addrs));
	if (addrs) {
		*ret_n = unpack((const uint8_t *)list, (size_t)n, addrs);
		*ret_addrs = addrs;
	}
	if (n > 0)
		sctp_freeladdrs(list);
	return addrs ? 0 : -ENOMEM;
}

bool sctp_addrs_holds(int fd, const struct sctp_addrs *addrs)
{
	_cleanup_free_ struct ip_addr *list = NULL;
	bool found = false;
	size_t n = 0;

	if (sctp_addrs_get(fd, &list, &n) < 0)
		return false;
	for (size_t i = 0; i < n && !found; i++)
		found = has_addr(addrs, &list[i]);
	return found;
}

int sctp_addrs_connect(int fd, const struct sctp_addrs *to)
{
	_cleanup_free_ void *packed = pack(to->addrs, to->n, to->port);

	if (!packed)
		return -ENOMEM;
	if (sctp_connectx(fd, packed, (int)to->n, NULL) < 0)
		return -errno;
	return 0;
}
