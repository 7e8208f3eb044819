/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle.h - what berthd says of itself to the service manager */
#ifndef DAEMON_LIFECYCLE_H
#define DAEMON_LIFECYCLE_H

#include <stdbool.h>

struct lifecycle;
struct loop;

/**
 * lifecycle_new() - prepares for the service manager that started berthd
 * @loop:	outlives it
 * @ret_lifecycle: the caller's; says nothing where there is no manager
 *
 * Reads $WATCHDOG_USEC. Return: 0; -ENOMEM.
 */
int lifecycle_new(struct loop *loop, struct lifecycle **ret_lifecycle);

/**
 * lifecycle_ready() - READY=1: berthd has started, or a reload is complete
 *
 * From the first call on the loop also says WATCHDOG=1, if the manager asked
 * for it, twice in each interval. Never blocks: while the manager does not
 * read, the message is kept and sent later.
 */
void lifecycle_ready(struct lifecycle *lifecycle);

/** lifecycle_reloading() - RELOADING=1: a reload begins. Nothing before the
 * first lifecycle_ready(): to the manager that is still the start. */
void lifecycle_reloading(struct lifecycle *lifecycle);

/** lifecycle_is_reloading() - has a reload begun that lifecycle_ready() has not
 * ended? */
bool lifecycle_is_reloading(const struct lifecycle *lifecycle);

/** lifecycle_stopping() - STOPPING=1: berthd ends. The loop does not run any
 * more. */
void lifecycle_stopping(struct lifecycle *lifecycle);

/** lifecycle_free() - NULL is fine. Returns NULL. */
struct lifecycle *lifecycle_free(struct lifecycle *lifecycle);

#endif
