/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer.h - answers that the relay gives itself */
#ifndef RELAY_HTTP_HTTP_ANSWER_H
#define RELAY_HTTP_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/http/http_request.h"

/* To a client that waits with its body; the real answer follows. */
#define HTTP_ANSWER_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* Enough for each answer whose text has up to 200 characters. */
#define HTTP_ANSWER_MAX 512

/**
 * struct http_answer - one that ends the connection
 * @text:	a line for people, without its end; NULL: only what the status
 *		means
 * @retry_after_s: when to come again; 0: that is not said
 * @is_head:	it answers a HEAD request, so its body is only announced
 */
struct http_answer {
	enum http_status status;
	const char *text;
	unsigned int retry_after_s;
	bool is_head;
};

/**
 * http_answer_write() - status, length, "Connection: close" and one line
 * @size:	of @buffer; HTTP_ANSWER_MAX is enough
 *
 * Return: bytes written, no NUL behind them; 0: it does not fit.
 */
size_t http_answer_write(const struct http_answer *answer, char *buffer,
			 size_t size);

/** http_answer_refused() - the answer to a request that was refused; else as
 * http_answer_write() */
size_t http_answer_refused(const struct http_request *request, const char *data,
			   char *buffer, size_t size);

#endif
