// SPDX-License-Identifier: Apache-2.0
/* http_rewrite.c - a request as the backend gets it */
#include "relay/http/http_rewrite.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http_syntax.h"
#include "relay/http/http_request.h"

/* "Content-Length: " and the longest number */
#define LENGTH_TEXT_MAX 64

/* What does not fit is not written, and makes all of it fail. */
struct writer {
	char *at;
	size_t left;
	bool full;
};

static void put(struct writer *writer, const char *bytes, size_t len)
{
	if (writer->full || len > writer->left) {
		writer->full = true;
		return;
	}
	memcpy(writer->at, bytes, len);
	writer->at += len;
	writer->left -= len;
}

static void put_text(struct writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

static void put_span(struct writer *writer, const char *data,
		     struct http_span span)
{
	put(writer, data + span.at, span.len);
}

static void put_request_line(struct writer *writer,
			     const struct http_request *request,
			     const char *data)
{
	put_span(writer, data, request->method);
	put_text(writer, " ");
	if (request->origin.len == 0 &&
	    http_request_is(request, data, "OPTIONS"))
		put_text(writer, "*"); /* RFC 9112, 3.2.4 */
	else if (request->origin.len == 0 || data[request->origin.at] == '?')
		put_text(writer, "/");
	put_span(writer, data, request->origin);
	put_text(writer, request->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
}

/* Is a name among the options of a Connection field, "close, X-Hop"? */
static bool has_option(const char *value, size_t len, const char *name,
		       size_t name_len)
{
	while (len > 0) {
		const char *comma = memchr(value, ',', len);
		size_t all = comma ? (size_t)(comma - value) : len;
		const char *option = value;
		size_t option_len = all;

		while (option_len > 0 &&
		       (option[0] == ' ' || option[0] == '\t')) {
			option++;
			option_len--;
		}
		while (option_len > 0 && (option[option_len - 1] == ' ' ||
					  option[option_len - 1] == '\t'))
			option_len--;
		if (http_name_equal(option, option_len, name, name_len))
			return true;
		all += comma != NULL;
		value += all;
		len -= all;
	}
	return false;
}

static bool named_by_connection(const struct http_request *request,
				const char *data, const char *name, size_t len)
{
	static const char connection[] = "Connection", host[] = "Host";

	if (request->n_options == 0 ||
	    http_name_equal(name, len, host, strlen(host)))
		return false;
	for (size_t i = 0; i < request->n_fields; i++) {
		const struct http_field *field = &request->fields[i];

		if (http_name_equal(data + field->name.at, field->name.len,
				    connection, strlen(connection)) &&
		    has_option(data + field->value.at, field->value.len, name,
			       len))
			return true;
	}
	return false;
}

static bool is_changed(const struct http_changes *changes, const char *name,
		       size_t len)
{
	for (size_t i = 0; i < changes->n_set; i++) {
		const char *set = changes->set[i].name;

		if (http_name_equal(name, len, set, strlen(set)))
			return true;
	}
	for (size_t i = 0; i < changes->n_remove; i++) {
		const char *removed = changes->remove[i];

		if (http_name_equal(name, len, removed, strlen(removed)))
			return true;
	}
	return false;
}

static void put_fields(struct writer *writer,
		       const struct http_request *request, const char *data,
		       const struct http_changes *changes)
{
	for (size_t i = 0; i < request->n_fields; i++) {
		const struct http_field *field = &request->fields[i];
		const char *name = data + field->name.at;
		size_t len = field->name.len;

		if (http_name_reserved(name, len) ||
		    is_changed(changes, name, len) ||
		    named_by_connection(request, data, name, len))
			continue;
		put_span(writer, data, field->name);
		put_text(writer, ": ");
		put_span(writer, data, field->value);
		put_text(writer, "\r\n");
	}
}

static int put_set(struct writer *writer, const struct http_changes *changes)
{
	for (size_t i = 0; i < changes->n_set; i++) {
		const struct http_header *set = &changes->set[i];
		size_t len = strlen(set->name);

		if (!http_is_token(set->name, len) ||
		    http_name_reserved(set->name, len) ||
		    !http_is_value(set->value, set->value_len))
			return -EINVAL;
		put_text(writer, set->name);
		put_text(writer, ": ");
		put(writer, set->value, set->value_len);
		put_text(writer, "\r\n");
	}
	return 0;
}

static void put_length(struct writer *writer, size_t length)
{
	char text[LENGTH_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "Content-Length: %zu\r\n",
		       length); /* fits */
	put_text(writer, text);
}

/* The size of the chunk whose line is here, and how long that line is. */
static size_t chunk_size(const char *line, const char *end, size_t *ret_len)
{
	const char *line_end = memchr(line, '\n', (size_t)(end - line));
	size_t size = 0;

	for (const char *c = line; c < end; c++) {
		int digit = http_hex_digit(*c);

		if (digit < 0)
			break;
		size = size * 16 + (size_t)digit;
	}
	*ret_len = (size_t)(line_end + 1 - line);
	return size;
}

/* http_read() has seen that all sizes are right. */
static void put_chunks(struct writer *writer, const char *chunks, size_t len)
{
	const char *end = chunks + len;

	while (chunks < end) {
		size_t line_len, size = chunk_size(chunks, end, &line_len);

		if (size == 0)
			return;
		put(writer, chunks + line_len, size);
		chunks += line_len + size + strlen("\r\n");
	}
}

ssize_t http_rewrite(const struct http_request *request, const char *data,
		     const struct http_changes *changes, char *buffer,
		     size_t size)
{
	struct writer writer = { .at = buffer, .left = size };
	int r;

	put_request_line(&writer, request, data);
	put_fields(&writer, request, data, changes);
	if (request->has_body)
		put_length(&writer, request->body_size);
	r = put_set(&writer, changes);
	if (r < 0)
		return r;
	put_text(&writer, "Connection: close\r\n\r\n");
	if (request->chunked)
		put_chunks(&writer, data + request->body.at, request->body.len);
	else
		put_span(&writer, data, request->body);
	return writer.full ? -EMSGSIZE : (ssize_t)(writer.at - buffer);
}
