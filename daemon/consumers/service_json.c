// SPDX-License-Identifier: Apache-2.0
/* service_json.c - parts of what a consumer is told of a service, as JSON */
#include "daemon/consumers/service_json.h"

#include <errno.h>

#include "common/rate_limit.h"
#include "common/service.h"
#include "common/service_http.h"
#include "daemon/json_build.h"

static json_t *texts_json(char *const *texts, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_add(&array, json_text(texts[i]));
	return array;
}

json_t *service_json_rates(const struct rate_limit *rates, size_t n,
			   const char *unit)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_add(&array,
			 json_pack("{s:I, s:I, s:i}", unit,
				   (json_int_t)rates[i].count, "per_ms",
				   (json_int_t)rates[i].per_ms, "ipv6_prefix",
				   (int)rates[i].ipv6_prefix));
	return array;
}

int service_json_balance(json_t *message, const struct service *service)
{
	json_t *weights;

	if (service->balance &&
	    json_object_set_new(
		    message, "balance",
		    json_string(service_balance_name(service->balance))) < 0)
		return -ENOMEM;
	if (!service->weights)
		return 0;
	weights = json_array();
	for (size_t i = 0; i < service->n_to; i++)
		json_add(&weights, json_integer(service_weight(service, i)));
	return json_object_set_new(message, "weights", weights) < 0 ? -ENOMEM
								    : 0;
}

json_t *service_json_http(const struct service_http *http)
{
	json_t *set = json_array();

	for (size_t i = 0; i < http->n_set; i++)
		json_add(&set, json_pack("{s:o, s:o}", "name",
					 json_text(http->set[i].name), "value",
					 json_text(http->set[i].value)));
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o*}", "set_headers", set,
		"remove_headers", texts_json(http->remove, http->n_remove),
		"path", texts_json(http->paths, http->n_paths), "host",
		texts_json(http->hosts, http->n_hosts), "request_timeout_ms",
		(json_int_t)http->request_timeout_ms, "response_timeout_ms",
		(json_int_t)http->response_timeout_ms, "max_request",
		(json_int_t)http->max_request, "rate_limit",
		http->n_rates ? service_json_rates(http->rates, http->n_rates,
						   "requests")
			      : NULL);
}

static json_t *check_http_json(const struct service_check *check)
{
	if (!check->http_path)
		return NULL;
	return json_pack("{s:s, s:s, s:i, s:i}", "path", check->http_path,
			 "host", check->http_host ? check->http_host : "",
			 "status_min", (int)check->status_min, "status_max",
			 (int)check->status_max);
}

json_t *service_json_check(const struct service_check *check)
{
	json_t *http = check_http_json(check);
	json_t *send = check->send ? json_text(check->send) : NULL;

	/* What is left out would be another check. */
	if ((check->http_path && !http) || (check->send && !send)) {
		json_decref(http);
		json_decref(send);
		return NULL;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o*, s:o*}", "every_ms",
			 (json_int_t)check->every_ms, "timeout_ms",
			 (json_int_t)check->timeout_ms, "rise",
			 (json_int_t)check->rise, "fall",
			 (json_int_t)check->fall, "http", http, "send", send);
}
