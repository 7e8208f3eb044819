/* SPDX-License-Identifier: Apache-2.0 */
/* serving_http.h - what berthd says of requests, checked */
#ifndef RELAY_CORE_SERVING_HTTP_H
#define RELAY_CORE_SERVING_HTTP_H

#include "common/protocol.h"

struct berth_http;
struct service_http;

/**
 * serving_http_new() - a copy of what berthd asks for, if the relay can do it
 * @http:	NULL: nothing, then the result is NULL, too
 * @protocol:	of the listener
 * @ret_problem: static text of why it cannot, with -EINVAL
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int serving_http_new(const struct berth_http *http, enum protocol protocol,
		     struct service_http **ret_http, const char **ret_problem);

#endif
