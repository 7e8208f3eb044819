/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - berthd --check */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

struct config_store;
struct options;

/**
 * check() - reads configuration and rules, prints problems to stderr and a
 * summary
 * @options:	which files and directories of rules, or files named
 *		berthd.yaml: each must exist; none: the configuration, and the
 *		directories that it names
 * @store:	its file was read; it is checked, too, when --config named it
 *
 * Return: the exit status: 0 without a problem, else 1.
 */
int check(const struct options *options, const struct config_store *store);

#endif
