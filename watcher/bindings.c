// SPDX-License-Identifier: Apache-2.0
/* bindings.c - which process a link meant when it was first followed
 *
 * A link into /proc/PID is bound to the process that it led to first. If the
 * number belongs to another process later, the link is dead until it is made
 * anew. A link that led to no process when it was first seen is bound to the
 * number without an identity, which matches no process.
 *
 * A link can leave the watched directory and come back (it is renamed, or a
 * mount covers the directory for a while), so a binding outlives the name for
 * as long as there is room.
 */
#include "watcher/bindings.h"

#include <utlist.h>

#include "common/util.h"

/* Links that left and may come back: room for some directories that are
 * covered by a mount for a while. */
#define UNUSED_MAX 4096

static struct binding *find(const struct bindings *bindings, uint64_t link)
{
	struct binding *binding;

	HASH_FIND(hh, bindings->by_link, &link, sizeof(link), binding);
	return binding;
}

static struct binding *add(struct bindings *bindings, uint64_t link,
			   const struct task *task)
{
	struct binding *binding = calloc(1, sizeof(*binding));

	if (!binding)
		return NULL;
	binding->link = link;
	binding->task = *task;
	HASH_ADD(hh, bindings->by_link, link, sizeof(link), binding);
	if (!binding->hh.tbl) {
		free(binding);
		return NULL;
	}
	return binding;
}

static void drop(struct bindings *bindings, struct binding *binding)
{
	HASH_DELETE(hh, bindings->by_link, binding);
	free(binding);
}

static void unused_remove(struct bindings *bindings, struct binding *binding)
{
	DL_DELETE(bindings->unused, binding);
	bindings->n_unused--;
}

struct binding *bindings_get(struct bindings *bindings, uint64_t link,
			     const struct task *task)
{
	struct binding *binding = find(bindings, link);

	if (!binding)
		binding = add(bindings, link, task);
	else if (binding->users == 0)
		unused_remove(bindings, binding);
	if (!binding)
		return NULL;
	if (binding->task.number != task->number)
		binding->task = *task;
	binding->users++;
	return binding;
}

bool binding_is(const struct binding *binding, const struct task *task)
{
	return binding->task.number == task->number &&
	       binding->task.identity == task->identity;
}

struct binding *bindings_put(struct bindings *bindings, struct binding *binding)
{
	struct binding *oldest;

	if (!binding || --binding->users > 0)
		return NULL;
	DL_APPEND(bindings->unused, binding);
	if (++bindings->n_unused > UNUSED_MAX) {
		oldest = bindings->unused;
		unused_remove(bindings, oldest);
		drop(bindings, oldest);
	}
	return NULL;
}

void bindings_done(struct bindings *bindings)
{
	struct binding *binding, *next;

	HASH_ITER (hh, bindings->by_link, binding, next)
		drop(bindings, binding);
	*bindings = (struct bindings){ 0 };
}
