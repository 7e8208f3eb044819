/* SPDX-License-Identifier: Apache-2.0 */
/* question.h - what a viewer wants to know, and berthd's answer to it */
#ifndef WEB_QUESTION_H
#define WEB_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "web/route.h"

struct document;

/**
 * struct question - a route, and its parameters
 * @values:	in the route's order, UTF-8; NULL: not given
 */
struct question {
	const struct route *route;
	char *values[ROUTE_PARAMETERS];
};

/** question_copy() - Return: 0 or -ENOMEM, with nothing in *@ret_copy. */
int question_copy(const struct question *question, struct question *ret_copy);

/** question_done() - frees what it has, not the struct */
void question_done(struct question *question);

/** question_equal() - is it the same question? */
bool question_equal(const struct question *a, const struct question *b);

/**
 * question_ask() - asks berthd
 * @socket:	berthd's control socket
 * @deadline_us: of monotonic_us()
 *
 * Blocks, until then at most.
 * Return: the answer, which may be an error; NULL: out of memory.
 */
struct document *question_ask(const struct question *question,
			      const char *socket, uint64_t deadline_us);

#endif
