/* SPDX-License-Identifier: Apache-2.0 */
/* wakeup.h - wakes a thread that waits in epoll_wait(2) */
#ifndef RELAY_CORE_WAKEUP_H
#define RELAY_CORE_WAKEUP_H

#include <sys/eventfd.h>
#include <unistd.h>

/** wakeup_new() - Return: a descriptor for the thread to wait for, which the
 * caller closes; -1 with errno set. */
static inline int wakeup_new(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/** wakeup_kick() - by any thread: @fd becomes readable, if it is not yet */
static inline void wakeup_kick(int fd)
{
	eventfd_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* fails only if it is readable */
}

/** wakeup_drain() - by the thread that was woken: @fd is not readable any more
 */
static inline void wakeup_drain(int fd)
{
	eventfd_t count;

	(void)!read(fd, &count, sizeof(count)); /* how often does not matter */
}

#endif
