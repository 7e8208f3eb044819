// SPDX-License-Identifier: Apache-2.0
/* serving.c - what is done with the traffic of a listener */
#include "relay/core/serving.h"

#include <endian.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/address_pattern.h"
#include "common/backend.h"
#include "common/backend_source.h"
#include "common/backend_socket.h"
#include "common/http_syntax.h"
#include "common/service_http.h"
#include "common/text.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/admission.h"
#include "relay/core/limiter.h"
#include "relay/core/serving_http.h"
#include "relay/core/target_health.h"

/* A protocol, an address, which may have a scope, and a port. */
#define LISTENER_TEXT_MAX 128

/* A backend on the same host or network answers in milliseconds; one that
 * takes longer than this is down. */
#define CONNECT_TIMEOUT_US (5 * USEC_PER_SEC)

/* Longer than interactive sessions are silent, short enough that connections
 * whose peer vanished do not gather for days. */
#define TCP_IDLE_TIMEOUT_US (3600 * USEC_PER_SEC)

/* Longer than a DNS client waits for an answer (5 s), with its retries. */
#define UDP_IDLE_TIMEOUT_US (30 * USEC_PER_SEC)

/* To forward requests has a name of its own, so that a relay which cannot
 * change them does not pass them on unchanged. */
static int action_parse(const struct berth_listener *listener,
			enum service_action *ret_action)
{
	const char *text = listener->action;

