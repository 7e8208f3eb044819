/* SPDX-License-Identifier: Apache-2.0 */
/* json_build.h - JSON made part by part, when any part may lack memory
 *
 * A part that is NULL makes the whole NULL: only the whole is checked.
 */
#ifndef DAEMON_JSON_BUILD_H
#define DAEMON_JSON_BUILD_H

#include <jansson.h>
#include <stdint.h>

/**
 * json_text() - @bytes as a JSON string, whatever they are
 *
 * JSON has no bytes: of a name that is not UTF-8, those that are not ASCII
 * become \xNN, which other names may spell out as well.
 * Return: a new reference, or NULL: no memory.
 */
json_t *json_text(const char *bytes);

/** json_count() - a number that is never negative; above what JSON has it
 * wraps. Return: a new reference, or NULL: no memory. */
json_t *json_count(uint64_t n);

/**
 * json_add() - one more element of *@array
 * @array:	becomes NULL, and what it had is freed, when memory is short;
 *NULL stays NULL
 * @element:	taken; NULL is out of memory
 */
void json_add(json_t **array, json_t *element);

/**
 * json_put() - one more member of *@object
 * @object:	as @array of json_add()
 * @key:	ASCII
 * @value:	taken; NULL is out of memory
 */
void json_put(json_t **object, const char *key, json_t *value);

#endif
