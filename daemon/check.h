/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - berthd --check */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/**
 * check_rules() - reads rules, prints problems to stderr and a summary
 * @paths:	files and directories
 * @must_exist:	a missing one is a problem
 * Return: the exit status: 0 without a problem, else 1.
 */
int check_rules(const char *const *paths, size_t n, bool must_exist);

#endif