	if (strcmp(text, "http") == 0) {
		*ret_action = SERVICE_FORWARD;
		return listener->http ? 0 : -EINVAL;
	}
	for (int i = SERVICE_FORWARD; i <= SERVICE_HANDOFF; i++) {
		if (strcmp(text, service_action_name(i)) == 0) {
			*ret_action = (enum service_action)i;
			return 0;
		}
	}
	return -EINVAL;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* FNV-1a. An administrator wrote the input, so nobody chooses it to collide. */
static uint64_t hash_add(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_begin(const struct serving *serving,
			   enum protocol protocol)
{
	uint64_t hash = HASH_BEGIN;
	const char *place = serving->backend_netns;
	const char *name = protocol_name(protocol);

	hash = hash_add(hash, place, strlen(place) + 1);
	return hash_add(hash, name, strlen(name) + 1);
}

/* A UDP or SCTP socket has a local port for itself in its namespace; TCP
 * connections share a port as long as their backends differ. */
static void set_identity(const struct serving *serving,
			 struct serving_backend *entry)
{
	uint64_t space = hash_begin(serving, entry->protocol);
	uint32_t folded;

	entry->id = hash_add(space, entry->address, entry->address_len);
	if (entry->address->sa_family == AF_UNIX || serving->transparent)
		return;
	if (entry->protocol == PROTOCOL_TCP)
		space = entry->id;
	folded = (uint32_t)(space ^ (space >> 32));
	entry->ports = folded ? folded : 1;
}

/* Without its scheme. All machines find the same, whatever order of bytes they
 * have: family apart, an address is in network order, and a backend's has no
 * interface, whose number would be the host's (see backend_parse()). */
static void set_balance_id(struct serving_backend *entry)
{
	uint16_t family = htole16(entry->address->sa_family);
	const uint8_t *bytes = (const uint8_t *)entry->address;

	entry->balance_id = hash_add(HASH_BEGIN, &family, sizeof(family));
	entry->balance_id = hash_add(entry->balance_id, bytes + sizeof(family),
				     entry->address_len - sizeof(family));
}

/* Return: 0 or -ENOMEM. */
static int set_address(struct serving_backend *entry,
		       const struct backend *backend)
{
	bool sctp = entry->protocol == PROTOCOL_SCTP;

	entry->address = malloc(backend->address_len);
	entry->addrs = sctp ? malloc(sizeof(*entry->addrs)) : NULL;
	if (!entry->address || (sctp && !entry->addrs))
		return -ENOMEM;
	memcpy(entry->address, &backend->address, backend->address_len);
	entry->address_len = backend->address_len;
	if (entry->addrs)
		*entry->addrs = backend->addrs;
	return 0;
}

static int add_backend(struct serving *serving, const char *text,
		       enum protocol protocol, const char **ret_problem)
{
	const struct backend_origin origin = {
		.elsewhere = serving->backend_netns[0] != '\0',
		.transparent = serving->transparent,
		.from = serving->from,
		.n_from = serving->n_from,
	};
	struct serving_backend *entry = &serving->backends[serving->n_backends];
	struct backend_socket sock;
	struct backend backend;

	if (backend_parse(text, &backend, ret_problem) < 0)
		return -EINVAL;
	if (!scheme_fits(backend.scheme, protocol)) {
		*ret_problem = "a backend of the listener's protocol";
		return -EINVAL;
	}
	sock = backend_socket_choose(&backend, protocol, &origin);
	entry->protocol = sock.protocol;
	entry->minted = sock.minted;
	entry->check_minted = sock.minted &&
			      (origin.elsewhere || !origin.transparent);
	entry->source = sock.source;
	entry->text = strdup(text);
	entry->health = target_health_new(serving->rule, serving->backend_netns,
					  text, sock.protocol);
	serving->n_backends++;
	if (!entry->text || !entry->health || set_address(entry, &backend) < 0)
		return -ENOMEM;
	set_identity(serving, entry);
	set_balance_id(entry);
	return 0;
}

/* One that stands twice is one of both weights together, whatever its text: all
 * ways of choosing, and of passing one over that fails, then know it as one. */
static void join_weights(struct serving *serving, size_t index)
{
	struct serving_backend *entry = &serving->backends[index], *first;

	for (first = serving->backends; first->id != entry->id; first++)
		;
	if (first == entry)
		return;
	first->weight = (uint16_t)(first->weight + entry->weight);
	entry->weight = 0;
}

static int add_backends(struct serving *serving,
			const struct berth_listener *listener,
			enum protocol protocol, const char **ret_problem)
{
	int r;

	*ret_problem = "balance: round-robin, least-connections or hash";
	if (listener->balance[0] &&
	    service_balance_parse(listener->balance, &serving->balance) < 0)
		return -EINVAL;
	*ret_problem = "from 1 to 64 backends";
	if (listener->n_to == 0 || listener->n_to > SERVICE_BACKENDS_MAX)
		return -EINVAL;
	serving->backends = calloc(listener->n_to, sizeof(*serving->backends));
	if (!serving->backends)
		return -ENOMEM;
	for (size_t i = 0; i < listener->n_to; i++) {
		r = add_backend(serving, listener->to[i], protocol,
				ret_problem);
		if (r < 0)
			return r;
		serving->backends[i].weight =
			(uint16_t)(listener->weights ? listener->weights[i]
						     : SERVICE_WEIGHT_DEFAULT);
		join_weights(serving, i);
	}
	return 0;
}

static int set_tlvs(struct serving *serving,
		    const struct berth_listener *listener,
		    const char **ret_problem)
{
	if (listener->n_proxy_tlvs == 0)
		return 0;
	*ret_problem = "proxy_tlvs of types from 0xE0 to 0xEF with a version "
		       "of proxy_protocol that has a place for them, and at "
		       "most 1024 bytes";
	if (serving->proxy <= SERVICE_PROXY_V1 ||
	    listener->n_proxy_tlvs > SERVICE_TLVS_MAX)
		return -EINVAL;
	serving->tlvs = calloc(listener->n_proxy_tlvs, sizeof(*serving->tlvs));
	if (!serving->tlvs)
		return -ENOMEM;
	for (size_t i = 0; i < listener->n_proxy_tlvs; i++) {
		const struct berth_tlv *tlv = &listener->proxy_tlvs[i];

		if (tlv->type < SERVICE_TLV_FIRST ||
		    tlv->type > SERVICE_TLV_LAST)
			return -EINVAL;
		serving->tlvs[i].type = tlv->type;
		serving->tlvs[i].value = strdup(tlv->value);
		if (!serving->tlvs[i].value)
			return -ENOMEM;
		serving->n_tlvs++;
	}
	return service_tlvs_bytes(serving->tlvs, serving->n_tlvs) >
			       SERVICE_TLVS_BYTES_MAX
		       ? -EINVAL
		       : 0;
}

static int set_proxy(struct serving *serving,
		     const struct berth_listener *listener,
		     enum protocol protocol, const char **ret_problem)
{
	if (service_proxy_parse(listener->proxy_protocol, &serving->proxy) <
	    0) {
		*ret_problem = "one of the proxy_protocols v1, v2, v2+crc32c";
		return -EINVAL;
	}
	if (!service_proxy_fits(serving->proxy, protocol)) {
		*ret_problem = "a proxy_protocol that knows the listener's "
			       "protocol";
		return -EINVAL;
	}
	/* Only if the backend is told: otherwise namespaces can share the
	 * serving. Bytes that are not UTF-8 come escaped, which may make the
	 * name too long; a name that was cut would be another namespace's. */
	if (serving->proxy <= SERVICE_PROXY_V1 || listener->n_names == 0 ||
	    strlen(listener->names[0]) > NAME_MAX)
		return 0;
	serving->netns_name = strdup(listener->names[0]);
	return serving->netns_name ? 0 : -ENOMEM;
}

static int set_from(struct serving *serving,
		    const struct berth_listener *listener,
		    const char **ret_problem)
{
	if (listener->n_from == 0)
		return 0;
	*ret_problem = "from at most 8 addresses";
	if (listener->n_from > SERVICE_FROM_MAX)
		return -EINVAL;
	serving->from = calloc(listener->n_from, sizeof(*serving->from));
	if (!serving->from)
		return -ENOMEM;
	for (; serving->n_from < listener->n_from; serving->n_from++) {
		if (backend_source_parse(listener->from[serving->n_from],
					 &serving->from[serving->n_from],
					 ret_problem) < 0)
			return -EINVAL;
	}
	return 0;
}

static int set_clients(struct serving *serving,
		       const struct berth_listener *listener,
		       const char **ret_problem)
{
	if (listener->n_clients == 0)
		return 0;
	*ret_problem = "at most 256 addresses and networks as clients";
	if (listener->n_clients > SERVICE_CLIENTS_MAX)
		return -EINVAL;
	serving->clients =
		calloc(listener->n_clients, sizeof(*serving->clients));
	if (!serving->clients)
		return -ENOMEM;
	for (; serving->n_clients < listener->n_clients; serving->n_clients++) {
		if (address_pattern_parse(
			    listener->clients[serving->n_clients],
			    &serving->clients[serving->n_clients]) < 0)
			return -EINVAL;
	}
	return 0;
}

static bool check_is_good(const struct berth_listener *listener)
{
	const char *host = listener->check_http_host;
	struct http_host parsed;

	if (!listener->check_timeout_ms || !listener->check_rise ||
	    !listener->check_fall)
		return false;
	if (strlen(listener->check_send) > SERVICE_CHECK_TEXT_MAX)
		return false;
	if (!*listener->check_http_path)
		return true;
	return service_check_path_good(listener->check_http_path) &&
	       (!*host || (strlen(host) <= SERVICE_CHECK_TEXT_MAX &&
			   http_host_parse(host, strlen(host), &parsed))) &&
	       listener->check_status_min >= SERVICE_STATUS_MIN &&
	       listener->check_status_max <= SERVICE_STATUS_MAX &&
	       listener->check_status_min <= listener->check_status_max;
}

static int set_check_texts(struct service_check *check,
			   const struct berth_listener *listener)
{
	const char *host = listener->check_http_host;
	const char *send = listener->check_send;

	check->send = *send ? strdup(send) : NULL;
	if (*send && !check->send)
		return -ENOMEM;
	if (!*listener->check_http_path)
		return 0;
	check->status_min = listener->check_status_min;
	check->status_max = listener->check_status_max;
	check->http_path = strdup(listener->check_http_path);
	check->http_host = *host ? strdup(host) : NULL;
	return check->http_path && (!*host || check->http_host) ? 0 : -ENOMEM;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return text ? hash_add(hash, text, strlen(text) + 1)
		    : hash_add(hash, "", 1);
}

static uint64_t hash_sources(uint64_t hash, const struct serving *serving)
{
	char text[BACKEND_SOURCE_TEXT_MAX];

	for (size_t i = 0; i < serving->n_from; i++)
		hash = hash_text(hash,
				 backend_source_fmt(&serving->from[i], text));
	return hash;
}

/* Of a check that only connects nothing counts but from where. What is asked by
 * UDP and what by HTTP is for backends of different protocols, whose ids are
 * others, too. */
static void set_check_asks(struct serving *serving)
{
	const struct service_check *check = &serving->check;
	char status[16]; /* two numbers of three digits */
	uint64_t hash = hash_sources(HASH_BEGIN, serving);

	if (check->send) {
		hash = hash_text(hash, check->send);
		hash = hash_text(hash, service_proxy_name(serving->proxy));
	}
	if (check->http_path) {
		hash = hash_text(hash, check->http_path);
		hash = hash_text(hash, check->http_host);
		(void)snprintf(status, sizeof(status), "%u-%u",
			       check->status_min, check->status_max); /* fits */
		hash = hash_text(hash, status);
		hash = hash_text(hash, service_proxy_name(serving->proxy));
	}
	serving->check_asks = hash;
}

static int set_check(struct serving *serving,
		     const struct berth_listener *listener,
		     const char **ret_problem)
{
	struct service_check *check = &serving->check;

	if (!listener->check_every_ms)
		return 0;
	*ret_problem = "a check with sane numbers and texts";
	if (!check_is_good(listener))
		return -EINVAL;
	check->every_ms = listener->check_every_ms;
	check->timeout_ms = listener->check_timeout_ms;
	check->rise = listener->check_rise;
	check->fall = listener->check_fall;
	return set_check_texts(check, listener);
}

/* The same for the same limit of the rule, whatever else is in the rule. */
static uint64_t limit_id(const char *rule, const char *unit,
			 const struct rate_limit *rate)
{
	const uint32_t numbers[] = { rate->count, rate->per_ms,
				     rate->ipv6_prefix };
	uint64_t hash = HASH_BEGIN;

	hash = hash_add(hash, rule, strlen(rule) + 1);
	hash = hash_add(hash, unit, strlen(unit) + 1);
	return hash_add(hash, numbers, sizeof(numbers));
}

/* Return: 0, -EINVAL, -ENOMEM. @limits is to be freed even then. */
static int make_limits(const struct berth_rate *rates, size_t n,
		       const char *rule, const char *unit,
		       struct serving_limits *limits)
{
	if (n == 0)
		return 0;
	if (n > RATE_LIMITS_MAX)
		return -EINVAL;
	limits->list = calloc(n, sizeof(*limits->list));
	if (!limits->list)
		return -ENOMEM;
	for (; limits->n < n; limits->n++) {
		const struct berth_rate *rate = &rates[limits->n];
		struct limiter_limit *limit = &limits->list[limits->n];

		limit->rate = (struct rate_limit){
			.count = rate->count,
			.per_ms = rate->per_ms,
			.ipv6_prefix = rate->ipv6_prefix,
		};
		if (!rate_limit_is_sane(&limit->rate))
			return -EINVAL;
		limit->id = limit_id(rule, unit, &limit->rate);
	}
	return 0;
}

static int set_limits(struct serving *serving,
		      const struct berth_listener *listener,
		      const char **ret_problem)
{
	const struct berth_http *http = listener->http;
	int r;

	serving->limits.limit = BERTH_LIMIT_RATE_LIMIT;
	serving->request_limits.limit = BERTH_LIMIT_REQUESTS;
	*ret_problem = "a rate_limit with sane numbers";
	r = make_limits(listener->rates, listener->n_rates, listener->rule,
			"connections", &serving->limits);
	return r < 0 || !http
		       ? r
		       : make_limits(http->rates, http->n_rates, listener->rule,
				     "requests", &serving->request_limits);
}

static bool limits_equal(const struct serving_limits *a,
			 const struct serving_limits *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!rate_limits_equal(&a->list[i].rate, 1, &b->list[i].rate,
				       1))
			return false;
	}
	return true;
}

