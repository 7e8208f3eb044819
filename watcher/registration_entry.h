/* SPDX-License-Identifier: Apache-2.0 */
/* registration_entry.h - one registration, and the tables that it is in; for
 * registrations.c, which says when it begins and ends
 */
#ifndef WATCHER_REGISTRATION_ENTRY_H
#define WATCHER_REGISTRATION_ENTRY_H

#include "watcher/registration.h"
#include "watcher/registrations_ops.h"
#include "watcher/registry.h"

struct located;

#define REGISTRATION_SOURCE_MAX sizeof("register:18446744073709551615")

/**
 * struct entry - a registration
 * @pub:	what others see of it
 * @own_life:	see registrations.c
 * @inside:	the process is in the namespace
 * @unsettled:	it was restored, and its namespace had other names then
 * @dying:	it is in the list of those to be ended
 * @shared:	it counts in the share of its user
 * @held_fd:	of the namespace, or -1
 * @watch:	of the process, or NULL
 * @prev, @next: in its group
 */
struct entry {
	struct registration pub;
	struct registrations *owner;
	bool own_life;
	bool inside;
	bool unsettled;
	bool dying;
	bool shared;
	int held_fd;
	struct process_watch *watch;
	char *key;
	char *name;
	char *path;
	struct container *container;
	char source[REGISTRATION_SOURCE_MAX];
	struct group *group;
	struct entry *prev, *next;
	struct entry *dying_prev, *dying_next;
	UT_hash_handle by_id;
	UT_hash_handle by_key;
	UT_hash_handle by_name;
};

/** struct group - the registrations of one namespace */
struct group {
	uint64_t netns_id;
	struct entry *entries;
	size_t n;
	UT_hash_handle hh;
};

/**
 * struct registrations - see registrations.h
 * @dying:	their namespace turned out to be gone
 * @next_id:	begins with the time of the start, so that no id comes twice
 * @at_hand:	whose namespace is being registered, and open; or NULL
 */
struct registrations {
	struct registry *registry;
	const struct registrations_ops *ops;
	void *user_data;
	struct processes *processes;
	struct shares *shares;
	struct entry *by_id;
	struct entry *by_key;
	struct entry *by_name;
	struct group *groups;
	struct entry *dying;
	size_t n_held;
	uint64_t next_id;
	struct located *at_hand;
};

/** entry_by_id() - Return: the registration or NULL. */
struct entry *entry_by_id(const struct registrations *registrations,
			  uint64_t id);

/** entry_by_name() - by the name that it gives. Return: as entry_by_id(). */
struct entry *entry_by_name(const struct registrations *registrations,
			    const char *name);

/** entry_by_key() - by its key, see entry_key(). Return: as entry_by_id(). */
struct entry *entry_by_key(const struct registrations *registrations,
			   const char *key);

/** entry_group() - Return: the registrations of a namespace, or NULL. */
struct group *entry_group(const struct registrations *registrations,
			  uint64_t netns_id);

/** entry_key() - Return: the key that this container has, registered by @uid;
 * the caller's. NULL: out of memory. */
char *entry_key(uid_t uid, const struct container *container);

/** entry_new() - Return: a registration in no table, the caller's; NULL: out of
 * memory. */
struct entry *entry_new(struct registrations *registrations,
			const struct registration_told *told, uint64_t id);

/**
 * entry_take() - takes over what was found: from now on the process is watched,
 * and the namespace is held if it must be
 *
 * Return: 0; -ENOSPC: the process cannot be watched.
 */
int entry_take(struct entry *entry, struct located *located,
	       const char **ret_reason);

/** entry_free() - frees what is in no table, or never was. Return: NULL. */
struct entry *entry_free(struct entry *entry);

/** entry_enter_tables() - by id, by key, and into its group. Return: 0;
 * -ENOMEM. */
int entry_enter_tables(struct entry *entry);

/** entry_leave_tables() - the opposite, also for one that is in some only */
void entry_leave_tables(struct entry *entry);

/**
 * entry_settle() - gives the container of @entry, which is in the tables, its
 * place in the namespace; and the namespace its name, with @named
 *
 * Return: 0; -errno, then it is to be removed.
 */
int entry_settle(struct entry *entry, bool named, const char **ret_reason);

/** entry_give_name() - gives the namespace the name of @entry, which has none.
 * Return: 0; -ENOMEM; -ESTALE: the namespace cannot be opened any more. */
int entry_give_name(struct entry *entry);

/** entry_move_name() - the name of @before is that of @entry from now on.
 * Return: 0; -ENOMEM: @before has it still. */
int entry_move_name(struct entry *before, struct entry *entry);

/** entry_forget_name() - the name of @entry goes, if it has one */
void entry_forget_name(struct entry *entry);

/** entry_remove() - takes @entry out of everything, without telling; it is
 * still to be freed */
void entry_remove(struct entry *entry);

/** entry_set_dying() - is @entry to be ended with the next step? */
void entry_set_dying(struct entry *entry, bool dying);

/** entry_tracked() - Return: the namespace of @entry, or NULL. */
struct tracked *entry_tracked(const struct entry *entry);

#endif
