// SPDX-License-Identifier: Apache-2.0
/* socket_access.c - who may connect to a UNIX socket of berthd
 *
 * The kernel keeps out whom owner and mode of the file do not let in. Who comes
 * in is looked at again (SO_PEERCRED), because a process may connect before the
 * mode is changed and be accepted after, and because a descriptor of a
 * connected socket can be passed on: what counts is who connected.
 */
#include "daemon/socket_access.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "common/util.h"

/* Groups of a peer that are looked at: Linux itself allows 65,536, and a
 * process has a few. */
#define GROUPS_MAX 1024

#define PERMISSIONS 0777

int socket_access_set(const char *path, const struct socket_access *access)
{
	if (chown(path, geteuid(), getegid()) < 0 ||
	    chmod(path, access->mode & PERMISSIONS) < 0 ||
	    chown(path, access->uid, access->gid) < 0)
		return -errno;
	return 0;
}

bool socket_access_in_group(int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups), peer_len = sizeof(struct ucred);
	struct ucred peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0 &&
	    peer.gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

bool socket_access_allows(const struct socket_access *access, int fd, uid_t uid,
			  gid_t gid)
{
	gid_t group = access->gid == (gid_t)-1 ? getegid() : access->gid;

	if (uid == 0 || uid == geteuid())
		return true;
	if (uid == access->uid)
		return access->mode & S_IWUSR;
	if (gid == group || socket_access_in_group(fd, group))
		return access->mode & S_IWGRP;
	return access->mode & S_IWOTH;
}

bool socket_access_equal(const struct socket_access *a,
			 const struct socket_access *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->mode == b->mode;
}