static int set_forward(struct serving *serving,
		       const struct berth_listener *listener,
		       enum protocol protocol, const char **ret_problem)
{
	int r = set_proxy(serving, listener, protocol, ret_problem);

	if (r == 0)
		r = set_tlvs(serving, listener, ret_problem);
	if (r < 0)
		return r;
	serving->transparent = listener->transparent;
	r = set_check(serving, listener, ret_problem);
	if (r == 0)
		r = serving_http_new(listener->http, protocol, &serving->http,
				     ret_problem);
	if (r == 0)
		r = set_limits(serving, listener, ret_problem);
	if (r < 0)
		return r;
	serving->rule = strdup(listener->rule);
	serving->backend_netns = strdup(listener->backend_netns);
	if (!serving->rule || !serving->backend_netns)
		return -ENOMEM;
	r = set_from(serving, listener, ret_problem);
	if (r < 0)
		return r;
	set_check_asks(serving);
	return add_backends(serving, listener, protocol, ret_problem);
}

static uint64_t timeout_us(uint32_t timeout_ms, uint64_t default_us)
{
	if (timeout_ms == BERTH_TIMEOUT_OFF)
		return SERVING_NEVER_US;
	return timeout_ms ? timeout_ms * USEC_PER_MSEC : default_us;
}

