// SPDX-License-Identifier: Apache-2.0
/* serving_http.c - what berthd says of requests, checked
 *
 * berthd has checked all of it, but another version of berthd may have other
 * rules. What is wrong here must not be found with a client's request in hand.
 */
#include "relay/core/serving_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/http_syntax.h"
#include "common/service_http.h"
#include "lib/berth.h"

static bool name_is_good(const char *name)
{
	return http_is_token(name, strlen(name)) &&
	       !http_name_reserved(name, strlen(name));
}

/* The value of a header, as the consumer protocol has it. */
static bool value_is_good(const char *value)
{
	enum service_value_part part;
	const char *text;
	size_t len;

	if (!http_is_value(value, strlen(value)))
		return false;
	do {
		part = service_value_next(&value, &text, &len);
	} while (part != SERVICE_VALUE_END && part != SERVICE_VALUE_BAD);
	return part == SERVICE_VALUE_END;
}

static bool path_is_good(const char *path)
{
	return http_path_plain(path, strlen(path));
}

static bool host_is_good(const char *host)
{
	struct http_host parsed;

	return http_host_parse(host, strlen(host), &parsed);
}

/* Return: 0, -EINVAL, -ENOMEM. *ret_n counts what is in *ret_texts even then.
 */
static int copy_texts(const char *const *texts, size_t n, size_t max,
		      bool (*is_good)(const char *text), char ***ret_texts,
		      size_t *ret_n)
{
	if (n > max)
		return -EINVAL;
	*ret_texts = calloc(n ? n : 1, sizeof(**ret_texts));
	if (!*ret_texts)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!is_good(texts[i]))
			return -EINVAL;
		(*ret_texts)[i] = strdup(texts[i]);
		if (!(*ret_texts)[i])
			return -ENOMEM;
		(*ret_n)++;
	}
	return 0;
}

static int copy_headers(const struct berth_http *told,
			struct service_http *http)
{
	if (told->n_set_headers > SERVICE_HTTP_SET_MAX)
		return -EINVAL;
	http->set = calloc(told->n_set_headers ? told->n_set_headers : 1,
			   sizeof(*http->set));
	if (!http->set)
		return -ENOMEM;
	for (size_t i = 0; i < told->n_set_headers; i++) {
		const struct berth_header *from = &told->set_headers[i];
		struct service_header *to = &http->set[http->n_set];

		if (!name_is_good(from->name) || !value_is_good(from->value))
			return -EINVAL;
		http->n_set++;
		to->name = strdup(from->name);
		to->value = strdup(from->value);
		if (!to->name || !to->value)
			return -ENOMEM;
	}
	return 0;
}

static int copy_http(const struct berth_http *told, struct service_http *http,
		     const char **ret_problem)
{
	int r;

	*ret_problem = "http with time-outs, and max_request from 256 to 65536";
	http->request_timeout_ms = told->request_timeout_ms;
	http->response_timeout_ms = told->response_timeout_ms;
	http->max_request = told->max_request;
	if (!told->request_timeout_ms || !told->response_timeout_ms ||
	    told->max_request < SERVICE_HTTP_REQUEST_MIN ||
	    told->max_request > SERVICE_HTTP_REQUEST_MAX)
		return -EINVAL;
	*ret_problem = "set_headers and remove_headers of at most 32 headers "
		       "each that a request may have";
	r = copy_headers(told, http);
	if (r == 0)
		r = copy_texts(told->remove_headers, told->n_remove_headers,
			       SERVICE_HTTP_REMOVE_MAX, name_is_good,
			       &http->remove, &http->n_remove);
	if (r < 0)
		return r;
	*ret_problem = "at most 32 plain paths";
	r = copy_texts(told->paths, told->n_paths, SERVICE_HTTP_PATHS_MAX,
		       path_is_good, &http->paths, &http->n_paths);
	if (r < 0)
		return r;
	*ret_problem = "at most 32 hosts";
	r = copy_texts(told->hosts, told->n_hosts, SERVICE_HTTP_HOSTS_MAX,
		       host_is_good, &http->hosts, &http->n_hosts);
	if (r < 0)
		return r;
	*ret_problem = "http with at most 8192 bytes of texts";
	return service_http_bytes(http) > SERVICE_HTTP_BYTES_MAX ? -EINVAL : 0;
}

int serving_http_new(const struct berth_http *http, enum protocol protocol,
		     struct service_http **ret_http, const char **ret_problem)
{
	struct service_http *copy;
	int r;

	if (!http)
		return 0;
	*ret_problem = "http at a listener of TCP or MPTCP";
	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_MPTCP)
		return -EINVAL;
	copy = service_http_new();
	if (!copy)
		return -ENOMEM;
	r = copy_http(http, copy, ret_problem);
	if (r < 0)
		return service_http_free(copy), r;
	*ret_http = copy;
	return 0;
}
