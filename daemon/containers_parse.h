/* SPDX-License-Identifier: Apache-2.0 */
/* containers_parse.h - from the text of a file in containers.d to containers */
#ifndef DAEMON_CONTAINERS_PARSE_H
#define DAEMON_CONTAINERS_PARSE_H

#include <stddef.h>

#include "watcher/told.h"

struct rules_errors;
struct yaml_node;

/**
 * struct told_list - the containers of a file; zero is an empty one
 * @root:	whose texts @list borrows; owned, as is all else
 */
struct told_list {
	struct container_told *list;
	size_t n;
	struct yaml_node *root;
};

/**
 * containers_parse() - the containers of one file's text
 * @path:	of the file, for messages
 * @errors:	problems are appended
 * @ret_told:	to be freed with told_list_done()
 *
 * Return: 0; -EINVAL when problems were appended; -ENOMEM.
 */
int containers_parse(const char *path, const char *text, size_t len,
		     struct rules_errors *errors, struct told_list *ret_told);

/** told_list_done() - frees what it owns, not the struct */
void told_list_done(struct told_list *told);

#endif
