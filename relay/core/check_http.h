/* SPDX-License-Identifier: Apache-2.0 */
/* check_http.h - what a check says by HTTP, and the status of the answer
 *
 * Pure. Of the answer nothing is read but the beginning of its first line,
 * strictly, after interim answers, if there are any.
 */
#ifndef RELAY_CORE_CHECK_HTTP_H
#define RELAY_CORE_CHECK_HTTP_H

#include <stddef.h>

#include "common/service.h"

struct sockaddr_storage;

/** How long a request may be, with what comes before it. */
#define CHECK_HTTP_REQUEST_MAX 1024u

/** How many bytes of interim answers are skipped. */
#define CHECK_HTTP_INTERIM_MAX 8192u

/** check_proxy_header() - writes the header of the PROXY protocol that a check
 * begins with, which tells of no client. @buffer: of CHECK_HTTP_REQUEST_MAX.
 * Return: the length; 0: with SERVICE_PROXY_NONE. */
size_t check_proxy_header(enum service_proxy proxy, char *buffer);

/**
 * check_http_request() - writes the request of a check
 * @check:	with a path
 * @proxy:	the version of the PROXY protocol that the backend expects: a
 *		header that says "this is a check, and no client's connection"
 *		comes before the request
 * @backend:	whose address is the host, unless @check says one
 * @buffer:	of CHECK_HTTP_REQUEST_MAX
 *
 * Return: the length.
 */
size_t check_http_request(const struct service_check *check,
			  enum service_proxy proxy,
			  const struct sockaddr_storage *backend, char *buffer);

enum check_http_verdict {
	CHECK_HTTP_MORE, /* than came until now */
	CHECK_HTTP_STATUS, /* it is known */
	CHECK_HTTP_BROKEN, /* that is no HTTP/1 */
};

/**
 * struct check_http - an answer that is read; begins as zeros
 * @at:		where in the pattern of the first line the next byte belongs
 * @interim:	the rest of an interim answer is skipped
 * @end:	how many bytes of its end, an empty line, came in a row
 * @n_interim:	bytes of interim answers
 * @status:	of the answer
 */
struct check_http {
	size_t at;
	bool interim;
	unsigned int end;
	size_t n_interim;
	unsigned int status;
};

/** check_http_read() - the next bytes of the answer came. After another verdict
 * than CHECK_HTTP_MORE there is nothing more to be read. */
enum check_http_verdict check_http_read(struct check_http *http,
					const char *data, size_t len);

#endif
