/* SPDX-License-Identifier: Apache-2.0 */
/* json_file.h - small JSON files that outlive berthd */
#ifndef DAEMON_JSON_FILE_H
#define DAEMON_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * json_file_load() - reads a file
 * @max_bytes:	a longer one is none of ours
 * @ret_json:	a new reference
 *
 * Return: 0; -ENOENT; -EINVAL: it is no JSON object; -errno.
 */
int json_file_load(const char *path, size_t max_bytes, json_t **ret_json);

/**
 * json_file_save() - replaces a file, so that a reader sees the old or the new
 * one
 * @json:	taken; NULL is out of memory
 *
 * Return: 0; -ENOMEM; -errno: the old one is there.
 */
int json_file_save(const char *path, json_t *json);

/**
 * json_file_begin() - as json_file_save(), but piece by piece
 *
 * Return: a descriptor, to be given to json_file_end(); -errno.
 */
int json_file_begin(const char *path);

/** json_file_write() - writes the next piece of what json_file_begin() began.
 * Return: 0; -ENOSPC; -errno of write(2). */
int json_file_write(int fd, const char *text);

/**
 * json_file_end() - closes @fd, and puts what was written in the place of @path
 * @whole:	false: leaves the old one, and forgets what was written
 *
 * Return: 0; -errno of rename(2): the old one is there.
 */
int json_file_end(const char *path, int fd, bool whole);

#endif
