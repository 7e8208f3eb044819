/* SPDX-License-Identifier: Apache-2.0 */
/* owner.h - whose is a namespace, and whose a process? */
#ifndef WATCHER_OWNER_H
#define WATCHER_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * owner_has_netns() - does a network namespace belong to a user?
 * @netns_fd:	of the namespace
 *
 * It does if its owning user namespace was made by that user: the kernel then
 * gives them all capabilities over it. What was made in the user namespace that
 * berthd lives in belongs to root, and what was made in one that berthd cannot
 * see belongs to nobody. Needs no capability.
 */
bool owner_has_netns(int netns_fd, uid_t uid);

/**
 * owner_has_process() - does a process run as a user?
 * @pid_fd:	of the process @pid
 *
 * False for one that has ended, and for one that must not be looked at by its
 * own user, as after execve(2) of a program with privileges.
 */
bool owner_has_process(pid_t pid, int pid_fd, uid_t uid);

/**
 * owner_is_known() - does the number mean one user?
 *
 * In a user namespace the kernel shows all users who have no number there as
 * one (overflowuid of proc(5)): what belongs to that is nobody's.
 */
bool owner_is_known(uid_t uid);

#endif
