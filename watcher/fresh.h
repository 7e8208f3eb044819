/* SPDX-License-Identifier: Apache-2.0 */
/* fresh.h - namespaces that were just found stay open until the batch ends
 *
 * To find out which namespace a name leads to, it is opened. Whoever is told of
 * a new namespace wants to enter it, in the same batch of events, and then
 * need not open it again.
 */
#ifndef WATCHER_FRESH_H
#define WATCHER_FRESH_H

#include <stddef.h>

#include "watcher/registry.h"
#include "watcher/resolve.h"

/* One slice of a listing opens this many at the most. */
#define FRESH_MAX 64

/** struct fresh - what is open; zero initialized
 * @fds:	-1 for one that was taken */
struct fresh {
	struct resolution found[FRESH_MAX];
	int fds[FRESH_MAX];
	size_t n;
};

/** fresh_keep() - keeps @fd, of the namespace that @found describes, until
 * fresh_close(); closes it at once when there is no room */
void fresh_keep(struct fresh *fresh, int fd, const struct resolution *found);

/** fresh_take() - Return: a descriptor of @tracked, the caller's; -1: none is
 * open. */
int fresh_take(struct fresh *fresh, const struct tracked *tracked);

/** fresh_close() - closes what nobody took */
void fresh_close(struct fresh *fresh);

#endif
