// SPDX-License-Identifier: Apache-2.0
/* http_allow.c - which requests a rule lets through */
#include "relay/http/http_allow.h"

#include <string.h>

#include "common/http_syntax.h"
#include "relay/http/http_request.h"

static bool allow_path(struct http_request *request, const char *data,
		       const struct http_allowed *allowed)
{
	const char *path = data + request->origin.at;
	size_t len = request->origin.len;
	const char *query = memchr(path, '?', len);

	if (query)
		len = (size_t)(query - path);
	if (len == 0) {
		path = "/";
		len = 1;
	}
	if (!http_path_plain(path, len) && path[0] == '/') {
		(void)http_request_refuse(
			request, HTTP_BAD_REQUEST,
			"a path that can be read in two ways");
		return false;
	}
	for (size_t i = 0; i < allowed->n_paths; i++) {
		if (http_path_under(path, len, allowed->paths[i]))
			return true;
	}
	(void)http_request_refuse(request, HTTP_FORBIDDEN,
				  "a path that is not allowed");
	return false;
}

static bool allow_host(struct http_request *request, const char *data,
		       const struct http_allowed *allowed)
{
	struct http_host host, other;

	if (request->host.len > 0 &&
	    http_host_parse(data + request->host.at, request->host.len,
			    &host)) {
		for (size_t i = 0; i < allowed->n_hosts; i++) {
			const char *text = allowed->hosts[i];

			if (http_host_parse(text, strlen(text), &other) &&
			    http_host_allowed(&host, &other))
				return true;
		}
	}
	(void)http_request_refuse(request, HTTP_MISDIRECTED,
				  "a Host that is not served here");
	return false;
}

bool http_allow(struct http_request *request, const char *data,
		const struct http_allowed *allowed)
{
	return (allowed->n_hosts == 0 || allow_host(request, data, allowed)) &&
	       (allowed->n_paths == 0 || allow_path(request, data, allowed));
}
