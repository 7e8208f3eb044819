/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - problems in rule files that berthd does not read, or not yet */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include "ctl/exit_code.h"

/**
 * check_run() - becomes `berthd --check` with @n @paths
 * @live_dir:	with `--live`: the runtime directory of the berthd that is
 *		asked; NULL: none is
 *
 * Tries berthd beside this program, in sbin beside its bin, and in PATH.
 * Return: only on failure: the exit code.
 */
enum exit_code check_run(char *const *paths, int n, const char *live_dir);

/** check_json() - the same in a process of its own, and prints the problems as
 * JSON. Return: the exit code. */
enum exit_code check_json(char *const *paths, int n);

#endif
