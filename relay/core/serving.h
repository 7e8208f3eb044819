/* SPDX-License-Identifier: Apache-2.0 */
/* serving.h - what is done with the traffic of a listener
 *
 * A serving is made from berthd's message. Afterwards only the health of its
 * backends changes, which all servings of a rule share. Listeners, threads and
 * connections share it by reference count.
 */
#ifndef RELAY_CORE_SERVING_H
#define RELAY_CORE_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/listener_spec.h"
#include "common/sctp_addrs.h"
#include "common/service.h"
#include "lib/berth.h"

struct address_pattern;
struct backend_source;
struct berth_listener;
struct service_http;
struct limiter_limit;
struct target_health;

/**
 * struct serving_backend - where to connect, and its text for the log
 * @protocol:	see scheme_protocol()
 * @addrs:	for SCTP, else NULL
 * @minted:	berthd makes the socket, see minted.h
 * @check_minted: it also makes the sockets of checks, which stand in for no
 *		client
 * @source:	the address of the rule that berthd binds that socket to, one of
 *		serving.from; NULL: none
 * @id:		a number for its address and namespace, the same in all rules
 * @ports:	the port space that its sockets take a local port of, for
 *		admission_take_port(); 0: they need none, or the client's
 * @balance_id:	a number for its address alone, the same in all rules and on all
 *		machines
 * @weight:	its part of the clients, compared with the others; 0: it gets
 *		none, or stands further up, too, with the sum of its weights
 * @health:	does it work? A reference; see target_health.h
 */
struct serving_backend {
	char *text;
	enum protocol protocol;
	struct sctp_addrs *addrs;
	struct sockaddr *address;
	socklen_t address_len;
	bool minted;
	bool check_minted;
	const struct backend_source *source;
	uint64_t id;
	uint32_t ports;
	uint16_t weight;
	uint64_t balance_id;
	struct target_health *health;
};

/** A time-out that never comes: no clock gets there, and adding it to a time of
 * the clock does not overflow. */
#define SERVING_NEVER_US (UINT64_C(1) << 60)

/**
 * struct serving_names - what clients that end are logged with
 * @netns, @container: "" if there is none
 * @listener:	"tcp 10.0.0.1:80"
 */
struct serving_names {
	const char *rule;
	const char *netns;
	const char *container;
	const char *listener;
	char texts[];
};

/** struct serving_limits - at most RATE_LIMITS_MAX
 * @limit:	as what it counts when one of them is reached
 */
struct serving_limits {
	struct limiter_limit *list;
	size_t n;
	enum berth_limit limit;
};

/**
 * struct serving - see the file's head
 * @rule:	with SERVICE_FORWARD: its rule's name
 * @clients:	whom it serves at all, see address_patterns_have()
 * @n_backends:	at most SERVICE_BACKENDS_MAX; one has a weight at least
 * @balance:	how one of them is chosen
 * @max_lifetime_us: 0, or no client gets older, see lifetime.h
 * @max_connections: never 0
 * @limits:	how many connections each client may begin
 * @request_limits: with @http: how many requests it may make
 * @check:	how its backends are checked
 * @check_asks:	with @check: a number for what is asked of a backend, the same
 *in all rules that ask for the same
 * @proxy:	what the backend is told before anything else
 * @netns_name:	the first name of the namespace, for @proxy; NULL: it has none,
 *		or the backend is not told
 * @tlvs:	for @proxy, too; at most SERVICE_TLVS_BYTES_MAX
 * @backend_netns: the namespace to connect in; "" for the relay's own
 * @transparent: sockets to backends have the client's address
 * @from:	NULL, or what sockets to backends are bound to; see
 *		struct service
 * @http:	with SERVICE_FORWARD: NULL, or what is done with the request of
 *		each client
 * @log:	which of its clients are logged when they end
 * @names:	NULL unless some are. So listeners whose clients are not logged
 *can share the serving
 */
struct serving {
	atomic_uint refs;
	char *rule;
	enum service_action action;
	struct address_pattern *clients;
	size_t n_clients;
	struct serving_backend *backends;
	size_t n_backends;
	enum service_balance balance;
	struct serving_limits limits;
	struct serving_limits request_limits;
	struct service_check check;
	uint64_t check_asks;
	uint64_t connect_timeout_us;
	uint64_t idle_timeout_us;
	uint64_t max_lifetime_us;
	uint32_t max_connections;
	enum service_proxy proxy;
	char *netns_name;
	struct service_tlv *tlvs;
	size_t n_tlvs;
	char *backend_netns;
	bool transparent;
	struct backend_source *from;
	size_t n_from;
	struct service_http *http;
	char *text;
	size_t text_len;
	enum service_log log;
	struct serving_names *names;
};

/**
 * serving_new() - makes a serving with one reference, from what berthd asks for
 * @ret_problem: static text of why the relay cannot serve this, with -EINVAL
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int serving_new(const struct berth_listener *listener, enum protocol protocol,
		struct serving **ret_serving, const char **ret_problem);

/** serving_ref() - adds a reference. Returns @serving. */
struct serving *serving_ref(struct serving *serving);

/** serving_unref() - gives a reference back; the last one frees it. Returns
 * NULL; NULL is fine. */
struct serving *serving_unref(struct serving *serving);

/** serving_checks_minted() - is any backend checked by a socket that berthd
 * makes? */
bool serving_checks_minted(const struct serving *serving);

/** serving_equal() - would both treat a client alike? */
bool serving_equal(const struct serving *a, const struct serving *b);

#endif
