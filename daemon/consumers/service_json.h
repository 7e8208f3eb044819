/* SPDX-License-Identifier: Apache-2.0 */
/* service_json.h - parts of what a consumer is told of a service, as JSON */
#ifndef DAEMON_CONSUMERS_SERVICE_JSON_H
#define DAEMON_CONSUMERS_SERVICE_JSON_H

#include <jansson.h>
#include <stddef.h>

struct rate_limit;
struct service;
struct service_check;
struct service_http;

/** service_json_rates() - the limits, as the protocol has them. @unit: the word
 * for what is counted. Return: NULL: no memory. */
json_t *service_json_rates(const struct rate_limit *rates, size_t n,
			   const char *unit);

/** service_json_balance() - adds to @message how one of several backends is
 * chosen, if that is not as usual. Return: 0 or -ENOMEM. */
int service_json_balance(json_t *message, const struct service *service);

/** service_json_http() - what is done with requests. Return: NULL: no memory.
 */
json_t *service_json_http(const struct service_http *http);

/** service_json_check() - how backends are checked. Return: NULL: no memory. */
json_t *service_json_check(const struct service_check *check);

#endif
