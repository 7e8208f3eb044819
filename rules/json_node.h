/* SPDX-License-Identifier: Apache-2.0 */
/* json_node.h - a JSON text as a bounded tree with positions
 *
 * The tree is that of yaml_node.h: a string is a scalar that is not plain; a
 * number, true, false and null are plain ones. So what reads the tree, and
 * reports what is wrong with it, is the same for both languages.
 */
#ifndef RULES_JSON_NODE_H
#define RULES_JSON_NODE_H

#include "rules/yaml_node.h"

/**
 * json_read() - makes the tree of the one JSON value in @text
 * @ret_root:	to be freed with yaml_node_free()
 *
 * UTF-8 only, without NUL, as RFC 8259 says; a byte order mark is skipped. The
 * limits are those of yaml_read().
 * Return: 0; -EINVAL with *@ret_problem filled; -ENOMEM.
 */
int json_read(const char *text, size_t len, struct yaml_node **ret_root,
	      struct yaml_problem *ret_problem);

#endif
