/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - the relay's main thread: its connection to berthd and its workers
 */
#ifndef RELAY_CORE_RELAY_H
#define RELAY_CORE_RELAY_H

#include <stdbool.h>
#include <stddef.h>

struct berth;
struct loop;
struct relay;
struct relay_protocol;

/**
 * struct relay_config - what a relay is to be like
 * @protocols:	by enum protocol; must outlive the relay
 * @n_workers:	threads for the traffic
 * @ends_without_berthd: it ends if berthd was away for the time that berthd
 *		told; otherwise it waits for berthd, with nothing to serve
 * @welcomed:	berthd knows the relay from now on, for the first time or again;
 *		NULL: nobody cares
 */
struct relay_config {
	const struct relay_protocol *const *protocols;
	size_t n_workers;
	bool ends_without_berthd;
	void (*welcomed)(void *user_data);
	void *user_data;
};

/**
 * relay_new() - starts the threads and listens to berthd
 * @loop:	quits with 0 when the relay has done its work, with
 *		-ECONNABORTED when berthd does not take it, with another
 *		negative errno when it cannot go on
 * @berth:	stays the caller's
 * @config:	copied
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int relay_new(struct loop *loop, struct berth *berth,
	      const struct relay_config *config, struct relay **ret_relay);

/** relay_free() - resets all connections, ends the threads. Returns NULL; NULL
 * is fine. */
struct relay *relay_free(struct relay *relay);

#endif
