/* SPDX-License-Identifier: Apache-2.0 */
/* spread.h - which workers serve which listener
 *
 * The one place that decides it.
 */
#ifndef RELAY_SPREAD_H
#define RELAY_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "common/listener_spec.h"

/**
 * spread_n_shares() - how many of @n_workers serve one listener
 */
size_t spread_n_shares(enum protocol protocol, size_t n_workers);

/**
 * spread_worker() - which worker has share @index of listener @id
 */
size_t spread_worker(uint64_t id, size_t index, size_t n_shares,
		     size_t n_workers);

/** spread_events() - what the listening socket is registered with */
uint32_t spread_events(size_t n_shares);

#endif
