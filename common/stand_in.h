/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.h - to speak to a backend from the client's address */
#ifndef COMMON_STAND_IN_H
#define COMMON_STAND_IN_H

#include "common/ip.h"

/**
 * stand_in_check() - may a socket to a backend have the client's address?
 * @family:	of that socket
 *
 * A client may have, or forge, an address that means somebody else in another
 * namespace: a loopback address, one that needs an interface to mean anything,
 * one of a group, or none. Such an address is refused. berthd checks before it
 * binds a socket, and the relay before it asks berthd for one.
 *
 * Return: 0; -EAFNOSUPPORT: the client's is of the other family, or not known;
 * -EADDRNOTAVAIL: it is such an address.
 */
int stand_in_check(const struct ip_addr *client, int family);

#endif
