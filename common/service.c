// SPDX-License-Identifier: Apache-2.0
/* service.c - what a listener is opened with and who answers on it */
#include "common/service.h"

#include <assert.h>
#include <string.h>

#include "common/address_pattern.h"
#include "common/backend_source.h"
#include "common/service_http.h"
#include "common/rate_limit.h"
#include "common/text.h"
#include "common/util.h"

struct service *service_new(void)
{
	struct service *service = malloc(sizeof(*service));

	if (!service)
		return NULL;
	*service = (struct service){
		.refs = 1,
		.options = SOCKET_OPTIONS_NONE,
	};
	return service;
}

struct service *service_ref(struct service *service)
{
	service->refs++;
	return service;
}

struct service *service_unref(struct service *service)
{
	if (!service)
		return NULL;
	assert(service->refs > 0);
	if (--service->refs > 0)
		return NULL;
	for (size_t i = 0; i < service->n_to; i++)
		free(service->to[i]);
	free(service->to);
	free(service->weights);
	free(service->clients);
	free(service->rates);
	free(service->rule);
	free(service->file);
	free(service->consumer);
	free(service->netns);
	free(service->from);
	free(service->text);
	service_tlvs_free(service->tlvs, service->n_tlvs);
	service_check_done(&service->check);
	service_http_free(service->http);
	free(service);
	return NULL;
}

struct service_tlv *service_tlvs_free(struct service_tlv *tlvs, size_t n)
{
	for (size_t i = 0; tlvs && i < n; i++)
		free(tlvs[i].value);
	free(tlvs);
	return NULL;
}

size_t service_tlvs_bytes(const struct service_tlv *tlvs, size_t n)
{
	size_t bytes = n * SERVICE_TLV_HEAD_BYTES;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(tlvs[i].value);
	return bytes;
}

/* strdup(3) that keeps NULL; *failed is set when memory is out. */
static char *copy_text(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*failed = true;
	return copy;
}

static struct backend_source *copy_sources(const struct backend_source *from,
					   size_t n, bool *failed)
{
	struct backend_source *copy = n ? malloc(n * sizeof(*copy)) : NULL;

	if (copy)
		memcpy(copy, from, n * sizeof(*copy));
	else if (n)
		*failed = true;
	return copy;
}

static struct address_pattern *copy_clients(const struct service *service,
					    bool *failed)
{
	size_t bytes = service->n_clients * sizeof(*service->clients);
	struct address_pattern *copy = bytes ? malloc(bytes) : NULL;

	if (copy)
		memcpy(copy, service->clients, bytes);
	else if (bytes)
		*failed = true;
	return copy;
}

static uint16_t *copy_weights(const struct service *service, bool *failed)
{
	size_t bytes = service->n_to * sizeof(*service->weights);
	uint16_t *copy = service->weights ? malloc(bytes) : NULL;

	if (copy)
		memcpy(copy, service->weights, bytes);
	else if (service->weights)
		*failed = true;
	return copy;
}

static struct service_tlv *copy_tlvs(const struct service_tlv *tlvs, size_t n,
				     bool *failed)
{
	struct service_tlv *copy = n ? calloc(n, sizeof(*copy)) : NULL;

	if (n && !copy)
		*failed = true;
	for (size_t i = 0; copy && i < n; i++) {
		copy[i].type = tlvs[i].type;
		copy[i].value = copy_text(tlvs[i].value, failed);
	}
	return copy;
}

struct service *service_copy(const struct service *service)
{
	struct service *copy = malloc(sizeof(*copy));
	bool failed = false;

	if (!copy)
		return NULL;
	*copy = *service;
	copy->refs = 1;
	copy->rule = copy_text(service->rule, &failed);
	copy->file = copy_text(service->file, &failed);
	copy->consumer = copy_text(service->consumer, &failed);
	copy->netns = copy_text(service->netns, &failed);
	copy->text = copy_text(service->text, &failed);
	copy->clients = copy_clients(service, &failed);
	copy->weights = copy_weights(service, &failed);
	copy->rates =
		rate_limits_copy(service->rates, service->n_rates, &failed);
	copy->tlvs = copy_tlvs(service->tlvs, service->n_tlvs, &failed);
	if (service_check_copy(&service->check, &copy->check) < 0)
		failed = true;
	copy->http = service->http ? service_http_copy(service->http) : NULL;
	if (service->http && !copy->http)
		failed = true;
	copy->n_to = 0;
	copy->n_from = service->n_from;
	copy->from = copy_sources(service->from, service->n_from, &failed);
	copy->to = calloc(service->n_to ? service->n_to : 1, sizeof(char *));
	if (copy->to) {
		copy->n_to = service->n_to;
		for (size_t i = 0; i < service->n_to; i++)
			copy->to[i] = copy_text(service->to[i], &failed);
	}
	return copy->to && !failed ? copy : service_unref(copy);
}

bool socket_options_equal(const struct socket_options *a,
			  const struct socket_options *b)
{
	return a->backlog == b->backlog && a->dscp == b->dscp &&
	       a->mark == b->mark && a->receive_buffer == b->receive_buffer &&
	       a->send_buffer == b->send_buffer &&
	       a->keepalive_s == b->keepalive_s &&
	       a->defer_accept_s == b->defer_accept_s &&
	       a->fastopen == b->fastopen && a->streams_in == b->streams_in &&
	       a->streams_out == b->streams_out &&
	       a->interface_bound == b->interface_bound &&
	       a->transparent == b->transparent;
}

