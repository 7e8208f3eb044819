/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - what berthctl can be asked for, and who shows the answer */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/json_scan.h"

#define INTERFACE "io.berth." /* whose methods and errors these are */

/**
 * struct show_list - shows a list that is too long to be kept as JSON
 * @array:	the member of the replies that is the list, and left as text;
 *		NULL: none is
 * @begin:	Return: a state; NULL: no memory
 * @add:	shows or notes one reply. Return: 0 or -ENOMEM
 * @end:	shows what is left. Return: as show_status()
 */
struct show_list {
	const char *array;
	void *(*begin)(void);
	int (*add)(void *state, const json_t *reply, struct json_span array);
	int (*end)(void *state);
	void (*free)(void *state);
};

/**
 * struct command - one word on the command line
 * @method:	of which interface of berthd's, with its name; NULL: none
 * @argument:	name of its argument, or NULL
 * @required:	does it need the argument?
 * @show:	the whole reply; NULL: @list does, reply by reply, or all is
 *		done elsewhere (top). Return: 0; an exit code; -errno.
 */
struct command {
	const char *name;
	const char *method;
	const char *argument;
	bool required;
	int (*show)(const json_t *reply);
	const struct show_list *list;
	const char *help;
};

/** command_find() - the command of that name, or NULL */
const struct command *command_find(const char *name);

/** commands_print() - a line or two for each command, as in --help */
void commands_print(FILE *out);

#endif
