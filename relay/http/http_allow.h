/* SPDX-License-Identifier: Apache-2.0 */
/* http_allow.h - which requests a rule lets through */
#ifndef RELAY_HTTP_HTTP_ALLOW_H
#define RELAY_HTTP_HTTP_ALLOW_H

#include <stdbool.h>
#include <stddef.h>

struct http_request;

/**
 * struct http_allowed - paths and hosts that a rule allows
 * @paths:	prefixes, each plain (http_path_plain()); none: all paths
 * @hosts:	each as http_host_parse() takes it; none: all hosts
 */
struct http_allowed {
	const char *const *paths;
	size_t n_paths;
	const char *const *hosts;
	size_t n_hosts;
};

/**
 * http_allow() - does the rule let a whole request through?
 *
 * If there are prefixes, a path that servers read in different ways is refused
 * even if it begins with one of them: the backend may take it for another.
 * Return: true; false: it is refused now (400, 403 or 421).
 */
bool http_allow(struct http_request *request, const char *data,
		const struct http_allowed *allowed);

#endif
