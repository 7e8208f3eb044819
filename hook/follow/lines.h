/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - a stream of bytes cut into lines of bounded length */
#ifndef HOOK_FOLLOW_LINES_H
#define HOOK_FOLLOW_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* An event of Docker carries its container's labels. */
#define LINES_LENGTH_MAX (1024u * 1024)

/* What is left out of one line before the stream counts as garbage. */
#define LINES_SKIPPED_MAX (64u * 1024 * 1024)

/**
 * struct lines - the beginning of a line; zero is an empty one
 * @skipped:	bytes of a line that is too long; 0: it is not
 */
struct lines {
	char *text;
	size_t len;
	size_t capacity;
	size_t skipped;
};

/**
 * typedef lines_handler - a line, without its end
 * @text:	NULL: a line that was too long, and is left out
 */
typedef void (*lines_handler)(const char *text, size_t len, void *user_data);

/**
 * lines_add() - takes a piece of the stream, and tells of each line that ends
 *
 * Lines without a character are left out.
 * Return: 0; -EMSGSIZE: a line has no end; -ENOMEM.
 */
int lines_add(struct lines *lines, const char *data, size_t len,
	      lines_handler handler, void *user_data);

/** lines_done() - frees what it has, not the struct */
void lines_done(struct lines *lines);

#endif
