/* SPDX-License-Identifier: Apache-2.0 */
/* http_rewrite.h - a request as the backend gets it */
#ifndef RELAY_HTTP_HTTP_REWRITE_H
#define RELAY_HTTP_HTTP_REWRITE_H

#include <stddef.h>
#include <sys/types.h>

struct http_request;

/** struct http_header - a field to set; @value: its characters are @value_len,
 * not ended by a NUL */
struct http_header {
	const char *name;
	const char *value;
	size_t value_len;
};

/** struct http_changes - what a rule changes; @remove: names */
struct http_changes {
	const struct http_header *set;
	size_t n_set;
	const char *const *remove;
	size_t n_remove;
};

/**
 * http_rewrite() - writes a whole request anew
 * @data:	what http_read() read
 * @size:	of @buffer, which does not overlap @data
 *
 * The target is in origin-form; absolute-form says nothing that Host does not.
 * Every field is gone that a backend might take for one that is set or removed
 * (http_name_equal()), that belongs to the connection, or that Connection
 * names, but for Host. Those to be set follow, then "Connection: close". The
 * version stays the client's, because the answer goes back to it as it is.
 * A body has Content-Length, also if it came in chunks: a request has one
 * framing then, without trailers and extensions, and no backend can find
 * another end of it.
 * Return: bytes written; -EMSGSIZE: it does not fit; -EINVAL: what is to be set
 * has a control character in its value, is no token, or is reserved.
 */
ssize_t http_rewrite(const struct http_request *request, const char *data,
		     const struct http_changes *changes, char *buffer,
		     size_t size);

#endif
