/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - how many descriptors connections and sessions may take
 *
 * Callable by any thread.
 */
#ifndef RELAY_LIMITS_H
#define RELAY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * limits_init() - raises RLIMIT_NOFILE to the hard limit and divides it
 * @fixed:	descriptors that the process needs for itself
 * @n_workers:	among which UDP sessions are divided
 *
 * Return: 0 or -errno of getrlimit(2).
 */
int limits_init(size_t fixed, size_t n_workers);

/** limits_take() - may @n more descriptors be opened for traffic? */
bool limits_take(unsigned int n);
void limits_give(unsigned int n);

/** limits_listener() - a listener came (1) or went (-1): never refused here */
void limits_listener(int change);

/** limits_listener_connections() - of one listener whose rule names no number
 */
uint32_t limits_listener_connections(void);

/** limits_netns_fds() - descriptors for the traffic of one namespace */
uint32_t limits_netns_fds(void);

/** limits_worker_sessions() - UDP sessions of all listeners of one worker */
size_t limits_worker_sessions(void);

#endif
