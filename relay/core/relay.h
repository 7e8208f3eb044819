/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - the relay's main thread: its connection to berthd and its workers
 */
#ifndef RELAY_CORE_RELAY_H
#define RELAY_CORE_RELAY_H

#include <stddef.h>

struct berth;
struct loop;
struct relay;
struct relay_protocol;

/**
 * relay_new() - starts @n_workers threads and listens to berthd
 * @loop:	quits with 0 when berthd closes the connection, with a negative
 *		errno when the relay cannot go on
 * @berth:	stays the caller's
 * @protocols:	by enum protocol; must outlive the relay
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int relay_new(struct loop *loop, struct berth *berth,
	      const struct relay_protocol *const *protocols, size_t n_workers,
	      struct relay **ret_relay);

/** relay_free() - resets all connections, ends the threads. Returns NULL; NULL
 * is fine. */
struct relay *relay_free(struct relay *relay);

#endif
