// SPDX-License-Identifier: Apache-2.0
/* own_netns.c - is a process in the network namespace of this program?
 *
 * Who may not trace a process cannot read its /proc/PID/ns/net. Everybody may
 * read /proc/PID/net, whose files are made for each network namespace: the same
 * inode is the same namespace.
 */
#include "hook/follow/own_netns.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_BYTES 64

int own_netns_has(int pid)
{
	char path[PATH_BYTES];
	struct stat own, other;

	(void)snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	if (stat("/proc/self/net/dev", &own) < 0 || stat(path, &other) < 0)
		return -errno;
	return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}