bool service_sources_equal(const struct backend_source *a, size_t n_a,
			   const struct backend_source *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!ip_addr_equal(&a[i].addr, &b[i].addr) ||
		    a[i].port != b[i].port)
			return false;
	}
	return true;
}

bool service_tlvs_equal(const struct service_tlv *a, size_t n_a,
			const struct service_tlv *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (a[i].type != b[i].type ||
		    strcmp(a[i].value, b[i].value) != 0)
			return false;
	}
	return true;
}

bool service_equal(const struct service *a, const struct service *b)
{
	if (a == b)
		return true;
	if (a->action != b->action || a->proxy != b->proxy ||
	    a->transparent != b->transparent || a->log != b->log ||
	    a->balance != b->balance ||
	    !address_patterns_equal(a->clients, a->n_clients, b->clients,
				    b->n_clients) ||
	    !service_sources_equal(a->from, a->n_from, b->from, b->n_from) ||
	    !service_tlvs_equal(a->tlvs, a->n_tlvs, b->tlvs, b->n_tlvs) ||
	    !service_checks_equal(&a->check, &b->check) ||
	    !service_http_equal(a->http, b->http) ||
	    !rate_limits_equal(a->rates, a->n_rates, b->rates, b->n_rates) ||
	    a->connect_timeout_ms != b->connect_timeout_ms ||
	    a->idle_timeout_ms != b->idle_timeout_ms ||
	    a->max_lifetime_ms != b->max_lifetime_ms ||
	    a->max_connections != b->max_connections || a->n_to != b->n_to)
		return false;
	for (size_t i = 0; i < a->n_to; i++) {
		if (strcmp(a->to[i], b->to[i]) != 0 ||
		    service_weight(a, i) != service_weight(b, i))
			return false;
	}
	return text_equal(a->rule, b->rule) && text_equal(a->file, b->file) &&
	       text_equal(a->consumer, b->consumer) &&
	       text_equal(a->netns, b->netns) && text_equal(a->text, b->text) &&
	       socket_options_equal(&a->options, &b->options);
}

unsigned int service_weight(const struct service *service, size_t index)
{
	return service->weights ? service->weights[index]
				: SERVICE_WEIGHT_DEFAULT;
}

static const char *const balance_names[] = {
	[SERVICE_BALANCE_ROUND_ROBIN] = "round-robin",
	[SERVICE_BALANCE_LEAST_CONNECTIONS] = "least-connections",
	[SERVICE_BALANCE_HASH] = "hash",
};
_Static_assert(ARRAY_SIZE(balance_names) == SERVICE_BALANCE_HASH + 1,
	       "a name each");

const char *service_balance_name(enum service_balance balance)
{
	return balance_names[balance];
}

int service_balance_parse(const char *text, enum service_balance *ret_balance)
{
	for (size_t i = 0; i < ARRAY_SIZE(balance_names); i++) {
		if (strcmp(text, balance_names[i]) == 0) {
			*ret_balance = (enum service_balance)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *const log_names[] = {
	[SERVICE_LOG_NONE] = "",
	[SERVICE_LOG_FAILURES] = "failures",
	[SERVICE_LOG_CONNECTIONS] = "connections",
};

const char *service_log_name(enum service_log log)
{
	return log_names[log];
}

int service_log_parse(const char *text, enum service_log *ret_log)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_names); i++) {
		if (strcmp(text, log_names[i]) == 0) {
			*ret_log = (enum service_log)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *service_action_name(enum service_action action)
{
	static const char *const names[] = {
		[SERVICE_FORWARD] = "forward", [SERVICE_RESPOND] = "respond",
		[SERVICE_ECHO] = "echo",       [SERVICE_DISCARD] = "discard",
		[SERVICE_HANDOFF] = "handoff",
	};

	_Static_assert(ARRAY_SIZE(names) == SERVICE_HANDOFF + 1, "a name each");
	return names[action];
}

static const char *const proxy_names[] = {
	[SERVICE_PROXY_NONE] = "",
	[SERVICE_PROXY_V1] = "v1",
	[SERVICE_PROXY_V2] = "v2",
	[SERVICE_PROXY_V2_CRC32C] = "v2+crc32c",
};
_Static_assert(ARRAY_SIZE(proxy_names) == SERVICE_PROXY_V2_CRC32C + 1,
	       "a name each");

bool service_proxy_fits(enum service_proxy proxy, enum protocol protocol)
{
	switch (proxy) {
	case SERVICE_PROXY_NONE:
		return true;
	case SERVICE_PROXY_V1:
		return protocol_port_space(protocol) == PROTOCOL_TCP;
	case SERVICE_PROXY_V2:
	case SERVICE_PROXY_V2_CRC32C:
		return !protocol_is_sctp(protocol);
	}
	return false;
}

const char *service_proxy_name(enum service_proxy proxy)
{
	return proxy_names[proxy];
}

int service_proxy_parse(const char *text, enum service_proxy *ret_proxy)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxy_names); i++) {
		if (strcmp(text, proxy_names[i]) == 0) {
			*ret_proxy = (enum service_proxy)i;
			return 0;
		}
	}
	return -EINVAL;
}
