/* SPDX-License-Identifier: Apache-2.0 */
/* check_live.h - what would rule files do to the namespaces that there are? */
#ifndef DAEMON_CHECK_LIVE_H
#define DAEMON_CHECK_LIVE_H

#include <stddef.h>

struct config;
struct ruleset;

/**
 * check_live() - prints what a running berthd would open and close
 * @config:	where berthd's socket and its rules are
 * @paths:	the files and directories that would be added to its rules, or
 *		take the place of files of the same name; @n of them
 *
 * On standard output, for each rule of these files the namespaces where it
 * holds, then each listener that would come, go, or get another rule. Asks
 * berthd for its namespaces once; both plans are made here, by the caller's
 * rights.
 * Return: the exit status: 0; 1 after saying on standard error what failed.
 */
int check_live(const struct config *config, const char *const *paths, size_t n);

#endif
