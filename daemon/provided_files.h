/* SPDX-License-Identifier: Apache-2.0 */
/* provided_files.h - notes for the next berthd: which addresses are berth's
 *
 * A file for each namespace, so that a note costs the same with ten thousand.
 */
#ifndef DAEMON_PROVIDED_FILES_H
#define DAEMON_PROVIDED_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "binder/provide.h"

struct provided_files;

/**
 * provided_files_new() - makes the directory
 * @runtime_dir: where; the directory in it is called "provided"
 *
 * Return: 0; -ENOMEM; -errno of mkdir(2).
 */
int provided_files_new(const char *runtime_dir,
		       struct provided_files **ret_files);

/** provided_files_free() - the files stay. NULL is fine. Return: NULL. */
struct provided_files *provided_files_free(struct provided_files *files);

/**
 * provided_files_load() - tells @provider what an earlier berthd has noted
 *
 * A file that is none of berth's is passed over, and logged.
 * Return: 0; -ENOMEM; -errno of opendir(3).
 */
int provided_files_load(const struct provided_files *files,
			struct provider *provider);

/**
 * provided_files_note() - as the @note of struct provider_ops
 *
 * Return: 0; -ENOMEM; -errno of json_file_save() or unlink(2).
 */
int provided_files_note(const struct provided_files *files, uint64_t netns_id,
			const struct provided *const *list, size_t n);

#endif
