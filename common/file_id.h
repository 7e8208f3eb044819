/* SPDX-License-Identifier: Apache-2.0 */
/* file_id.h - is it still the same file, on the same mount, at a path? */
#ifndef COMMON_FILE_ID_H
#define COMMON_FILE_ID_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct file_id - a file as it is reached by a path; all 0: nothing is there
 * @mount:	of the mount that it lies on; 0 before Linux 5.8. Numbers of
 *		mounts are used again before Linux 6.8.
 */
struct file_id {
	uint64_t device;
	uint64_t inode;
	uint64_t mount;
};

/** file_id_get() - the identity of what @path leads to, through links. Opens
 * nothing. */
struct file_id file_id_get(const char *path);

/** file_id_equal() - the same file on the same mount? */
bool file_id_equal(const struct file_id *a, const struct file_id *b);

#endif
