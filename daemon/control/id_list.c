// SPDX-License-Identifier: Apache-2.0
/* id_list.c - ids of what a list shows, so that it may change meanwhile */
#include "daemon/control/id_list.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

int id_list_add(struct id_list *list, uint64_t id)
{
	size_t capacity = list->capacity ? list->capacity * 2 : CAPACITY_MIN;
	uint64_t *ids;

	if (list->n == list->capacity) {
		ids = reallocarray(list->ids, capacity, sizeof(ids[0]));
		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->capacity = capacity;
	}
	list->ids[list->n++] = id;
	return 0;
}

uint64_t id_list_next(struct id_list *list)
{
	return list->next < list->n ? list->ids[list->next++] : 0;
}

void id_list_done(struct id_list *list)
{
	free(list->ids);
	*list = (struct id_list){ .ids = NULL };
}
