/* SPDX-License-Identifier: Apache-2.0 */
/* socket_owner.h - which process has a socket */
#ifndef CTL_SOCKET_OWNER_H
#define CTL_SOCKET_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCKET_OWNER_COMMAND_MAX 64

/** struct socket_owner - a process
 * @command:	what /proc/PID/comm says, without control characters */
struct socket_owner {
	pid_t pid;
	char command[SOCKET_OWNER_COMMAND_MAX];
};

/**
 * socket_owner_find() - looks into the descriptors of all processes
 * @inode:	of the socket
 *
 * Only those that the caller may look into are known; of several processes that
 * have the socket, the first counts.
 * Return: is there one?
 */
bool socket_owner_find(int64_t inode, struct socket_owner *ret_owner);

#endif
