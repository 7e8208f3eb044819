/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.h - to speak to a backend from the client's address */
#ifndef RELAY_STAND_IN_H
#define RELAY_STAND_IN_H

#include "common/ip.h"

/**
 * stand_in_check() - may a socket have the client's address in its place?
 * @family:	of that socket
 *
 * There are addresses that a client may have in its own namespace, but nobody
 * should have for it in another one, where they mean somebody else: those of
 * the loopback interface, those that say nothing without the interface, none.
 *
 * Return: 0; -EAFNOSUPPORT: the client's is of the other family, or not known;
 * -EADDRNOTAVAIL: one of those.
 */
int stand_in_check(const struct ip_addr *client, int family);

/**
 * stand_in_bind() - binds @fd to the client's address, with a port of the
 * kernel's choice
 * @family:	of @fd, which has IP_TRANSPARENT
 *
 * Return: 0; as stand_in_check(); -errno of bind(2).
 */
int stand_in_bind(int fd, int family, const struct ip_addr *client);

#endif
