/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - the capabilities berthd needs, and giving up the others */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/**
 * privileges_check() - logs each missing capability and what it is for
 * @starts_relay: the capabilities to start and end berth-relay count too
 * Return: 0, or -EPERM when any is missing.
 */
int privileges_check(bool starts_relay);

/**
 * privileges_drop() - gives up every capability that berthd does not need
 *
 * From the effective, permitted, inheritable, ambient and bounding sets.
 * Return: 0 or -EPERM.
 */
int privileges_drop(bool starts_relay);

/**
 * struct relay_user - whom berth-relay runs as
 */
struct relay_user {
	uid_t uid;
	gid_t gid;
};

/**
 * privileges_find_user() - looks up berth-relay's user
 * @name:	or number, as it was configured; NULL: "berth-relay" where that
 *		user exists, else "nobody"
 * Return: 0; -ENOENT when there is no such user; -ERANGE; -errno of
 * getpwnam(3).
 */
int privileges_find_user(const char *name, struct relay_user *ret_user);

/**
 * privileges_become() - becomes @user with no capability, for good
 *
 * For a child between fork(2) and exec: no_new_privs, no supplementary group,
 * and empty capability sets.
 * Return: 0 or -errno of the step that failed.
 */
int privileges_become(const struct relay_user *user);

/**
 * privileges_bind_unprivileged() - bind(2) as if without CAP_NET_BIND_SERVICE
 *
 * For an address that somebody without privileges has chosen. The ports that
 * need the privilege are those of the socket's own namespace
 * (net.ipv4.ip_unprivileged_port_start).
 * Return: 0; -EACCES: the port needs it; -errno of bind(2), capset(2).
 */
int privileges_bind_unprivileged(int fd, const struct sockaddr *address,
				 socklen_t len);

#endif
