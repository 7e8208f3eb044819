// SPDX-License-Identifier: Apache-2.0
/* document.c - what requests are answered with, shared by all viewers */
#include "web/document.h"

#include <jansson.h>

#include "client/prometheus.h"
#include "common/util.h"

#define STATUS_OK 200

struct document *document_new(unsigned int status, enum document_type type,
			      struct body *body)
{
	struct document *document = calloc(1, sizeof(*document));

	if (!document || body->error < 0) {
		free(document);
		body_done(body);
		return NULL;
	}
	document->refs = 1;
	document->status = status;
	document->type = type;
	document->text = body->text;
	document->len = body->len;
	document->owned = TAKE_PTR(body->text);
	body_done(body);
	return document;
}

struct document *document_error(unsigned int status, enum document_type type,
				const char *name, const char *message)
{
	struct body body = { .text = NULL };
	json_t *error = NULL;

	if (type == DOCUMENT_JSON) {
		error = json_pack("{s:s, s:s}", "error", name, "message",
				  message);
		(void)body_add_json(&body, error); /* document_new() looks */
		json_decref(error);
	} else {
		type = DOCUMENT_TEXT;
		(void)body_add_text(&body, message); /* as above */
	}
	(void)body_add_text(&body, "\n"); /* as above */
	return document_new(status, type, &body);
}

struct document *document_static(enum document_type type, const char *text,
				 size_t len)
{
	struct document *document = calloc(1, sizeof(*document));

	if (!document)
		return NULL;
	document->refs = 1;
	document->status = STATUS_OK;
	document->type = type;
	document->text = text;
	document->len = len;
	return document;
}

void document_count(struct document *document, size_t *total)
{
	document->total = total;
	*total += document->len;
}

struct document *document_ref(struct document *document)
{
	document->refs++;
	return document;
}

struct document *document_unref(struct document *document)
{
	if (!document || --document->refs > 0)
		return NULL;
	if (document->total)
		*document->total -= document->len;
	free(document->owned);
	free(document);
	return NULL;
}

const char *document_type_name(enum document_type type)
{
	switch (type) {
	case DOCUMENT_HTML:
		return "text/html; charset=utf-8";
	case DOCUMENT_JSON:
		return "application/json";
	case DOCUMENT_METRICS:
		return PROMETHEUS_CONTENT_TYPE;
	case DOCUMENT_TEXT:
		break;
	}
	return "text/plain; charset=utf-8";
}
