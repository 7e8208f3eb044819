/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h - users and groups by name or number */
#ifndef DAEMON_ACCOUNTS_H
#define DAEMON_ACCOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct account - a user
 * @gid:	the primary group; 0 when the number is no user's
 * @known:	is it in the system's user database?
 */
struct account {
	uid_t uid;
	gid_t gid;
	bool known;
};

/**
 * struct accounts - where users and groups are looked up
 * @user:	Return: 0, also for a number that is no user's; -ENOENT: there
 *		is no such name; -ERANGE: no user can have this number; -errno
 *		of getpwnam(3)
 * @group:	likewise, with getgrnam(3)
 */
struct accounts {
	int (*user)(const char *text, struct account *ret_account);
	int (*group)(const char *text, gid_t *ret_gid);
};

/** accounts_system - the databases of the system, see nsswitch.conf(5); a
 * lookup may wait for a server that is configured there */
extern const struct accounts accounts_system;

#endif
