// SPDX-License-Identifier: Apache-2.0
/* http_request.c - what is known of the one request of a connection */
#include "relay/http/http_request.h"

#include <string.h>

enum http_verdict http_request_refuse(struct http_request *request,
				      enum http_status status,
				      const char *problem)
{
	request->part = HTTP_PART_REFUSED;
	request->status = status;
	request->problem = problem;
	return HTTP_REFUSED;
}

bool http_request_wants_continue(const struct http_request *request, size_t len)
{
	return request->expects_continue && request->minor > 0 &&
	       (request->part == HTTP_PART_BODY ||
		request->part == HTTP_PART_CHUNK_SIZE) &&
	       len == request->body.at;
}

bool http_request_is(const struct http_request *request, const char *data,
		     const char *method)
{
	return request->method.len == strlen(method) &&
	       memcmp(data + request->method.at, method, request->method.len) ==
		       0;
}
