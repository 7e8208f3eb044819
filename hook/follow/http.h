/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - GET requests to servers on UNIX sockets, by the event loop
 *
 * The only file that knows libcurl.
 */
#ifndef HOOK_FOLLOW_HTTP_H
#define HOOK_FOLLOW_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http;
struct http_request;
struct loop;

/**
 * struct http_handlers - what a request tells; any may be NULL but @done
 * @opened:	the answer begins, with status 200
 * @data:	a piece of the body of an answer with status 200; with it the
 *		body is not kept. Return: false ends the request
 * @done:	the request is over, once. @r: 0, and the whole body; or
 *		-errno: -ETIMEDOUT, -EMSGSIZE (more than @body_max, or more
 *		headers than anybody needs), -ECONNRESET (it ended amid the
 *		answer), -EPROTO (it is no HTTP), of connect(2), -ENOMEM
 *
 * @opened and @data must make no request. All may free any request.
 */
struct http_handlers {
	void (*opened)(void *user_data);
	bool (*data)(const char *data, size_t len, void *user_data);
	void (*done)(int r, long status, const char *body, size_t len,
		     void *user_data);
};

/**
 * struct http_get - one request
 * @socket_path: of the server
 * @target:	path and query, escaped as URLs are
 * @body_max:	bytes of the body; without effect if there is a handler for data
 * @timeout_ms:	for all of it; 0: no limit
 */
struct http_get {
	const char *socket_path;
	const char *target;
	size_t body_max;
	long timeout_ms;
	const struct http_handlers *handlers;
	void *user_data;
};

/** http_new() - Return: 0 or -ENOMEM. */
int http_new(struct loop *loop, struct http **ret_http);

/** http_free() - frees all its requests, too. Return: NULL. NULL is fine. */
struct http *http_free(struct http *http);

/**
 * http_get() - begins a request; the outcome comes by the loop, never at once
 * @ret_request: the caller's, to be freed with http_request_free(), also when
 *		it is done
 *
 * Return: 0 or -ENOMEM.
 */
int http_get(struct http *http, const struct http_get *get,
	     struct http_request **ret_request);

/**
 * http_request_free() - ends a request; no handler of it is called any more
 *
 * May be called in any handler. Return: NULL. NULL is fine.
 */
struct http_request *http_request_free(struct http_request *request);

#endif
