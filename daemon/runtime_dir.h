/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_dir.h - the directory of berthd's sockets, for one berthd at a time
 */
#ifndef DAEMON_RUNTIME_DIR_H
#define DAEMON_RUNTIME_DIR_H

/**
 * runtime_dir_take() - makes the directory if needed and locks it
 * @ret_lock_fd: holds the lock until it is closed; the caller's
 *
 * Logs what is wrong: a parent that is missing, no permission, another berthd
 * (with its pid).
 * Return: 0; -EBUSY when another berthd has it; -errno of mkdir(2), open(2).
 */
int runtime_dir_take(const char *path, int *ret_lock_fd);

#endif
