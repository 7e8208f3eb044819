/* SPDX-License-Identifier: Apache-2.0 */
/* netns_enter.h - the one place where a thread enters a network namespace */
#ifndef COMMON_NETNS_ENTER_H
#define COMMON_NETNS_ENTER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct netns_socket - one socket(2) call to be made inside
 * @owner:	whose socket it is, which needs CAP_SETUID; 0: the caller's
 * @fd:		out: the descriptor, or -1
 * @error:	out: 0, or the positive errno of socket(2)
 */
struct netns_socket {
	int domain;
	int type;
	int protocol;
	uid_t owner;
	int fd;
	int error;
};

/**
 * netns_enter_init() - remembers the caller's own namespace
 *
 * To be called once, by the one thread that will call netns_sockets().
 * Return: 0 or -errno of open(2) on /proc/thread-self/ns/net.
 */
int netns_enter_init(void);

/**
 * netns_sockets() - enters @netns_fd, makes all the sockets, steps back
 * @netns_fd:	a namespace's descriptor, or -1 for the caller's own
 * @sockets:	SOCK_CLOEXEC is added to each type; the caller owns the fds
 *
 * On return the thread is where it was. When stepping back fails the process
 * aborts: everything it did afterwards would happen in a stranger's
 * namespace, unnoticed.
 *
 * Return: 0, also when single sockets failed (see @error); -errno of setns(2)
 * when the namespace could not be entered: then no socket was made.
 */
int netns_sockets(int netns_fd, struct netns_socket *sockets, size_t n);

/**
 * struct netns_number - one file of /proc/sys/net to be read inside
 * @path:	a file that holds one number
 * @value:	out: the number; -1: not there, negative, or no number
 */
struct netns_number {
	const char *path;
	int64_t value;
};

/**
 * netns_numbers() - enters @netns_fd, reads all the files, steps back
 * @netns_fd:	as above
 *
 * /proc/sys/net shows the namespace of the thread that opens it. Aborts as
 * netns_sockets() does.
 * Return: 0; -errno of setns(2): then nothing was read.
 */
int netns_numbers(int netns_fd, struct netns_number *numbers, size_t n);

/**
 * netns_cookie() - a namespace's SO_NETNS_COOKIE
 * @netns_fd:	as above
 *
 * Asks with NS_GET_ID (ioctl_nsfs(2), Linux 6.18), which needs no socket, and
 * else with a socket made inside.
 * Return: 0; -ENOPROTOOPT before Linux 5.14; -errno of setns(2), socket(2).
 */
int netns_cookie(int netns_fd, uint64_t *ret_cookie);

#endif
