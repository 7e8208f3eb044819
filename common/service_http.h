/* SPDX-License-Identifier: Apache-2.0 */
/* service_http.h - what `forward: http` does with the request of a connection
 *
 * In a rule the values of @set are templates, as people wrote them. In the
 * service of a listener, and from there on, they are what the consumer protocol
 * has: "${client}", "${client_port}" and "${local}" stand for what only the
 * relay knows, and every other "$" is doubled.
 */
#ifndef COMMON_SERVICE_HTTP_H
#define COMMON_SERVICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate_limit;

/* As many as a message to the relay holds together with everything else, and
 * far more than any proxy sets. */
#define SERVICE_HTTP_SET_MAX 32u
#define SERVICE_HTTP_REMOVE_MAX 32u
#define SERVICE_HTTP_PATHS_MAX 32u
#define SERVICE_HTTP_HOSTS_MAX 32u
#define SERVICE_HTTP_BYTES_MAX 8192u

/* A request is kept in one buffer of the relay; a shorter one than the lower
 * bound has no room for a head. */
#define SERVICE_HTTP_REQUEST_MIN 256u
#define SERVICE_HTTP_REQUEST_MAX 65536u

/** struct service_header - one that is set */
struct service_header {
	char *name;
	char *value;
};

/**
 * struct service_http - see the file's head
 * @set:	instead of all fields with these names
 * @remove:	names of fields
 * @paths:	the request's path is one of them or below one; none: any
 * @hosts:	the request's host is one of them; none: any
 * @request_timeout_ms: how long the request may take to come
 * @response_timeout_ms: how long the answer may take to begin
 * @max_request: bytes of the request with its body, as it comes and as it is
 *		sent on
 * @rates:	how many requests each client may make; at most RATE_LIMITS_MAX
 */
struct service_http {
	struct service_header *set;
	size_t n_set;
	char **remove;
	size_t n_remove;
	char **paths;
	size_t n_paths;
	char **hosts;
	size_t n_hosts;
	uint32_t request_timeout_ms;
	uint32_t response_timeout_ms;
	uint32_t max_request;
	struct rate_limit *rates;
	size_t n_rates;
};

/** enum service_value_part - a piece of a value, see service_value_next() */
enum service_value_part {
	SERVICE_VALUE_END,
	SERVICE_VALUE_TEXT,
	SERVICE_VALUE_CLIENT, /* the client's address */
	SERVICE_VALUE_CLIENT_PORT,
	SERVICE_VALUE_LOCAL, /* the address that the client connected to */
	SERVICE_VALUE_BAD, /* no value of the consumer protocol */
};

/** service_http_new() - nothing set. NULL: out of memory. */
struct service_http *service_http_new(void);

/** service_http_free() - NULL is fine. Returns NULL. */
struct service_http *service_http_free(struct service_http *http);

/** service_http_copy() - a deep copy. NULL: out of memory. */
struct service_http *service_http_copy(const struct service_http *http);

/** service_http_equal() - would both treat a request alike? Either may be NULL.
 */
bool service_http_equal(const struct service_http *a,
			const struct service_http *b);

/** service_http_bytes() - of all texts together, for SERVICE_HTTP_BYTES_MAX */
size_t service_http_bytes(const struct service_http *http);

/**
 * service_value_next() - the next piece of a value of the consumer protocol
 * @value:	moves behind the piece
 * @ret_text:	with SERVICE_VALUE_TEXT: where it begins in the value
 * @ret_len:	with SERVICE_VALUE_TEXT: its length
 */
enum service_value_part
service_value_next(const char **value, const char **ret_text, size_t *ret_len);

#endif
