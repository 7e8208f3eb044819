// SPDX-License-Identifier: Apache-2.0
/* budget.c - memory that what waits may take, in a worker and in parts of it */
#include "relay/core/budget.h"

bool budget_has_room(const struct budget *budget, size_t bytes)
{
	for (; budget; budget = budget->within) {
		if (budget->bytes + bytes <= budget->own_bytes)
			return true;
		if (budget->bytes + bytes > budget->limit_bytes)
			return false;
	}
	return true;
}

void budget_take(struct budget *budget, size_t bytes)
{
	for (; budget; budget = budget->within)
		budget->bytes += bytes;
}

void budget_give(struct budget *budget, size_t bytes)
{
	for (; budget; budget = budget->within)
		budget->bytes -= bytes;
}
