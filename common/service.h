/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - what a listener is opened with and who answers on it
 *
 * Made by the rules layer, immutable afterwards, shared by reference count.
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/protocol.h"
#include "common/service_check.h"

struct address_pattern;
struct backend_source;
struct service_http;
struct rate_limit;

#define SERVICE_UNSET (-1) /* the kernel's default stays */

/** An idle_timeout_ms: connections may be idle for ever. The same value as
 * BERTH_TIMEOUT_OFF, which is what consumers are told. */
#define SERVICE_TIMEOUT_OFF UINT32_MAX

/** The consumer that serves `forward` and `respond`. */
#define SERVICE_RELAY "relay"

/**
 * struct socket_options - the options of a `listen` entry
 *
 * Numbers are SERVICE_UNSET where the rule says nothing.
 * @backlog:	listen(2); unset: SOMAXCONN
 * @dscp:	0-63: the upper six bits of IP_TOS and IPV6_TCLASS
 * @mark:	SO_MARK, full 32 bits
 * @receive_buffer, @send_buffer: bytes, SO_RCVBUF and SO_SNDBUF
 * @keepalive_s: 0: SO_KEEPALIVE with the kernel's times, else TCP_KEEPIDLE
 * @defer_accept_s: TCP_DEFER_ACCEPT
 * @fastopen:	TCP_FASTOPEN queue length
 * @streams_in, @streams_out: SCTP_INITMSG: streams from clients, at most, and
 *		to them; unset: SERVICE_STREAMS
 * @interface_bound: SO_BINDTOIFINDEX to the interface that holds the address
 * @transparent: IP_TRANSPARENT
 */
struct socket_options {
	int backlog;
	int dscp;
	int64_t mark;
	int64_t receive_buffer;
	int64_t send_buffer;
	int keepalive_s;
	int defer_accept_s;
	int fastopen;
	int streams_in;
	int streams_out;
	bool interface_bound;
	bool transparent;
};

/* SOCKET_OPTIONS_NONE - an initializer with nothing set */
#define SOCKET_OPTIONS_NONE                                                 \
	{                                                                   \
		.backlog = SERVICE_UNSET, .dscp = SERVICE_UNSET,            \
		.mark = SERVICE_UNSET, .receive_buffer = SERVICE_UNSET,     \
		.send_buffer = SERVICE_UNSET, .keepalive_s = SERVICE_UNSET, \
		.defer_accept_s = SERVICE_UNSET, .fastopen = SERVICE_UNSET, \
		.streams_in = SERVICE_UNSET, .streams_out = SERVICE_UNSET,  \
	}

/** SCTP streams each way where a rule does not say. The kernel's own are 65,535
 * in, which cost 1.5 MiB for each association, and 10 out, so that servers
 * which answer on the stream of the question cannot. */
#define SERVICE_STREAMS 256

/** How many backends a rule may name: each listener carries its own copy, and
 * whoever connects remembers in one word which of them it has tried. */
#define SERVICE_BACKENDS_MAX 64u

/** From how many addresses a rule may forward: an SCTP endpoint tells all of
 * its own in one packet, and has a few. */
#define SERVICE_FROM_MAX 8u

/** How many addresses and networks `clients` may have: each client that comes
 * is compared with all of them. */
#define SERVICE_CLIENTS_MAX 256u

enum service_action {
	SERVICE_FORWARD, /* relay to a backend */
	SERVICE_RESPOND, /* answer with a text */
	SERVICE_ECHO, /* send back what comes */
	SERVICE_DISCARD, /* read and forget */
	SERVICE_HANDOFF, /* another program serves it */
};

/* Custom types of the PROXY protocol, version 2: the specification leaves these
 * to whoever configures both ends. */
#define SERVICE_TLV_FIRST 0xe0u
#define SERVICE_TLV_LAST 0xefu
#define SERVICE_TLVS_MAX (SERVICE_TLV_LAST - SERVICE_TLV_FIRST + 1)
#define SERVICE_TLV_HEAD_BYTES 3u /* its type and length */

/** How long they may be together, with their heads: a header with them still
 * fits into one packet. */
#define SERVICE_TLVS_BYTES_MAX 1024u

/** struct service_tlv - one of them, with a text */
struct service_tlv {
	uint8_t type;
	char *value;
};

enum service_proxy {
	SERVICE_PROXY_NONE,
	SERVICE_PROXY_V1,
	SERVICE_PROXY_V2,
	SERVICE_PROXY_V2_CRC32C, /* with a checksum of the header */
};

/** enum service_log - which connections have a line in the log when they end */
enum service_log {
	SERVICE_LOG_NONE,
	SERVICE_LOG_FAILURES, /* those that failed */
	SERVICE_LOG_CONNECTIONS, /* all */
};

/** enum service_balance - how one of several backends is chosen */
enum service_balance {
	SERVICE_BALANCE_ROUND_ROBIN, /* in turn */
	SERVICE_BALANCE_LEAST_CONNECTIONS, /* the one that has fewest */
	SERVICE_BALANCE_HASH, /* by the client's address */
};

/** What a backend has without one, and the largest. */
#define SERVICE_WEIGHT_DEFAULT 1u
#define SERVICE_WEIGHT_MAX 256u

