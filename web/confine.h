/* SPDX-License-Identifier: Apache-2.0 */
/* confine.h - what berth-web gives up before it sees a viewer's byte */
#ifndef WEB_CONFINE_H
#define WEB_CONFINE_H

/**
 * web_confine_privileges() - drops all capabilities, for the calling thread and
 * those that it starts later
 *
 * Return: 0, or -errno after a message.
 */
int web_confine_privileges(void);

/**
 * web_confine_syscalls() - filters system calls from now on, in all threads
 *
 * No thread can be started any more, no file opened, and no socket of the
 * network made. A build with sanitizers gets no filter.
 * Return: 0, or -errno after a message.
 */
int web_confine_syscalls(void);

#endif
