/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.h - what is known of the one request of a connection */
#ifndef RELAY_HTTP_HTTP_REQUEST_H
#define RELAY_HTTP_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* Trailers and options of Connection are bounded by it, too, each by itself. */
#define HTTP_FIELDS_MAX 100

/** enum http_status - what the relay itself answers with */
enum http_status {
	HTTP_BAD_REQUEST = 400,
	HTTP_FORBIDDEN = 403, /* the rule does not allow the path */
	HTTP_REQUEST_TIMEOUT = 408,
	HTTP_CONTENT_TOO_LARGE = 413,
	HTTP_URI_TOO_LONG = 414,
	HTTP_EXPECTATION_FAILED = 417,
	HTTP_MISDIRECTED = 421, /* the rule does not allow the host */
	HTTP_TOO_MANY_REQUESTS = 429,
	HTTP_FIELDS_TOO_LARGE = 431,
	HTTP_NOT_IMPLEMENTED = 501,
	HTTP_BAD_GATEWAY = 502,
	HTTP_UNAVAILABLE = 503,
	HTTP_GATEWAY_TIMEOUT = 504,
	HTTP_VERSION = 505,
};

/** enum http_verdict - is the request whole? */
enum http_verdict {
	HTTP_MORE, /* more bytes must come */
	HTTP_WHOLE, /* head and body are there */
	HTTP_REFUSED, /* `status` and `problem` say why */
};

/** enum http_part - what comes next */
enum http_part {
	HTTP_PART_LINE, /* the request line */
	HTTP_PART_FIELDS,
	HTTP_PART_BODY, /* as long as Content-Length says */
	HTTP_PART_CHUNK_SIZE,
	HTTP_PART_CHUNK,
	HTTP_PART_CHUNK_END, /* the CRLF behind a chunk */
	HTTP_PART_TRAILERS,
	HTTP_PART_NONE, /* the request is whole */
	HTTP_PART_REFUSED,
};

/** struct http_span - a piece of the bytes; they may move between two calls */
struct http_span {
	size_t at;
	size_t len;
};

/** struct http_field - @value: without white space around it */
struct http_field {
	struct http_span name;
	struct http_span value;
};

/**
 * struct http_request - what is known of a request
 *
 * Zero at first. http_read() fills it; all of it is right once the request is
 * whole, but for @status and @problem, which a refused one has.
 * @part:	what is read next
 * @line_at:	where that begins; the end of a request that is whole: bytes
 *		behind it are none of its own
 * @scanned:	how far it was looked at
 * @origin:	the target without scheme and host: path and query. What is
 *		empty, or begins with "?", lacks its slash
 * @host:	the value of Host; {0, 0}: there is none, or an empty one
 * @minor:	HTTP/1.0 or HTTP/1.1
 * @has_body:	Content-Length or Transfer-Encoding is there
 * @body:	the body as it came: chunks with their sizes, up to and with the
 *		size of the last one
 * @body_size:	of the body without that
 */
struct http_request {
	enum http_part part;
	enum http_status status;
	const char *problem;
	size_t line_at;
	size_t scanned;
	struct http_span method;
	struct http_span target;
	struct http_span origin;
	struct http_span host;
	unsigned int minor;
	bool has_host;
	bool has_length;
	bool has_body;
	bool chunked;
	bool expects_continue;
	size_t n_trailers;
	size_t n_options;
	size_t chunk_left;
	struct http_span body;
	size_t body_size;
	size_t n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/**
 * http_request_refuse() - refuses it, also for a reason that is not in its form
 * @problem:	static; a thing that it has, or lacks
 *
 * Return: HTTP_REFUSED.
 */
enum http_verdict http_request_refuse(struct http_request *request,
				      enum http_status status,
				      const char *problem);

/**
 * http_request_wants_continue() - does the client wait for "100 Continue"
 * before it sends its body?
 * @len:	how many bytes there are now
 *
 * So it is between its head and the first byte of its body; the caller
 * remembers whether it has answered.
 */
bool http_request_wants_continue(const struct http_request *request,
				 size_t len);

/** http_request_is() - has it this method? */
bool http_request_is(const struct http_request *request, const char *data,
		     const char *method);

#endif
