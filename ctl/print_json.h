/* SPDX-License-Identifier: Apache-2.0 */
/* print_json.h - prints replies as one JSON object, as they come */
#ifndef CTL_PRINT_JSON_H
#define CTL_PRINT_JSON_H

#include <jansson.h>
#include <stdio.h>

struct print_json;

/** print_json_new() - @out: to be written to. Return: NULL: no memory. */
struct print_json *print_json_new(FILE *out);

/**
 * print_json_reply() - prints what @parameters add to the replies before
 *
 * An array is continued by the later replies, and the arrays come one after
 * the other; all else is printed from the first reply.
 * Return: 0; -EPROTO: @parameters continue an array that was complete; -ENOMEM;
 * -EIO: @out cannot be written to.
 */
int print_json_reply(struct print_json *print, const json_t *parameters);

/** print_json_end() - prints the end of the object. Return: 0 or -EIO. */
int print_json_end(struct print_json *print);

/** print_json_free() - Return: NULL. NULL is fine. */
struct print_json *print_json_free(struct print_json *print);

#endif
