/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h - names from outside as JSON strings */
#ifndef DAEMON_JSON_TEXT_H
#define DAEMON_JSON_TEXT_H

#include <jansson.h>

/**
 * json_text() - @bytes as a JSON string, whatever they are
 *
 * File and interface names are bytes, and a container chooses them. Those that
 * are not UTF-8, which JSON must be, are written as utf8_escape() does, so that
 * no name can make a message fail.
 * Return: a new reference, NULL when out of memory.
 */
json_t *json_text(const char *bytes);

#endif
