/* SPDX-License-Identifier: Apache-2.0 */
/* socket_access.h - who may connect to a UNIX socket of berthd */
#ifndef DAEMON_SOCKET_ACCESS_H
#define DAEMON_SOCKET_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* The socket is its owner's alone; and its group's, too. */
#define SOCKET_MODE_PRIVATE 0600u
#define SOCKET_MODE_GROUP 0660u

/**
 * struct socket_access - owner, group and mode of the socket's file
 * @uid, @gid:	-1: berthd's own
 * @mode:	permission bits; connecting needs the one to write
 */
struct socket_access {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/**
 * socket_access_set() - gives the file its owner, group and mode
 *
 * Whoever had it loses it first, so that no moment lets in more than one of the
 * two accesses does.
 * Return: 0; -errno of chown(2) or chmod(2).
 */
int socket_access_set(const char *path, const struct socket_access *access);

/** socket_access_allows() - may this peer connect, as the kernel decides it by
 * owner and mode? @fd is the connection, @uid and @gid are of SO_PEERCRED. Root
 * and our own user may. */
bool socket_access_allows(const struct socket_access *access, int fd, uid_t uid,
			  gid_t gid);

/** socket_access_in_group() - was the process that connected in this group
 * then? @fd is the connection. */
bool socket_access_in_group(int fd, gid_t gid);

/** socket_access_equal() - Return: are they the same? */
bool socket_access_equal(const struct socket_access *a,
			 const struct socket_access *b);

#endif
