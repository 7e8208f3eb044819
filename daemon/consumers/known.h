/* SPDX-License-Identifier: Apache-2.0 */
/* known.h - which consumers an earlier berthd had, by a file
 *
 * A berthd that is started anew reads it: these programs may still have
 * listeners, and hand them back.
 */
#ifndef DAEMON_CONSUMERS_KNOWN_H
#define DAEMON_CONSUMERS_KNOWN_H

#include <stdint.h>
#include <sys/types.h>

/** More consumers than any host has; of the others nobody is waited for. */
#define KNOWN_MAX 256u

/** The longest name of a consumer, with its end: NAME_MAX of a file. */
#define KNOWN_NAME_MAX 256

/**
 * struct known_consumer - a process that was connected
 * @started:	since boot, in clock ticks: another process may have the pid by
 *		now
 */
struct known_consumer {
	char name[KNOWN_NAME_MAX];
	pid_t pid;
	uint64_t started;
};

/** known_started() - when was this process started? 0: there is none. */
uint64_t known_started(pid_t pid);

/**
 * known_load() - reads the file
 * @ret_list:	of KNOWN_MAX: those whose process lives
 *
 * Return: how many; 0 also when there is no file. -EINVAL: it is none of
 * berthd's; -errno of open(2) or read(2).
 */
int known_load(const char *path, struct known_consumer *ret_list);

/**
 * known_save() - replaces the file, so that a reader sees the old or the new
 * one Return: 0; -ENOMEM; -errno of open(2), write(2) or rename(2): the old one
 * is there.
 */
int known_save(const char *path, const struct known_consumer *list, size_t n);

#endif
