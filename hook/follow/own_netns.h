/* SPDX-License-Identifier: Apache-2.0 */
/* own_netns.h - is a process in the network namespace of this program? */
#ifndef HOOK_FOLLOW_OWN_NETNS_H
#define HOOK_FOLLOW_OWN_NETNS_H

/**
 * own_netns_has() - is process @pid in this program's network namespace?
 *
 * Needs no privilege.
 * Return: 1 or 0; -errno of stat(2), -ENOENT: the process is gone, or /proc
 * hides it.
 */
int own_netns_has(int pid);

#endif
