/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - what runtimes give the hook to read, with limits */
#ifndef HOOK_INPUT_H
#define HOOK_INPUT_H

#include <jansson.h>
#include <stdint.h>

/* Some runtimes put the whole of a pod's specification into annotations; a
 * config.json with them has some hundred kilobytes. */
#define INPUT_MAX (16u * 1024 * 1024)

/**
 * input_read() - reads JSON until the end of a descriptor
 * @fd:		stays open
 * @deadline_us: of monotonic_us()
 * @ret_json:	an object, the caller's
 *
 * Blocks until the deadline at most, unless @fd is a file of a file system
 * that does not answer.
 * Return: 0; -EPROTO: it is no JSON object; -EFBIG: more than INPUT_MAX;
 * -ETIMEDOUT; -ENOMEM; -errno of read(2).
 */
int input_read(int fd, uint64_t deadline_us, json_t **ret_json);

/**
 * input_read_file() - reads the JSON of a file
 *
 * As input_read(). Return: also -errno of open(2); -EINVAL: it is no regular
 * file.
 */
int input_read_file(const char *path, uint64_t deadline_us, json_t **ret_json);

#endif
