// SPDX-License-Identifier: Apache-2.0
/* http_read.c - reads the one request of a connection as its bytes come
 *
 * Theory of operation. The head, sizes of chunks and trailers are lines that
 * end with CRLF; scan_line() finds the end of the next one and refuses bytes
 * that no line may have, so that garbage is refused when it comes and not when
 * the client is out of time. A line is read when it is there as a whole.
 * Bodies are only counted. `line_at` is where the next thing to read begins,
 * and never goes back.
 */
#include "relay/http/http_read.h"

#include <string.h>

#include "common/http_syntax.h"
#include "relay/http/http_head.h"
#include "relay/http/http_request.h"

#define CHUNK_DIGITS_MAX (2 * sizeof(size_t))

static enum http_verdict bad(struct http_request *request, const char *problem)
{
	return http_request_refuse(request, HTTP_BAD_REQUEST, problem);
}

/* Looks for the CRLF behind the line that begins at @line_at.
 * Return: HTTP_WHOLE: *ret_line is the line without it, and reading goes on
 * behind it. */
static enum http_verdict scan_line(struct http_request *request,
				   const char *data, size_t len,
				   struct http_span *ret_line)
{
	const char *from = data + request->scanned;
	size_t n = len - request->scanned;
	const char *cr = memchr(from, '\r', n);
	size_t run = cr ? (size_t)(cr - from) : n;
	size_t i = request->scanned + run;

	if (memchr(from, '\n', run))
		return bad(request, "a line feed without a carriage return");
	if (!http_is_value(from, run))
		return bad(request, "a control character");
	request->scanned = i;
	if (len - i < 2)
		return HTTP_MORE;
	if (data[i + 1] != '\n')
		return bad(request, "a carriage return without a line feed");
	ret_line->at = request->line_at;
	ret_line->len = i - request->line_at;
	request->line_at = request->scanned = i + 2;
	return HTTP_WHOLE;
}

/* The body */

/* "1a" or "1a;name=value". Extensions are for the next hop, which is the relay:
 * it knows none, and has to ignore those. */
static enum http_verdict read_chunk_size(struct http_request *request,
					 const char *data,
					 struct http_span line)
{
	size_t size = 0, digits = 0;

	while (digits < line.len && digits < CHUNK_DIGITS_MAX &&
	       http_hex_digit(data[line.at + digits]) >= 0) {
		size = size * 16 +
		       (size_t)http_hex_digit(data[line.at + digits]);
		digits++;
	}
	if (digits == 0 || (digits < line.len && data[line.at + digits] != ';'))
		return bad(request, "the size of a chunk that is no number");
	request->chunk_left = size;
	request->part = size ? HTTP_PART_CHUNK : HTTP_PART_TRAILERS;
	request->body.len = request->line_at - request->body.at;
	return HTTP_MORE;
}

static enum http_verdict whole(struct http_request *request)
{
	request->part = HTTP_PART_NONE;
	return HTTP_WHOLE;
}

/* Nobody gets trailers: what is read behind a body may not change a head that
 * was judged before. A field that frames a request is refused even here,
 * because some servers would heed it. */
static enum http_verdict read_trailer(struct http_request *request,
				      const char *data, struct http_span line)
{
	struct http_field field = { .name = { 0, 0 } };
	const char *name;

	if (line.len == 0)
		return whole(request);
	if (request->n_trailers++ == HTTP_FIELDS_MAX)
		return http_request_refuse(request, HTTP_FIELDS_TOO_LARGE,
					   "more than 100 trailers");
	if (http_field_parse(request, data, line, &field) == HTTP_REFUSED)
		return HTTP_REFUSED;
	name = data + field.name.at;
	if (http_name_reserved(name, field.name.len) ||
	    http_name_equal(name, field.name.len, "Host", strlen("Host")))
		return bad(request, "a trailer that belongs into the head");
	return HTTP_MORE;
}

