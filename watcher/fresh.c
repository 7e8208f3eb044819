// SPDX-License-Identifier: Apache-2.0
/* fresh.c - namespaces that were just found stay open until the batch ends */
#include "watcher/fresh.h"

#include "common/util.h"

void fresh_keep(struct fresh *fresh, int fd, const struct resolution *found)
{
	if (fresh->n == FRESH_MAX) {
		(void)close(fd); /* a namespace: nothing to be lost */
		return;
	}
	fresh->found[fresh->n] = *found;
	fresh->fds[fresh->n++] = fd;
}

int fresh_take(struct fresh *fresh, const struct tracked *tracked)
{
	for (size_t i = 0; i < fresh->n; i++) {
		if (fresh->fds[i] >= 0 && tracked_is(tracked, &fresh->found[i]))
			return TAKE_FD(fresh->fds[i]);
	}
	return -1;
}

void fresh_close(struct fresh *fresh)
{
	while (fresh->n > 0)
		cleanup_close(&fresh->fds[--fresh->n]);
}
