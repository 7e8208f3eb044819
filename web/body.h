/* SPDX-License-Identifier: Apache-2.0 */
/* body.h - a text that grows, with a limit */
#ifndef WEB_BODY_H
#define WEB_BODY_H

#include <jansson.h>
#include <stddef.h>

/* A host with as many listeners as berthd takes has a list of 20 MiB. */
#define BODY_MAX ((size_t)64 * 1024 * 1024)

/**
 * struct body - a text; zero initialized
 * @error:	0, or what went wrong first; nothing is added any more
 */
struct body {
	char *text;
	size_t len;
	size_t capacity;
	int error;
};

/**
 * body_add() - adds bytes
 * Return: 0; -ENOMEM; -EFBIG: it would be longer than BODY_MAX; or what went
 * wrong before.
 */
int body_add(struct body *body, const char *bytes, size_t len);

/** body_add_text() - as body_add(), a text without its NUL */
int body_add_text(struct body *body, const char *text);

/** body_add_json() - as body_add(), a value as it is written in JSON */
int body_add_json(struct body *body, const json_t *value);

/** body_done() - frees the text, not the struct */
void body_done(struct body *body);

#endif
