/* SPDX-License-Identifier: Apache-2.0 */
/* bindings.h - which process a link meant when it was first followed */
#ifndef WATCHER_BINDINGS_H
#define WATCHER_BINDINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "watcher/link.h"

/**
 * struct binding - a link and the process that it meant first
 * @link:	the identity of the link, see struct link_end
 * @task:	the process; without identity: it had ended before the link was
 *		first seen
 * @users:	names that lead through it; without one it is kept for a while
 */
struct binding {
	uint64_t link;
	struct task task;
	unsigned int users;
	struct binding *prev, *next;
	UT_hash_handle hh;
};

/**
 * struct bindings - all of them; zero initialized
 * @unused:	those without a user, the oldest first
 */
struct bindings {
	struct binding *by_link;
	struct binding *unused;
	unsigned int n_unused;
};

/**
 * bindings_get() - finds the binding of @link, or binds it to @task
 *
 * If the link led to another number before, a directory on its way was
 * exchanged, and it is bound anew.
 * Return: the binding, with one user more, to be given back with
 * bindings_put(); NULL: out of memory.
 */
struct binding *bindings_get(struct bindings *bindings, uint64_t link,
			     const struct task *task);

/** binding_is() - Return: is the link bound to @task? */
bool binding_is(const struct binding *binding, const struct task *task);

/** bindings_put() - the binding has one user less. NULL is fine. Return: NULL.
 */
struct binding *bindings_put(struct bindings *bindings,
			     struct binding *binding);

/** bindings_done() - frees all; none may be used afterwards */
void bindings_done(struct bindings *bindings);

#endif
