/* SPDX-License-Identifier: Apache-2.0 */
/* accept.h - accepts connections and associations from a listening socket */
#ifndef RELAY_CORE_ACCEPT_H
#define RELAY_CORE_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

struct pollable;
struct share;
struct worker;

/**
 * accept_readable() - the function relay_protocol.readable of protocols whose
 * listening sockets accept
 * @pollable:	of a struct share
 *
 * Accepts as many clients as it is the share's turn to have, and gives each to
 * relay_protocol.accepted, of this worker or of another. The listener is
 * reported again if more wait: at once, or when it is not parked any more.
 */
void accept_readable(struct worker *worker, struct pollable *pollable,
		     uint32_t events);

/**
 * accept_rest() - the function relay_protocol.drain of such protocols
 *
 * The kernel wakes one of those that poll a listening socket for a client
 * (EPOLLEXCLUSIVE). That may have been this share, and then the relay that
 * takes over never hears of the client. So all that wait are accepted here.
 * Return: false: the socket is needed no more.
 */
bool accept_rest(struct worker *worker, struct share *share);

#endif
