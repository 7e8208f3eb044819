/* SPDX-License-Identifier: Apache-2.0 */
/* ending.h - everything ends with berthd: relays, and what consumers serve */
#ifndef DAEMON_ENDING_H
#define DAEMON_ENDING_H

#include <stdbool.h>

struct consumers;
struct ending;
struct loop;
struct relay_process;

/**
 * ending_new() - asks them all to end
 * @relay:	NULL: berthd starts none
 * @loop:	quits when they have, or had their time: a second at the most
 *
 * Return: 0 or -ENOMEM; then nobody is asked.
 */
int ending_new(struct loop *loop, struct consumers *consumers,
	       struct relay_process *relay, struct ending **ret_ending);

/**
 * ending_step() - goes on telling them; to be called after each batch of the
 * loop
 * Return: true while a further call would tell more at once.
 */
bool ending_step(struct ending *ending);

/** ending_free() - asks no more. NULL is fine. Returns NULL. */
struct ending *ending_free(struct ending *ending);

#endif