static enum http_verdict read_body(struct http_request *request, size_t len,
				   size_t max_bytes)
{
	if (request->body_size > max_bytes - request->line_at)
		return http_request_refuse(request, HTTP_CONTENT_TOO_LARGE,
					   "a body that is too large");
	request->body.len = request->body_size;
	if (len - request->line_at < request->body_size)
		return HTTP_MORE;
	request->line_at += request->body_size;
	return whole(request);
}

static enum http_verdict read_chunk(struct http_request *request, size_t len,
				    size_t max_bytes)
{
	size_t have = len - request->line_at;

	if (request->chunk_left > max_bytes - request->line_at)
		return http_request_refuse(request, HTTP_CONTENT_TOO_LARGE,
					   "a body that is too large");
	if (have < request->chunk_left)
		return HTTP_MORE;
	request->body_size += request->chunk_left;
	request->line_at += request->chunk_left;
	request->scanned = request->line_at;
	request->part = HTTP_PART_CHUNK_END;
	return HTTP_MORE;
}

static enum http_verdict read_chunk_end(struct http_request *request,
					const char *data, size_t len)
{
	size_t have = len - request->line_at;

	if (memcmp(data + request->line_at, "\r\n", have < 2 ? have : 2) != 0)
		return bad(request, "a chunk that is longer than its size");
	if (have < 2)
		return HTTP_MORE;
	request->line_at += 2;
	request->scanned = request->line_at;
	request->part = HTTP_PART_CHUNK_SIZE;
	return HTTP_MORE;
}

static enum http_verdict read_line(struct http_request *request,
				   const char *data, size_t len)
{
	struct http_span line = { 0, 0 };
	enum http_part part = request->part;
	enum http_verdict verdict = scan_line(request, data, len, &line);

	if (verdict != HTTP_WHOLE)
		return verdict;
	if (part == HTTP_PART_LINE)
		return http_head_line(request, data, line);
	if (part == HTTP_PART_FIELDS)
		return line.len > 0 ? http_head_field(request, data, line)
				    : http_head_end(request, data);
	if (part == HTTP_PART_CHUNK_SIZE)
		return read_chunk_size(request, data, line);
	return read_trailer(request, data, line);
}

/* One step. HTTP_MORE: bytes are missing, or the next step is another. */
static enum http_verdict step(struct http_request *request, const char *data,
			      size_t len, size_t max_bytes)
{
	switch (request->part) {
	case HTTP_PART_LINE:
	case HTTP_PART_FIELDS:
	case HTTP_PART_CHUNK_SIZE:
	case HTTP_PART_TRAILERS:
		return read_line(request, data, len);
	case HTTP_PART_BODY:
		return read_body(request, len, max_bytes);
	case HTTP_PART_CHUNK:
		return read_chunk(request, len, max_bytes);
	case HTTP_PART_CHUNK_END:
		return read_chunk_end(request, data, len);
	case HTTP_PART_NONE:
		return HTTP_WHOLE;
	case HTTP_PART_REFUSED:
		break;
	}
	return HTTP_REFUSED;
}

/* More bytes would have to come than a request may have. */
static enum http_verdict refuse_large(struct http_request *request)
{
	if (request->part == HTTP_PART_LINE)
		return http_request_refuse(request, HTTP_URI_TOO_LONG,
					   "a request line that is too long");
	if (request->part == HTTP_PART_FIELDS)
		return http_request_refuse(request, HTTP_FIELDS_TOO_LARGE,
					   "fields that are too large");
	return http_request_refuse(request, HTTP_CONTENT_TOO_LARGE,
				   "a body that is too large");
}

enum http_verdict http_read(struct http_request *request, const char *data,
			    size_t len, size_t max_bytes)
{
	enum http_verdict verdict;
	enum http_part part;
	size_t line_at;

	if (len > max_bytes)
		len = max_bytes;
	do {
		part = request->part;
		line_at = request->line_at;
		verdict = step(request, data, len, max_bytes);
	} while (verdict == HTTP_MORE &&
		 (part != request->part || line_at != request->line_at));
	if (verdict == HTTP_MORE && len == max_bytes)
		return refuse_large(request);
	return verdict;
}
