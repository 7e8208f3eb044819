/* SPDX-License-Identifier: Apache-2.0 */
/* document.h - what requests are answered with, shared by all viewers */
#ifndef WEB_DOCUMENT_H
#define WEB_DOCUMENT_H

#include <stddef.h>

#include "web/body.h"

/** enum document_type - what the text is */
enum document_type {
	DOCUMENT_HTML,
	DOCUMENT_JSON,
	DOCUMENT_METRICS, /* Prometheus's format for text */
	DOCUMENT_TEXT,
};

/**
 * struct document - made once, then only read
 * @status:	of HTTP
 * @away:	errno: why berthd does not answer, or 0
 * @text:	@len bytes
 * @owned:	@text is freed with the document
 * @total:	where its length is counted while it exists, or NULL
 */
struct document {
	unsigned int refs;
	unsigned int status;
	enum document_type type;
	int away;
	const char *text;
	size_t len;
	char *owned;
	size_t *total;
};

/**
 * document_new() - one reference
 * @body:	taken, also when it fails
 * Return: NULL: out of memory.
 */
struct document *document_new(unsigned int status, enum document_type type,
			      struct body *body);

/** document_error() - a document about what went wrong, as JSON with the
 * members error (@name) and message, or as the message alone
 * Return: NULL: out of memory. */
struct document *document_error(unsigned int status, enum document_type type,
				const char *name, const char *message);

/** document_static() - of a text that outlives it. Return: NULL: out of memory.
 */
struct document *document_static(enum document_type type, const char *text,
				 size_t len);

/** document_count() - adds the document's length to *@total until it is freed
 */
void document_count(struct document *document, size_t *total);

/** document_ref() - takes one more reference; returns @document */
struct document *document_ref(struct document *document);

/** document_unref() - frees with the last reference. NULL is fine. Returns
 * NULL. */
struct document *document_unref(struct document *document);

/** document_type_name() - as the header Content-Type says it */
const char *document_type_name(enum document_type type);

#endif
