/* SPDX-License-Identifier: Apache-2.0 */
/* http_read.h - reads the one request of a connection, strictly
 *
 * Pure: bytes in, a verdict out. RFC 9112 lets servers be lenient, and each is
 * in another way; then two of them do not agree on where a request ends, or
 * what it says. So whatever two servers could read differently is refused:
 * bare CR and LF, folded lines, a space before the colon, control characters,
 * two lengths, Transfer-Encoding that is not "chunked" alone, and names of
 * fields that only look like those that frame the body.
 */
#ifndef RELAY_HTTP_HTTP_READ_H
#define RELAY_HTTP_HTTP_READ_H

#include <stddef.h>

#include "relay/http/http_request.h"

/**
 * http_read() - reads what is new of a request
 * @data:	all bytes since its beginning
 * @len:	how many; never fewer than before
 * @max_bytes:	what a request may have, with its body
 *
 * Each byte of the head is looked at once, however they come.
 * Return: the verdict; after HTTP_WHOLE and HTTP_REFUSED it stays the same.
 */
enum http_verdict http_read(struct http_request *request, const char *data,
			    size_t len, size_t max_bytes);

#endif
