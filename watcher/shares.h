/* SPDX-License-Identifier: Apache-2.0 */
/* shares.h - how much users other than root may have registered
 *
 * Each user has a share, and all together have one: no user keeps another out
 * with what is theirs, and all of them leave most for root.
 */
#ifndef WATCHER_SHARES_H
#define WATCHER_SHARES_H

#include <stddef.h>
#include <sys/types.h>

struct shares;

/* Of one user: more sandboxes than one runs. */
#define SHARES_PER_USER_MAX 512u
#define SHARES_BYTES_PER_USER_MAX (4u * 1024 * 1024)

/* Of all. A user may have several numbers (subuid(5)), and each may register.
 * Registrations may need a descriptor each. */
#define SHARES_USERS_MAX 4096u
#define SHARES_BYTES_USERS_MAX (32u * 1024 * 1024)

/** shares_new() - nobody has anything. Return: the caller's, to be freed with
 * shares_free(); NULL: out of memory. */
struct shares *shares_new(void);

/** shares_free() - NULL is fine. Return: NULL. */
struct shares *shares_free(struct shares *shares);

/**
 * shares_refusal() - may a user have one more registration?
 * @uid:	root may have any number
 * @bytes:	that its texts take
 * @before:	what the one that it replaces takes, of the same user; 0: it
 *		replaces none
 *
 * Return: NULL; else static text: why not.
 */
const char *shares_refusal(const struct shares *shares, uid_t uid, size_t bytes,
			   size_t before);

/** shares_take() - a user gets one more registration, without being asked
 * whether they may. Return: 0 or -ENOMEM. */
int shares_take(struct shares *shares, uid_t uid, size_t bytes);

/** shares_give() - a user has given back what shares_take() took */
void shares_give(struct shares *shares, uid_t uid, size_t bytes);

#endif
