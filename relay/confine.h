/* SPDX-License-Identifier: Apache-2.0 */
/* confine.h - what the relay gives up before it sees a stranger's byte */
#ifndef RELAY_CONFINE_H
#define RELAY_CONFINE_H

/**
 * confine_privileges() - drops every capability, for good
 *
 * Before threads exist.
 * Return: 0; -EPERM when capabilities are left; a negative errno.
 */
int confine_privileges(void);

/**
 * confine_syscalls() - from now on only what relaying needs
 *
 * Before threads exist, which inherit it; after no_new_privs was set by
 * confine_privileges(). Not in builds with sanitizers, which need more.
 * Return: 0 or a negative errno.
 */
int confine_syscalls(void);

#endif