/* Heartbeats end an SCTP association whose peer is gone. An association that is
 * only silent goes on: signalling links are silent for days. */
static uint64_t default_idle_us(enum protocol protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_MPTCP:
		return TCP_IDLE_TIMEOUT_US;
	case PROTOCOL_UDP:
		return UDP_IDLE_TIMEOUT_US;
	case PROTOCOL_SCTP:
	case PROTOCOL_SCTP_SEQPACKET:
		return SERVING_NEVER_US;
	}
	return TCP_IDLE_TIMEOUT_US;
}

/* The protocol, address and port as berthd writes them. */
static void listener_fmt(const struct berth_listener *listener, char *text,
			 size_t size)
{
	bool brackets = strchr(listener->address, ':') != NULL;

	(void)snprintf(text, size, "%s %s%s%s:%u", listener->protocol,
		       brackets ? "[" : "", listener->address,
		       brackets ? "]" : "", listener->port); /* fits */
}

static int set_log(struct serving *serving,
		   const struct berth_listener *listener,
		   const char **ret_problem)
{
	const char *netns = listener->netns_host ? "host" : "";
	char endpoint[LISTENER_TEXT_MAX];
	struct serving_names *names;
	char *next;

	*ret_problem = "log: failures or connections";
	if (service_log_parse(listener->log, &serving->log) < 0)
		return -EINVAL;
	if (serving->log == SERVICE_LOG_NONE)
		return 0;
	if (listener->n_names > 0)
		netns = listener->names[0];
	listener_fmt(listener, endpoint, sizeof(endpoint));
	names = malloc(sizeof(*names) + strlen(listener->rule) + strlen(netns) +
		       strlen(listener->container) + strlen(endpoint) + 4);
	if (!names)
		return -ENOMEM;
	names->rule = names->texts;
	next = stpcpy(names->texts, listener->rule) + 1;
	names->netns = next;
	next = stpcpy(next, netns) + 1;
	names->container = next;
	next = stpcpy(next, listener->container) + 1;
	names->listener = next;
	(void)stpcpy(next, endpoint);
	serving->names = names;
	return 0;
}

