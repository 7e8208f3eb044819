/* SPDX-License-Identifier: Apache-2.0 */
/* registrations_file.h - registrations outlive berthd in a file
 *
 * It is RUNTIME/registrations.json, and berthd's own: what it has today is in
 * registrations_text.h.
 */
#ifndef DAEMON_REGISTRATIONS_FILE_H
#define DAEMON_REGISTRATIONS_FILE_H

#include <stdbool.h>

struct loop;
struct registrations_file;
struct watcher;

/**
 * registrations_file_new() - restores what an earlier berthd had
 * @loop, @watcher: outlive the file; the watcher has not begun to look
 * @runtime_dir: where it is
 * @ret_file:	the caller's, to be freed with registrations_file_free()
 *
 * What is not true any more is logged and left out. A file that cannot be read
 * is logged and counts as none. Return: 0 or -ENOMEM.
 */
int registrations_file_new(struct loop *loop, const char *runtime_dir,
			   struct watcher *watcher,
			   struct registrations_file **ret_file);

/** registrations_file_free() - writes what is not written yet. NULL is fine.
 * Return: NULL. */
struct registrations_file *
registrations_file_free(struct registrations_file *file);

/** registrations_file_changed() - the watcher has other registrations: they are
 * to be written */
void registrations_file_changed(struct registrations_file *file);

/** registrations_file_step() - writes a slice of what is to be written now.
 * Return: is there more? */
bool registrations_file_step(struct registrations_file *file);

#endif
