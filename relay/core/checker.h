/* SPDX-License-Identifier: Apache-2.0 */
/* checker.h - tries backends again and again, whether there are clients or not
 *
 * For the main thread. A backend that several rules check alike is checked
 * once.
 */
#ifndef RELAY_CORE_CHECKER_H
#define RELAY_CORE_CHECKER_H

#include <stdint.h>

struct checker;
struct loop;
struct minted;
struct minted_ops;
struct serving;
struct target_health;

/** So many attempts run at a time, with a descriptor each. */
#define CHECKER_RUNNING_MAX 64

/**
 * struct checker_ops - what the owner does
 * @ask:	asks berthd for a socket to the backend of @health; @owner gets
 *		the answer later, not from within @ask, by the `answered` of
 *		@ops, with NULL for a worker. Return: NULL: no listener has the
 *		backend, or memory is out.
 */
struct checker_ops {
	struct minted *(*ask)(const struct target_health *health,
			      const struct minted_ops *ops, void *owner,
			      void *user_data);
};

/** checker_new() - checks nothing yet; @ops is copied. Return: 0 or -ENOMEM. */
int checker_new(struct loop *loop, const struct checker_ops *ops,
		void *user_data, struct checker **ret_checker);

/** checker_free() - when checker_set() was called for each with no check.
 * Returns NULL; NULL is fine. */
struct checker *checker_free(struct checker *checker);

/**
 * checker_set() - has a backend checked as @serving says
 * @serving:	NULL, or without checks: it is not checked any more
 * @index:	of the backend in @serving
 *
 * If memory is out, it is not checked: what clients meet is known all the same.
 */
void checker_set(struct checker *checker, struct target_health *health,
		 const struct serving *serving, unsigned int index);

/** checker_netns_gone() - a namespace goes: closes the sockets that were born
 * in it */
void checker_netns_gone(struct checker *checker, uint64_t netns_id);

/** checker_stop() - another relay has this one's place, and checks by itself:
 * whatever was found out, no backend is left out any more */
void checker_stop(struct checker *checker);

#endif
