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
 * struct binding - a link and its process
 * @link:	the identity of the chain of links
 * @users:	names that are this link; without one it is kept for a while
 */
struct binding {
	uint64_t link;
	struct task task;
	unsigned int users;
	struct binding *prev, *next;
	UT_hash_handle hh;
};

/** struct bindings - zero initialized
 * @unused:	without a user, oldest first */
struct bindings {
	struct binding *by_link;
	struct binding *unused;
	unsigned int n_unused;
};

/**
 * bindings_get() - the binding of @link, made to @task when there is none
 *
 * A link that led to another number before leads through a directory that was
 * exchanged: it is bound anew.
 * Return: one user more; NULL: out of memory.
 */
struct binding *bindings_get(struct bindings *bindings, uint64_t link,
			     const struct task *task);

/** binding_is() - is @task the one that the link was bound to? */
bool binding_is(const struct binding *binding, const struct task *task);

/** bindings_put() - one user less; NULL is fine. Returns NULL. */
struct binding *bindings_put(struct bindings *bindings,
			     struct binding *binding);

/** bindings_done() - frees all; none may be used afterwards */
void bindings_done(struct bindings *bindings);

#endif
