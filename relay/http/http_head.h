/* SPDX-License-Identifier: Apache-2.0 */
/* http_head.h - the request line and the fields of a request, read strictly
 *
 * For http_read.c, which finds the lines: their bytes are neither CR nor LF
 * nor other control characters but tabs. Each function returns HTTP_MORE, or
 * HTTP_REFUSED when the request is refused now.
 */
#ifndef RELAY_HTTP_HTTP_HEAD_H
#define RELAY_HTTP_HTTP_HEAD_H

#include "relay/http/http_request.h"

/** http_head_line() - reads the request line */
enum http_verdict http_head_line(struct http_request *request, const char *data,
				 struct http_span line);

/** http_field_parse() - splits a line, which is not empty, into name and value
 */
enum http_verdict http_field_parse(struct http_request *request,
				   const char *data, struct http_span line,
				   struct http_field *ret_field);

/** http_head_field() - reads the line of a field and keeps it */
enum http_verdict http_head_field(struct http_request *request,
				  const char *data, struct http_span line);

/** http_head_end() - judges what only all fields together say; then the body
 * begins */
enum http_verdict http_head_end(struct http_request *request, const char *data);

#endif
