/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - between berthd's messages and the workers */
#ifndef RELAY_CORE_CONTROL_H
#define RELAY_CORE_CONTROL_H

#include <stddef.h>

struct berth;
struct relay_control;
struct loop;
struct relay_protocol;

/**
 * relay_control_new() - starts @n_workers threads, listens to berthd
 * @loop:	quits with 0 when berthd closes the connection
 * @berth:	stays the caller's
 * @protocols:	by enum protocol; must outlive the control
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int relay_control_new(struct loop *loop, struct berth *berth,
		      const struct relay_protocol *const *protocols,
		      size_t n_workers, struct relay_control **ret_control);

/** relay_control_free() - resets all connections, ends the threads. Returns
 * NULL. */
struct relay_control *relay_control_free(struct relay_control *control);

#endif