static bool names_equal(const struct serving_names *a,
			const struct serving_names *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a->rule, b->rule) == 0 &&
	       strcmp(a->netns, b->netns) == 0 &&
	       strcmp(a->container, b->container) == 0 &&
	       strcmp(a->listener, b->listener) == 0;
}

static int serving_fill(struct serving *serving,
			const struct berth_listener *listener,
			enum protocol protocol, const char **ret_problem)
{
	int r;

	serving->connect_timeout_us =
		timeout_us(listener->connect_timeout_ms, CONNECT_TIMEOUT_US);
	serving->idle_timeout_us = timeout_us(listener->idle_timeout_ms,
					      default_idle_us(protocol));
	serving->max_lifetime_us = listener->max_lifetime_ms * USEC_PER_MSEC;
	serving->max_connections = listener->max_connections
					   ? listener->max_connections
					   : admission_listener_connections();
	r = set_log(serving, listener, ret_problem);
	if (r == 0)
		r = set_clients(serving, listener, ret_problem);
	if (r < 0)
		return r;
	*ret_problem = "one of the actions forward, http, respond, echo, "
		       "discard";
	if (action_parse(listener, &serving->action) < 0)
		return -EINVAL;
	switch (serving->action) {
	case SERVICE_FORWARD:
		return set_forward(serving, listener, protocol, ret_problem);
	case SERVICE_RESPOND:
		serving->text = strdup(listener->text);
		serving->text_len = strlen(listener->text);
		return serving->text ? 0 : -ENOMEM;
	case SERVICE_ECHO:
	case SERVICE_DISCARD:
		return 0;
	case SERVICE_HANDOFF:
		return -EINVAL;
	}
	return -EINVAL;
}

