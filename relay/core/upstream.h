/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.h - a client's way to a backend, of every protocol */
#ifndef RELAY_CORE_UPSTREAM_H
#define RELAY_CORE_UPSTREAM_H

#include <stdint.h>

struct backend_waiter;
struct minted;
struct own_socket;
struct target_health;

/**
 * struct upstream - what a client's way to a backend takes; zero-initialize
 * @tried:	bit i: backend i of the client's serving failed
 * @minted:	where the socket comes from, when berthd mints it; else NULL
 * @own:	of the socket, if the backend may be a listener of the relay's;
 *		else NULL
 * @waiter:	the client's place in a queue for a backend or a local port;
 *		NULL: it does not wait
 * @taken:	of the backend where the client counts; NULL: with none
 * @client:	see balance_choose()
 * @ports:	the port space that the socket has a local port of; 0: none
 * @index:	the backend that is tried now, or was reached
 * @hops:	see own_arrival_hops()
 */
struct upstream {
	uint64_t tried;
	struct minted *minted;
	struct own_socket *own;
	struct backend_waiter *waiter;
	struct target_health *taken;
	uint64_t client;
	uint32_t ports;
	uint8_t index;
	uint8_t hops;
};

#endif
