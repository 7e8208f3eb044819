/* SPDX-License-Identifier: Apache-2.0 */
/* id_list.h - ids of what a list shows, so that it may change meanwhile
 *
 * A list is taken at one moment and shown while a client reads it. An id is
 * never used again: what has gone by its turn is not found and left out, so
 * nothing is shown twice, and nothing is missed that was there all the time.
 */
#ifndef DAEMON_CONTROL_ID_LIST_H
#define DAEMON_CONTROL_ID_LIST_H

#include <stddef.h>
#include <stdint.h>

/** struct id_list - empty when all 0 */
struct id_list {
	uint64_t *ids;
	size_t n;
	size_t capacity;
	size_t next;
};

/** id_list_add() - one more at the end. Return: 0 or -ENOMEM. */
int id_list_add(struct id_list *list, uint64_t id);

/** id_list_next() - the next one, from the first on
 * Return: 0: that was all. No id is 0. */
uint64_t id_list_next(struct id_list *list);

/** id_list_done() - frees what the list has, not the struct */
void id_list_done(struct id_list *list);

#endif