/**
 * struct service - see the file's head
 * @rule:	name of the rule
 * @file:	path of the rule's file: two files may have rules of one name,
 *		while one with a problem keeps its last good version
 * @consumer:	who gets the descriptor: SERVICE_RELAY or a handoff's name
 * @clients:	whom the listener serves at all, see address_patterns_have();
 *		not with SERVICE_HANDOFF
 * @to:		backends in canonical text, templates already expanded; see
 *		backend_parse()
 * @weights:	of the backends, in the order of @to; NULL: each has
 *		SERVICE_WEIGHT_DEFAULT. One at least is not 0
 * @balance:	how one of @to is chosen
 * @netns:	name of the namespace to connect in, NULL for the host's
 * @transparent: connect from the client's address
 * @from:	connect from these addresses: to a backend by TCP or UDP from
 *		the one of its family, by SCTP from all of its family; none, or
 *		at least one of the family of each backend without templates
 * @tlvs:	of the header that @proxy asks for: each type once, templates
 *		already expanded, UTF-8
 * @check:	not with @from that have a port
 * @http:	NULL: bytes are passed on as they come
 * @connect_timeout_ms, @idle_timeout_ms: 0: the relay's default; the latter may
 *		be SERVICE_TIMEOUT_OFF
 * @max_lifetime_ms: no connection gets older; 0: no limit
 * @drain_timeout_ms: how long connections may take to finish when the listener
 *		is not wanted any more; 0: the configuration's
 * @max_connections: 0: the relay's default
 * @rates:	how many connections each client may begin; at most
 *		RATE_LIMITS_MAX
 * @text:	for SERVICE_RESPOND
 * @log:	only if the relay serves it
 */
struct service {
	unsigned int refs;
	char *rule;
	char *file;
	char *consumer;
	enum service_action action;
	struct socket_options options;
	struct address_pattern *clients;
	size_t n_clients;
	char **to;
	size_t n_to;
	uint16_t *weights;
	enum service_balance balance;
	char *netns;
	bool transparent;
	struct backend_source *from;
	size_t n_from;
	enum service_proxy proxy;
	struct service_tlv *tlvs;
	size_t n_tlvs;
	struct service_check check;
	struct service_http *http;
	uint32_t connect_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t max_lifetime_ms;
	uint32_t drain_timeout_ms;
	uint32_t max_connections;
	struct rate_limit *rates;
	size_t n_rates;
	char *text;
	enum service_log log;
};

/** service_new() - one reference, everything unset. NULL: out of memory. */
struct service *service_new(void);

/** service_ref() - takes one more reference; returns @service */
struct service *service_ref(struct service *service);

/** service_unref() - frees with the last reference. NULL is fine. */
struct service *service_unref(struct service *service);

/** service_copy() - a deep copy with one reference, to be changed before it is
 * shared. NULL: out of memory. */
struct service *service_copy(const struct service *service);

/** service_sources_equal() - the same addresses in the same order? */
bool service_sources_equal(const struct backend_source *a, size_t n_a,
			   const struct backend_source *b, size_t n_b);

/** service_tlvs_equal() - the same types and values in the same order? */
bool service_tlvs_equal(const struct service_tlv *a, size_t n_a,
			const struct service_tlv *b, size_t n_b);

/** service_tlvs_bytes() - how long they are in a header */
size_t service_tlvs_bytes(const struct service_tlv *tlvs, size_t n);

/** service_tlvs_free() - frees the array with its texts. NULL is fine. Returns
 * NULL. */
struct service_tlv *service_tlvs_free(struct service_tlv *tlvs, size_t n);

/** service_equal() - would a listener with one be served exactly as with the
 * other, as long as it is open? */
bool service_equal(const struct service *a, const struct service *b);

/** socket_options_equal() - would a socket be opened with the same options? */
bool socket_options_equal(const struct socket_options *a,
			  const struct socket_options *b);

/** service_action_name() - "forward", "respond", "echo", "discard", "handoff"
 */
const char *service_action_name(enum service_action action);

/** service_weight() - of the backend at @index of service.to */
unsigned int service_weight(const struct service *service, size_t index);

/** service_balance_name() - "round-robin", "least-connections", "hash" */
const char *service_balance_name(enum service_balance balance);

/** service_balance_parse() - Return: 0, or -EINVAL with the output untouched.
 */
int service_balance_parse(const char *text, enum service_balance *ret_balance);

/** service_log_name() - "", "failures", "connections" */
const char *service_log_name(enum service_log log);

/** service_log_parse() - Return: 0, or -EINVAL with the output untouched. */
int service_log_parse(const char *text, enum service_log *ret_log);

/** service_proxy_fits() - can clients of @protocol be told of with @proxy? v1
 * knows TCP only, and none knows SCTP. */
bool service_proxy_fits(enum service_proxy proxy, enum protocol protocol);

/** service_proxy_name() - "", "v1", "v2", "v2+crc32c" */
const char *service_proxy_name(enum service_proxy proxy);

/** service_proxy_parse() - Return: 0, or -EINVAL with the output untouched. */
int service_proxy_parse(const char *text, enum service_proxy *ret_proxy);

#endif
