/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_addrs.h - the addresses of an SCTP socket: an endpoint may have several
 */
#ifndef COMMON_SCTP_ADDRS_H
#define COMMON_SCTP_ADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

struct backend_source;

/** How many addresses one backend may have: more than any host has networks by
 * which it is reached. */
#define SCTP_ADDRS_MAX 8u

/**
 * struct sctp_addrs - how one endpoint is reached
 * @port:	host byte order
 * @n:		at least 1
 */
struct sctp_addrs {
	struct ip_addr addrs[SCTP_ADDRS_MAX];
	uint16_t port;
	uint8_t n;
};

/** sctp_addrs_family() - the family of a socket that reaches all of them:
 * AF_INET6 if one of them needs that */
int sctp_addrs_family(const struct sctp_addrs *addrs);

/**
 * sctp_addrs_add() - binds a socket to addresses beside those that it has
 * @port:	host byte order; 0: the one that it has, or of the kernel's
 *		choice
 *
 * By setsockopt(2), for one address as well: it needs no bind(2).
 * Return: 0, also for none; -ENOMEM; -errno of setsockopt(2).
 */
int sctp_addrs_add(int fd, const struct ip_addr *addrs, size_t n,
		   uint16_t port);

/** sctp_addrs_remove() - takes addresses off a socket. Return: as
 * sctp_addrs_add(); -EBUSY: it would have none left. */
int sctp_addrs_remove(int fd, const struct ip_addr *addrs, size_t n,
		      uint16_t port);

/**
 * sctp_addrs_add_routed() - binds a socket to the addresses that packets to a
 * peer leave from
 * @fd:		not bound yet; sctp_addrs_family() of @to
 * @udp_fd:	a fresh UDP socket of the same namespace and family, used up
 *
 * A socket that is not bound would announce every address of its namespace, and
 * the peer would send to addresses that mean somebody else where it is:
 * 172.17.0.1 is the bridge of each host that has Docker.
 *
 * Return: 0; -ENETUNREACH and the like: there is no route to any of @to;
 * -ENOMEM; -errno of setsockopt(2).
 */
int sctp_addrs_add_routed(int fd, int udp_fd, const struct sctp_addrs *to);

/**
 * sctp_addrs_add_chosen() - binds a socket to the addresses that a rule says
 * @from:	those of a family that @to has are taken; with a port, they have
 *		the same port
 *
 * Several associations may have that port, each with a peer of its own.
 * Return: as sctp_addrs_add().
 */
int sctp_addrs_add_chosen(int fd, const struct backend_source *from, size_t n,
			  const struct sctp_addrs *to);

/**
 * sctp_addrs_get() - the addresses that a socket is bound to
 * @ret_addrs:	the caller's, to be freed; v4-mapped ones are IPv4 addresses
 *
 * Of a socket on a wildcard they are all that its namespace has.
 * Return: 0; -ENOMEM; -errno of getsockopt(2).
 */
int sctp_addrs_get(int fd, struct ip_addr **ret_addrs, size_t *ret_n);

/** sctp_addrs_holds() - is a socket bound to one of them? */
bool sctp_addrs_holds(int fd, const struct sctp_addrs *addrs);

/** sctp_addrs_connect() - connects to a peer by all its addresses. Return: 0;
 * -EINPROGRESS; -ENOMEM; -errno. */
int sctp_addrs_connect(int fd, const struct sctp_addrs *to);

#endif
