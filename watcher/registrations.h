/* SPDX-License-Identifier: Apache-2.0 */
/* registrations.h - the containers that somebody registered, and their life */
#ifndef WATCHER_REGISTRATIONS_H
#define WATCHER_REGISTRATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "watcher/registration.h"
#include "watcher/registrations_ops.h"
#include "watcher/registry.h"
#include "watcher/told.h"

/* Of one namespace: a pod has some containers. */
#define REGISTRATIONS_PER_NETNS_MAX CONTAINERS_PER_NETNS_MAX
#define REGISTRATIONS_OF_USER_PER_NETNS_MAX (REGISTRATIONS_PER_NETNS_MAX / 2)

/* As many as there can be names in one directory. */
#define REGISTRATIONS_MAX 65536u

struct registrations;

/**
 * registrations_new() - none yet
 * @loop, @registry, @ops, @user_data: outlive the registrations
 * @ret_registrations: the caller's, to be freed with registrations_free()
 *
 * Return: 0 or -ENOMEM.
 */
int registrations_new(struct loop *loop, struct registry *registry,
		      const struct registrations_ops *ops, void *user_data,
		      struct registrations **ret_registrations);

/** registrations_free() - forgets all of them, without telling. NULL is fine.
 * Return: NULL. */
struct registrations *registrations_free(struct registrations *registrations);

/** registrations_add() - see watcher_register() */
int registrations_add(struct registrations *registrations,
		      const struct registration_told *told, uint64_t *ret_id,
		      const char **ret_reason);

/** registrations_restore() - see watcher_restore_registration() */
int registrations_restore(struct registrations *registrations,
			  const struct registration *was,
			  const char **ret_reason);

/** registrations_settled() - every name was looked at that existed at the
 * start: what was restored for a namespace without any gives it one, or ends */
void registrations_settled(struct registrations *registrations);

/** registrations_end() - see watcher_unregister() */
bool registrations_end(struct registrations *registrations, uint64_t id);

/**
 * registrations_open() - opens the namespace of a name in NETNS_REGISTERED_DIR
 * @ret:	on success, without a process
 * @ret_reason:	static text, on failure
 *
 * Return: a descriptor, the caller's; -ENOENT: there is no such name (any
 * more); -errno of open(2) and the like.
 */
int registrations_open(struct registrations *registrations, const char *name,
		       struct resolution *ret, const char **ret_reason);

/** registrations_step() - ends those whose namespace turned out to be gone.
 * Return: was there any? */
bool registrations_step(struct registrations *registrations);

/** registrations_keep() - @tracked has lost its last name: those with a life of
 * their own give it one. Return: has it a name now? */
bool registrations_keep(struct registrations *registrations,
			struct tracked *tracked);

/** registrations_gone() - @tracked is about to be removed from the registry:
 * its registrations end */
void registrations_gone(struct registrations *registrations,
			const struct tracked *tracked);

/** registrations_find() - see watcher_find_registration() */
const struct registration *
registrations_find(const struct registrations *registrations, uint64_t id);

/** registrations_find_key() - see watcher_find_registration_key() */
const struct registration *
registrations_find_key(const struct registrations *registrations, uid_t uid,
		       const struct container *container);

/** registrations_next() - see watcher_next_registration() */
const struct registration *
registrations_next(const struct registrations *registrations,
		   const struct registration *previous);

/** registrations_count() - see watcher_registration_count() */
size_t registrations_count(const struct registrations *registrations,
			   size_t *ret_held);

#endif
