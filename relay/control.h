/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - between berthd's messages and the workers */
#ifndef RELAY_CONTROL_H
#define RELAY_CONTROL_H

#include <stddef.h>

struct berth;
struct control;
struct loop;

/**
 * control_new() - starts @n_workers threads, listens to berthd
 * @loop:	quits with 0 when berthd closes the connection
 * @berth:	stays the caller's
 *
 * Return: 0 or a negative errno with nothing left behind.
 */
int control_new(struct loop *loop, struct berth *berth, size_t n_workers,
		struct control **ret_control);

/** control_free() - resets all connections, ends the threads. Returns NULL. */
struct control *control_free(struct control *control);

#endif