int serving_new(const struct berth_listener *listener, enum protocol protocol,
		struct serving **ret_serving, const char **ret_problem)
{
	struct serving *serving = calloc(1, sizeof(*serving));
	int r;

	if (!serving)
		return -ENOMEM;
	atomic_init(&serving->refs, 1);
	r = serving_fill(serving, listener, protocol, ret_problem);
	if (r < 0) {
		(void)serving_unref(serving);
		return r;
	}
	*ret_serving = serving;
	return 0;
}

struct serving *serving_ref(struct serving *serving)
{
	atomic_fetch_add_explicit(&serving->refs, 1, memory_order_relaxed);
	return serving;
}

struct serving *serving_unref(struct serving *serving)
{
	if (!serving || atomic_fetch_sub_explicit(&serving->refs, 1,
						  memory_order_acq_rel) > 1)
		return NULL;
	for (size_t i = 0; i < serving->n_backends; i++) {
		free(serving->backends[i].text);
		free(serving->backends[i].address);
		free(serving->backends[i].addrs);
		(void)target_health_unref(serving->backends[i].health);
	}
	free(serving->backends);
	service_check_done(&serving->check);
	service_http_free(serving->http);
	free(serving->from);
	free(serving->clients);
	free(serving->limits.list);
	free(serving->request_limits.list);
	free(serving->netns_name);
	service_tlvs_free(serving->tlvs, serving->n_tlvs);
	free(serving->rule);
	free(serving->backend_netns);
	free(serving->text);
	free(serving->names);
	free(serving);
	return NULL;
}

bool serving_checks_minted(const struct serving *serving)
{
	for (size_t i = 0; serving->check.every_ms && i < serving->n_backends;
	     i++) {
		if (serving->backends[i].check_minted)
			return true;
	}
	return false;
}

bool serving_equal(const struct serving *a, const struct serving *b)
{
	if (a->action != b->action || a->n_backends != b->n_backends ||
	    a->connect_timeout_us != b->connect_timeout_us ||
	    a->idle_timeout_us != b->idle_timeout_us ||
	    a->max_lifetime_us != b->max_lifetime_us ||
	    a->max_connections != b->max_connections || a->proxy != b->proxy ||
	    a->transparent != b->transparent || a->log != b->log ||
	    a->balance != b->balance || !names_equal(a->names, b->names) ||
	    !address_patterns_equal(a->clients, a->n_clients, b->clients,
				    b->n_clients) ||
	    !limits_equal(&a->limits, &b->limits) ||
	    !limits_equal(&a->request_limits, &b->request_limits) ||
	    !service_checks_equal(&a->check, &b->check) ||
	    !service_http_equal(a->http, b->http) ||
	    !service_sources_equal(a->from, a->n_from, b->from, b->n_from) ||
	    !service_tlvs_equal(a->tlvs, a->n_tlvs, b->tlvs, b->n_tlvs) ||
	    !text_equal(a->rule, b->rule) ||
	    !text_equal(a->netns_name, b->netns_name) ||
	    !text_equal(a->backend_netns, b->backend_netns) ||
	    !text_equal(a->text, b->text))
		return false;
	for (size_t i = 0; i < a->n_backends; i++) {
		/* Without a scheme, the text means the protocol of the
		 * listener. */
		if (strcmp(a->backends[i].text, b->backends[i].text) != 0 ||
		    a->backends[i].protocol != b->backends[i].protocol ||
		    a->backends[i].weight != b->backends[i].weight)
			return false;
	}
	return true;
}
