// SPDX-License-Identifier: Apache-2.0
/* adopt.c - is a descriptor the listener that somebody says it is?
 *
 * A consumer hands back its listeners to a berthd that was started anew. It is
 * not trusted: each word of its claim is compared with what the kernel says of
 * the socket.
 *
 * The id of an open listener is the kernel's cookie of its socket. No two
 * sockets have the same one as long as the kernel runs, so berthd need not
 * remember which ids it gave away before it was restarted, and nobody can claim
 * a listener without having its socket.
 */
#include "binder/adopt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "common/sctp_addrs.h"
#include "common/util.h"

/* Debian 12's headers are older than these. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

/* Larger cookies come only from a counter that the kernel keeps for interrupts,
 * which counts down from 2^64. JSON has no such numbers; and ids of listeners
 * that are not open begin above this. */
#define COOKIE_MAX (UINT64_C(1) << 50)

static bool option_is(int fd, int level, int name, int expected)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, level, name, &value, &len) == 0 &&
	       value == expected;
}

static uint64_t cookie(int fd, int name)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : 0;
}

/* Return: the id of the listener that has this socket, if the kernel tells
 * namespaces by cookies, too; 0: its cookie is no usable id. */
static uint64_t socket_id(int fd)
{
	uint64_t id = cookie(fd, SO_COOKIE);

	return id < COOKIE_MAX ? id : 0;
}

uint64_t adopt_id(int fd)
{
	uint64_t id = socket_id(fd);

	/* Older kernels count for each namespace; but for those a listener
	 * cannot be adopted anyway. */
	return id && cookie(fd, SO_NETNS_COOKIE) ? id : 0;
}

/* Return: AF_INET, AF_INET6; or -1: the descriptor is no IP socket. */
static int ip_domain(int fd)
{
	socklen_t len = sizeof(int);
	int domain = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return -1;
	return domain == AF_INET || domain == AF_INET6 ? domain : -1;
}

static bool protocol_fits(int fd, enum protocol protocol)
{
	const struct protocol_socket kind = protocol_socket(protocol);
	int number = kind.protocol;

	if (number == 0)
		number = kind.type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
	return option_is(fd, SOL_SOCKET, SO_TYPE, kind.type) &&
	       option_is(fd, SOL_SOCKET, SO_PROTOCOL, number);
}

/* `any` and `all` are IPv6 sockets, and IPv4 sockets where there is no IPv6. */
static bool family_fits(int fd, int domain, const struct endpoint *endpoint)
{
	if (domain == AF_INET)
		return endpoint->family != AF_INET6;
	return endpoint->family != AF_INET &&
	       option_is(fd, IPPROTO_IPV6, IPV6_V6ONLY,
			 endpoint->family == AF_INET6);
}

/* Of how many addresses does the kernel tell? On all addresses: those of the
 * namespace. */
static size_t n_sctp_addrs(int fd)
{
	_cleanup_free_ struct ip_addr *addrs = NULL;
	size_t n;

	return sctp_addrs_get(fd, &addrs, &n) == 0 ? n : 0;
}

/* @addr is what getsockname(2) says. Of an SCTP socket on all addresses that is
 * the one of its latest association. Where the namespace has a single address,
 * such a socket is not told from one on that address, and does not fit. */
static bool addr_is(int fd, const struct endpoint *endpoint,
		    const struct ip_addr *addr, const struct ip_addr *wanted)
{
	if (!protocol_is_sctp(endpoint->protocol))
		return ip_addr_equal(addr, wanted);
	if (endpoint_is_wildcard(endpoint))
		return ip_addr_equal(addr, wanted) || n_sctp_addrs(fd) > 1;
	return ip_addr_equal(addr, wanted) && n_sctp_addrs(fd) == 1;
}

static bool address_fits(int fd, int domain, const struct endpoint *endpoint)
{
	struct ip_addr wanted = endpoint_addr(endpoint), addr;
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	uint32_t scope_id = 0;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    ip_addr_from_sockaddr(&sa, &addr, &port) < 0 ||
	    port != endpoint->port)
		return false;
	if (endpoint->multihomed)
		return true;
	if (sa.ss_family == AF_INET6)
		scope_id = ((const struct sockaddr_in6 *)&sa)->sin6_scope_id;
	wanted.family = (uint8_t)domain;
	return addr_is(fd, endpoint, &addr, &wanted) &&
	       scope_id == endpoint->scope_id;
}

static bool is_listening(int fd, enum protocol protocol)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (protocol != PROTOCOL_UDP)
		return option_is(fd, SOL_SOCKET, SO_ACCEPTCONN, 1);
	/* A connected one hears a single peer. */
	return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 &&
	       errno == ENOTCONN;
}

/* Return: 0, -EINVAL. */
static int protocol_of(int fd, enum protocol *ret_protocol)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		if (!protocol_fits(fd, (enum protocol)i))
			continue;
		*ret_protocol = (enum protocol)i;
		return 0;
	}
	return -EINVAL;
}

int adopt_describe(int fd, struct adopt_claim *ret_claim)
{
	struct adopt_claim claim = { .id = adopt_id(fd) };
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	enum protocol protocol;
	struct ip_addr addr;

	claim.netns_id = cookie(fd, SO_NETNS_COOKIE);
	if (ip_domain(fd) < 0 || protocol_of(fd, &protocol) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    ip_addr_from_sockaddr(&sa, &addr, &claim.endpoint.port) < 0)
		return -EINVAL;
	claim.endpoint.protocol = (uint8_t)protocol;
	claim.endpoint.family = addr.family;
	memcpy(claim.endpoint.addr, addr.bytes, sizeof(addr.bytes));
	if (sa.ss_family == AF_INET6)
		claim.endpoint.scope_id =
			((const struct sockaddr_in6 *)&sa)->sin6_scope_id;
	*ret_claim = claim;
	return 0;
}

const char *adopt_check(int fd, struct adopt_claim *claim)
{
	struct endpoint *endpoint = &claim->endpoint;
	int domain = ip_domain(fd), ifindex = 0;
	uint64_t netns_id = cookie(fd, SO_NETNS_COOKIE);
	socklen_t len = sizeof(ifindex);

	if (domain < 0)
		return "it is no IP socket";
	if (netns_id == 0)
		return "this kernel does not tell the namespace of a socket";
	if (netns_id != claim->netns_id)
		return "the socket is of another namespace";
	if (claim->id == 0 || socket_id(fd) != claim->id)
		return "the socket is not the one that has this id";
	if (!protocol_fits(fd, endpoint->protocol))
		return "the socket is of another protocol";
	if (!family_fits(fd, domain, endpoint))
		return "the socket is of another address family";
	if (!address_fits(fd, domain, endpoint))
		return "the socket has another address or port";
	if (!is_listening(fd, endpoint->protocol))
		return "the socket does not listen";
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, &len) < 0)
		return "this kernel does not tell the interface of a socket";
	endpoint->bound_ifindex = (uint32_t)ifindex;
	claim->family = domain;
	return NULL;
}
