/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.h - to speak to a backend from the client's address */
#ifndef COMMON_STAND_IN_H
#define COMMON_STAND_IN_H

#include "common/ip.h"

/**
 * stand_in_check() - may a socket have the client's address in its place?
 * @family:	of that socket
 *
 * There are addresses that a client may have in its own namespace, or forge,
 * but nobody should have for it in another one, where they mean somebody else:
 * those of the loopback interface, those that say nothing without the
 * interface, those of a group, none. berthd asks before it binds such a socket;
 * the relay before it asks berthd for one.
 *
 * Return: 0; -EAFNOSUPPORT: the client's is of the other family, or not known;
 * -EADDRNOTAVAIL: one of those.
 */
int stand_in_check(const struct ip_addr *client, int family);

#endif
