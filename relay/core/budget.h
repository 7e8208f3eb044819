/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h - memory that what waits may take, in a worker and in parts of it */
#ifndef RELAY_CORE_BUDGET_H
#define RELAY_CORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct budget - of one worker's thread
 * @limit_bytes: what @bytes may reach
 * @own_bytes:	up to here, @bytes have room however full @within is
 * @bytes:	what is taken
 * @within:	the larger budget that this one is a part of, which has its own
 *		limit; or NULL
 */
struct budget {
	size_t limit_bytes;
	size_t own_bytes;
	size_t bytes;
	struct budget *within;
};

/** budget_has_room() - are @bytes more left, here and in each @within, or are
 * they its own? */
bool budget_has_room(const struct budget *budget, size_t bytes);

/** budget_take() - @bytes more are in use; budget_has_room() said yes */
void budget_take(struct budget *budget, size_t bytes);

/** budget_give() - @bytes fewer are in use */
void budget_give(struct budget *budget, size_t bytes);

#endif
