// SPDX-License-Identifier: Apache-2.0
/* http_answer.c - answers that the relay gives itself */
#include "relay/http/http_answer.h"

#include <stdio.h>
#include <string.h>

#include "common/util.h"

#define RETRY_TEXT_MAX 32 /* "Retry-After: 4294967295\r\n" */

/* As RFC 9110 and 6585 call them. */
static const struct {
	enum http_status status;
	const char *reason;
} reasons[] = {
	{ HTTP_BAD_REQUEST, "Bad Request" },
	{ HTTP_FORBIDDEN, "Forbidden" },
	{ HTTP_REQUEST_TIMEOUT, "Request Timeout" },
	{ HTTP_CONTENT_TOO_LARGE, "Content Too Large" },
	{ HTTP_URI_TOO_LONG, "URI Too Long" },
	{ HTTP_EXPECTATION_FAILED, "Expectation Failed" },
	{ HTTP_MISDIRECTED, "Misdirected Request" },
	{ HTTP_TOO_MANY_REQUESTS, "Too Many Requests" },
	{ HTTP_FIELDS_TOO_LARGE, "Request Header Fields Too Large" },
	{ HTTP_NOT_IMPLEMENTED, "Not Implemented" },
	{ HTTP_BAD_GATEWAY, "Bad Gateway" },
	{ HTTP_UNAVAILABLE, "Service Unavailable" },
	{ HTTP_GATEWAY_TIMEOUT, "Gateway Timeout" },
	{ HTTP_VERSION, "HTTP Version Not Supported" },
};

static const char *reason_of(enum http_status status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error"; /* none of ours */
}

size_t http_answer_write(const struct http_answer *answer, char *buffer,
			 size_t size)
{
	const char *reason = reason_of(answer->status);
	const char *text = answer->text ? answer->text : "";
	const char *between = answer->text ? ": " : "";
	char retry[RETRY_TEXT_MAX] = "", whole[HTTP_ANSWER_MAX];
	size_t text_len = strlen(reason) + strlen(between) + strlen(text) + 1;
	int len;

	if (answer->retry_after_s > 0)
		(void)snprintf(retry, sizeof(retry), "Retry-After: %u\r\n",
			       answer->retry_after_s); /* fits */
	len = snprintf(whole, sizeof(whole),
		       "HTTP/1.1 %d %s\r\n"
		       "Content-Type: text/plain; charset=utf-8\r\n"
		       "Content-Length: %zu\r\n"
		       "Cache-Control: no-store\r\n"
		       "%s"
		       "Connection: close\r\n"
		       "\r\n"
		       "%s%s%s\n",
		       (int)answer->status, reason, text_len, retry, reason,
		       between, text);
	if (len < 0 || (size_t)len >= sizeof(whole))
		return 0;
	if (answer->is_head)
		len -= (int)text_len;
	if ((size_t)len > size)
		return 0;
	memcpy(buffer, whole, (size_t)len);
	return (size_t)len;
}

size_t http_answer_refused(const struct http_request *request, const char *data,
			   char *buffer, size_t size)
{
	const struct http_answer answer = {
		.status = request->status,
		.text = request->problem,
		.is_head = http_request_is(request, data, "HEAD"),
	};

	return http_answer_write(&answer, buffer, size);
}
