// SPDX-License-Identifier: Apache-2.0
/* http_head.c - the request line and the fields of a request, read strictly */
#include "relay/http/http_head.h"

#include <string.h>
#include <strings.h>

#include "common/http_syntax.h"
#include "common/util.h"

#define VERSION_LEN 8 /* "HTTP/1.1" */

static enum http_verdict bad(struct http_request *request, const char *problem)
{
	return http_request_refuse(request, HTTP_BAD_REQUEST, problem);
}

static bool span_is(const char *data, struct http_span span, const char *text)
{
	return span.len == strlen(text) &&
	       strncasecmp(data + span.at, text, span.len) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The request line */

static enum http_verdict read_version(struct http_request *request,
				      const char *text, size_t len)
{
	if (len != VERSION_LEN || memcmp(text, "HTTP/", 5) != 0 ||
	    !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7]))
		return bad(request, "a request line that is not METHOD TARGET "
				    "HTTP/1.1");
	if (text[5] != '1' || text[7] > '1')
		return http_request_refuse(request, HTTP_VERSION,
					   "neither HTTP/1.0 nor HTTP/1.1");
	request->minor = (unsigned int)(text[7] - '0');
	return HTTP_MORE;
}

static enum http_verdict read_method(struct http_request *request,
				     const char *data)
{
	if (!http_is_token(data + request->method.at, request->method.len))
		return bad(request, "a method that is no token");
	/* An echo of the request would tell the client what the rule sets. */
	if (span_is(data, request->method, "TRACE") ||
	    span_is(data, request->method, "TRACK"))
		return http_request_refuse(request, HTTP_NOT_IMPLEMENTED,
					   "the method TRACE");
	if (span_is(data, request->method, "CONNECT"))
		return http_request_refuse(request, HTTP_NOT_IMPLEMENTED,
					   "the method CONNECT");
	return HTTP_MORE;
}

/* "http://host:port/path?query": http_head_end() compares its host with Host.
 */
static enum http_verdict read_absolute(struct http_request *request,
				       const char *data)
{
	static const char http[] = "http://", https[] = "https://";
	size_t skip = strlen(http), end = request->target.len;
	const char *target = data + request->target.at;

	if (end >= strlen(https) &&
	    strncasecmp(target, https, strlen(https)) == 0)
		return http_request_refuse(request, HTTP_MISDIRECTED,
					   "a target with https");
	if (end < skip || strncasecmp(target, http, skip) != 0)
		return bad(request, "a target that is neither a path nor "
				    "begins with http://");
	while (skip < end && target[skip] != '/' && target[skip] != '?')
		skip++;
	request->origin.at = request->target.at + skip;
	request->origin.len = end - skip;
	return HTTP_MORE;
}

static enum http_verdict read_target(struct http_request *request,
				     const char *data)
{
	const char *target = data + request->target.at;

	for (size_t i = 0; i < request->target.len; i++) {
		/* A line may have tabs, and bytes from 0x80 on. */
		if (target[i] <= ' ' || target[i] > '~')
			return bad(request, "a target with bytes that have to "
					    "be escaped");
		if (target[i] == '#')
			return bad(request, "a target with a fragment");
	}
	request->origin = request->target;
	if (request->target.len > 0 && target[0] == '/')
		return HTTP_MORE;
	if (span_is(data, request->target, "*") &&
	    span_is(data, request->method, "OPTIONS"))
		return HTTP_MORE;
	return read_absolute(request, data);
}

enum http_verdict http_head_line(struct http_request *request, const char *data,
				 struct http_span line)
{
	const char *begin = data + line.at, *end = begin + line.len;
	const char *method_end = memchr(begin, ' ', line.len);
	const char *target, *target_end = NULL;

	if (method_end) {
		target = method_end + 1;
		target_end = memchr(target, ' ', (size_t)(end - target));
	}
	if (!target_end)
		return bad(request, "a request line that is not METHOD TARGET "
				    "HTTP/1.1");
	request->method.at = line.at;
	request->method.len = (size_t)(method_end - begin);
	request->target.at = line.at + (size_t)(target - begin);
	request->target.len = (size_t)(target_end - target);
	request->part = HTTP_PART_FIELDS;
	if (read_version(request, target_end + 1,
			 (size_t)(end - target_end - 1)) == HTTP_REFUSED ||
	    read_method(request, data) == HTTP_REFUSED ||
	    read_target(request, data) == HTTP_REFUSED)
		return HTTP_REFUSED;
	return HTTP_MORE;
}

/* Fields */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct http_span trim(const char *data, struct http_span span)
{
	while (span.len > 0 && is_blank(data[span.at])) {
		span.at++;
		span.len--;
	}
	while (span.len > 0 && is_blank(data[span.at + span.len - 1]))
		span.len--;
	return span;
}

enum http_verdict http_field_parse(struct http_request *request,
				   const char *data, struct http_span line,
				   struct http_field *ret_field)
{
	const char *begin = data + line.at;
	const char *colon = memchr(begin, ':', line.len);
	struct http_field field = { .name = { .at = line.at } };

