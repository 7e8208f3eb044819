/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_node.h - a YAML text as a bounded tree with positions */
#ifndef RULES_YAML_NODE_H
#define RULES_YAML_NODE_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_TEXT_MAX (1024u * 1024u) /* a file: no person writes more */
#define YAML_DEPTH_MAX 16u /* the language needs seven levels */
#define YAML_NODES_MAX 100000u /* a file's nodes take some 8 MiB at most */
#define YAML_PROBLEM_MAX 320

enum yaml_node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

/**
 * struct yaml_node - one value
 * @line, @column: where it begins, from 1
 * @plain:	a scalar without quotes
 * @text:	of a scalar, NUL-terminated and without NUL inside; owned
 * @items:	of a list its elements; of a mapping key, value, key, value…
 * @n:		number of @items
 */
struct yaml_node {
	enum yaml_node_kind kind;
	unsigned int line;
	unsigned int column;
	bool plain;
	char *text;
	struct yaml_node *items;
	size_t n;
};

/** struct yaml_problem - why a text has no tree; line 0: the whole file */
struct yaml_problem {
	unsigned int line;
	unsigned int column;
	char message[YAML_PROBLEM_MAX];
};

/**
 * yaml_read() - makes the tree of the one document in @text
 * @ret_root:	NULL for a text without a document
 *
 * UTF-8 only. Anchors, aliases, tags and further documents are refused: the
 * language has no use for them, and without aliases a small text stays a small
 * tree.
 * Return: 0; -EINVAL with *@ret_problem filled; -ENOMEM.
 */
int yaml_read(const char *text, size_t len, struct yaml_node **ret_root,
	      struct yaml_problem *ret_problem);

/** yaml_node_free() - frees the tree. NULL is fine. Returns NULL. */
struct yaml_node *yaml_node_free(struct yaml_node *root);

/** yaml_node_is_null() - a plain scalar that YAML reads as nothing? */
bool yaml_node_is_null(const struct yaml_node *node);

#endif
