/* SPDX-License-Identifier: Apache-2.0 */
/* adopt.h - is a descriptor the listener that somebody says it is? */
#ifndef BINDER_ADOPT_H
#define BINDER_ADOPT_H

#include <stdint.h>

#include "common/endpoint.h"

/**
 * struct adopt_claim - what somebody says that a socket is
 * @id:		of the listener: the kernel's cookie of its socket
 * @netns_id:	the cookie of the namespace that it was born in
 * @endpoint:	without @bound_ifindex, of which only the kernel knows
 * @family:	of the socket, which only the kernel knows: AF_INET, AF_INET6
 */
struct adopt_claim {
	uint64_t id;
	uint64_t netns_id;
	struct endpoint endpoint;
	int family;
};

/**
 * adopt_describe() - what the kernel says of a socket, as a claim that
 * adopt_check() may still refuse
 * @fd:		may be anything
 *
 * Return: 0; -EINVAL: it is no socket that could be a listener.
 */
int adopt_describe(int fd, struct adopt_claim *ret_claim);

/**
 * adopt_check() - compares a claim with what the kernel says of the socket
 * @fd:		may be anything; stays the caller's
 * @claim:	gets the interface that the socket is bound to, and its family
 *
 * The addresses of a multihomed endpoint are not part of the claim.
 * Return: NULL when all of it is true; else static text that says what is not.
 */
const char *adopt_check(int fd, struct adopt_claim *claim);

/**
 * adopt_id() - the id of the listener that has this socket
 *
 * Return: the socket's cookie; 0: the kernel gives it none that is usable as an
 * id (before Linux 5.14, in practice).
 */
uint64_t adopt_id(int fd);

#endif