	if (is_blank(begin[0]))
		return bad(request, "a field that is folded into two lines");
	if (!colon)
		return bad(request, "a field without a colon");
	field.name.len = (size_t)(colon - begin);
	if (!http_is_token(begin, field.name.len))
		return bad(request, "a field whose name is no token");
	field.value.at = field.name.at + field.name.len + 1;
	field.value.len = line.len - field.name.len - 1;
	field.value = trim(data, field.value);
	*ret_field = field;
	return HTTP_MORE;
}

static enum http_verdict read_host(struct http_request *request,
				   const char *data, struct http_span value)
{
	struct http_host host;

	if (request->has_host)
		return bad(request, "more than one Host");
	request->has_host = true;
	if (value.len == 0)
		return HTTP_MORE;
	if (!http_host_parse(data + value.at, value.len, &host))
		return bad(request, "a Host that is no host");
	request->host = value;
	return HTTP_MORE;
}

static enum http_verdict read_length(struct http_request *request,
				     const char *data, struct http_span value)
{
	size_t length = 0;

	if (request->has_length)
		return bad(request, "more than one Content-Length");
	if (value.len == 0)
		return bad(request, "a Content-Length that is no number");
	for (size_t i = 0; i < value.len; i++) {
		char c = data[value.at + i];

		if (!is_digit(c))
			return bad(request,
				   "a Content-Length that is no number");
		if (length > (SIZE_MAX - 9) / 10)
			return http_request_refuse(request,
						   HTTP_CONTENT_TOO_LARGE,
						   "a body that is too large");
		length = length * 10 + (size_t)(c - '0');
	}
	request->has_length = true;
	request->body_size = length;
	return HTTP_MORE;
}

static enum http_verdict read_encoding(struct http_request *request,
				       const char *data, struct http_span value)
{
	if (request->chunked)
		return bad(request, "more than one Transfer-Encoding");
	if (!span_is(data, value, "chunked"))
		return http_request_refuse(
			request, HTTP_NOT_IMPLEMENTED,
			"a Transfer-Encoding that is not chunked");
	request->chunked = true;
	return HTTP_MORE;
}

static enum http_verdict read_expect(struct http_request *request,
				     const char *data, struct http_span value)
{
	if (!span_is(data, value, "100-continue"))
		return http_request_refuse(
			request, HTTP_EXPECTATION_FAILED,
			"an expectation that is not 100-continue");
	request->expects_continue = true;
	return HTTP_MORE;
}

/* http_rewrite() compares each of them with each field. */
static enum http_verdict read_connection(struct http_request *request,
					 const char *data,
					 struct http_span value)
{
	request->n_options++;
	for (size_t i = 0; i < value.len; i++)
		request->n_options += data[value.at + i] == ',';
	if (request->n_options > HTTP_FIELDS_MAX)
		return http_request_refuse(request, HTTP_FIELDS_TOO_LARGE,
					   "too many options of Connection");
	return HTTP_MORE;
}

static const struct {
	const char *name;
	enum http_verdict (*read)(struct http_request *request,
				  const char *data, struct http_span value);
} fields_read[] = {
	{ "Host", read_host },
	{ "Content-Length", read_length },
	{ "Transfer-Encoding", read_encoding },
	{ "Expect", read_expect },
	{ "Connection", read_connection },
};

enum http_verdict http_head_field(struct http_request *request,
				  const char *data, struct http_span line)
{
	struct http_field field = { .name = { 0, 0 } };

	if (request->n_fields == HTTP_FIELDS_MAX)
		return http_request_refuse(request, HTTP_FIELDS_TOO_LARGE,
					   "more than 100 fields");
	if (http_field_parse(request, data, line, &field) == HTTP_REFUSED)
		return HTTP_REFUSED;
	request->fields[request->n_fields++] = field;
	for (size_t i = 0; i < ARRAY_SIZE(fields_read); i++) {
		const char *name = fields_read[i].name;

		if (!http_name_equal(data + field.name.at, field.name.len, name,
				     strlen(name)))
			continue;
		if (!span_is(data, field.name, name))
			return bad(request, "a field whose name only looks "
					    "like Content-Length or "
					    "Transfer-Encoding");
		return fields_read[i].read(request, data, field.value);
	}
	return HTTP_MORE;
}

/* Is the host of the target the one of the field Host? */
static bool same_host(const struct http_request *request, const char *data)
{
	size_t at = request->target.at + strlen("http://");
	size_t len = request->origin.at - at;

	return request->host.len > 0 && request->host.len == len &&
	       strncasecmp(data + at, data + request->host.at, len) == 0;
}

enum http_verdict http_head_end(struct http_request *request, const char *data)
{
	if (request->minor > 0 && !request->has_host)
		return bad(request, "no Host");
	if (request->origin.at != request->target.at &&
	    !same_host(request, data))
		return bad(request, "a target with another host than Host");
	if (request->chunked && request->has_length)
		return bad(request, "both Content-Length and "
				    "Transfer-Encoding");
	if (request->chunked && request->minor == 0)
		return bad(request, "Transfer-Encoding in HTTP/1.0");
	request->has_body = request->chunked || request->has_length;
	request->body.at = request->line_at;
	request->part = request->chunked ? HTTP_PART_CHUNK_SIZE
					 : HTTP_PART_BODY;
	return HTTP_MORE;
}
