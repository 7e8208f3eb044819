/* SPDX-License-Identifier: Apache-2.0 */
/* consumer_message.h - berthd's side of doc/consumer-protocol.md, as text */
#ifndef DAEMON_CONSUMERS_CONSUMER_MESSAGE_H
#define DAEMON_CONSUMERS_CONSUMER_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "binder/adopt.h"
#include "daemon/consumers/backends.h"
#include "daemon/consumers/socket_request.h"
#include "daemon/consumers/stats_text.h"
#include "lib/berth.h"

struct listener;
struct netns;

#define CONSUMER_REPLY_MAX 65536 /* what a consumer may say in one message */
#define CONSUMER_STATS_MAX 96 /* two literals and such a number */
#define CONSUMER_LOG_LEVEL_MAX 64
#define CONSUMER_SOCKET_MAX 128 /* two literals and two of those */
#define CONSUMER_NETNS_GONE_MAX 64
#define CONSUMER_QUESTION_MAX 192 /* five literals and four numbers */
#define CONSUMER_NAME_MAX 64 /* of the free text in `hello` */

/** The message that says that another connection has taken over. */
#define CONSUMER_TAKEN_OVER_TEXT "{\"type\":\"taken_over\"}"

enum consumer_reply_type {
	CONSUMER_REPLY_HELLO,
	CONSUMER_REPLY_RELEASED,
	CONSUMER_REPLY_REFUSED, /* it could not take the listener now */
	CONSUMER_REPLY_REPEAT, /* nor its change */
	CONSUMER_REPLY_STATS, /* a part of what it counted */
	CONSUMER_REPLY_SOCKET, /* it asks for one */
	CONSUMER_REPLY_NETNS_CLOSED, /* it has no more of them in there */
	CONSUMER_REPLY_HELD, /* it hands a listener back */
	CONSUMER_REPLY_HELD_NETNS, /* it has sockets of a namespace */
	CONSUMER_REPLY_CONNECTIONS, /* some of its clients */
	CONSUMER_REPLY_CLOSED, /* it was told to reset one */
	CONSUMER_REPLY_BACKEND, /* the state of a backend is another one */
	CONSUMER_REPLY_OTHER, /* a newer consumer's: to be ignored */
};

/**
 * struct consumer_hello - what a consumer says first
 * @version:	of the protocol; 0: it said none
 * @held:	how many listeners it is going to hand back
 * @name:	free text, cut to what there is room for
 * @takeover:	it wants the listeners of the connection that has them
 * @draining:	it wants none: it was taken over, and lost berthd since
 */
struct consumer_hello {
	int64_t version;
	uint64_t held;
	char name[CONSUMER_NAME_MAX];
	bool takeover;
	bool draining;
};

/**
 * struct consumer_held - a listener of an earlier berthd, or of an earlier
 * connection
 * @claim:	where it listens, without the interface that it is bound to
 * @rule:	the name of its rule, of the reply's @text or @message
 * @draining:	it does not listen any more: only its connections finish
 */
struct consumer_held {
	struct adopt_claim claim;
	const char *rule;
	bool draining;
};

/**
 * struct consumer_backend - what a consumer tells of a backend
 * @status:	with texts of the reply's @message, and without a consumer
 * @gone:	the consumer does not use the backend any more; of @status, only
 *		@rule, @backend and @netns are set
 */
struct consumer_backend {
	struct backend_status status;
	bool gone;
};

/**
 * struct consumer_reply - see the types
 * @id:		RELEASED, REFUSED, REPEAT, SOCKET, HELD: the listener
 * @hello:	HELLO
 * @counts:	RELEASED: what the consumer counted of the listener in the end
 * @request:	STATS, CONNECTIONS, CLOSED: the number of the request that this
 *		answers
 * @socket:	SOCKET: with texts of @message
 * @netns_id:	NETNS_CLOSED, HELD_NETNS
 * @held:	HELD
 * @more:	STATS: another part follows
 * @stats:	STATS: for consumer_reply_next(), as long as @listeners is NULL
 * @listeners:	STATS: likewise; owned, else NULL
 * @whole, @len: STATS: the message, borrowed
 * @connections: CONNECTIONS: an array, all of which consumer_client_parse()
 *		can read; owned, else NULL
 * @cursor:	CONNECTIONS: where the next part begins, 0: that was all;
 *		CLOSED: the number of the client
 * @closed:	CLOSED: there was such a client
 * @backend:	BACKEND
 * @message:	SOCKET, HELD, BACKEND: owned, or NULL
 * @text:	HELD: owned, or NULL
 */
struct consumer_reply {
	enum consumer_reply_type type;
	uint64_t id;
	struct consumer_hello hello;
	struct berth_counts counts;
	uint64_t request;
	struct socket_request socket;
	struct consumer_held held;
	uint64_t netns_id;
	bool more;
	struct stats_text stats;
	const char *whole;
	size_t len;
	json_t *listeners;
	json_t *connections;
	uint64_t cursor;
	bool closed;
	struct consumer_backend backend;
	json_t *message;
	char *text;
	size_t next;
};

/**
 * consumer_reply_parse() - one datagram from a consumer, which is not trusted
 * @text:	stays where it is until consumer_reply_done()
 * @ret_reply:	ends with consumer_reply_done()
 * Return: 0, or -EPROTO.
 */
int consumer_reply_parse(const char *text, size_t len,
			 struct consumer_reply *ret_reply);

/** consumer_reply_done() - frees what the reply owns, not the struct */
void consumer_reply_done(struct consumer_reply *reply);

/**
 * consumer_reply_next() - the next listener of a STATS reply, or one before it
 * once more
 * Return: 1; 0: that was all; -EPROTO.
 */
int consumer_reply_next(struct consumer_reply *reply, uint64_t *ret_id,
			struct berth_counts *ret_counts);

/**
 * consumer_client_parse() - one of a CONNECTIONS reply
 * @ret_client:	its texts are borrowed of @object; of @local and @backend "" if
 *		the consumer does not say
 * Return: 0 or -EPROTO.
 */
int consumer_client_parse(json_t *object, struct berth_connection *ret_client);

/**
 * consumer_listener_text() - the `listener` message
 * @netns:	may be NULL when it is going
 * Return: allocated text, NULL when out of memory.
 */
char *consumer_listener_text(const struct listener *listener,
			     const struct netns *netns);

/**
 * consumer_welcome_text() - the `welcome` message
 * @consumer:	its name
 * Return: allocated text, NULL when out of memory.
 */
char *consumer_welcome_text(const char *consumer, uint64_t orphan_timeout_ms,
			    uint64_t drain_timeout_ms);

/**
 * consumer_denied_text() - the `denied` message
 * @reason:	for programs
 * @error:	a sentence for people
 * Return: allocated text, NULL when out of memory.
 */
char *consumer_denied_text(const char *reason, const char *error);

/**
 * consumer_withdraw_text() - the `withdraw` message
 * @drain_ms:	how long connections may finish; 0: they are to be reset
 * @ending:	why they are to be reset
 * @reason:	why the consumer may not keep what it hands back, for people;
 *		NULL: it does not hand it back
 * Return: allocated text, NULL when out of memory.
 */
char *consumer_withdraw_text(uint64_t id, uint64_t drain_ms,
			     enum berth_ending ending, const char *reason);

/** consumer_log_level_fmt() - the `log_level` message, to
 * CONSUMER_LOG_LEVEL_MAX. @level: its name */
void consumer_log_level_fmt(const char *level, char *buffer);

/** consumer_stats_fmt() - the `stats` message, to CONSUMER_STATS_MAX
 * @changed:	ask only for what has changed since the last answer */
void consumer_stats_fmt(uint64_t request, bool changed, char *buffer);

/**
 * consumer_connections_fmt() - the `connections` message, to
 * CONSUMER_QUESTION_MAX
 * @listener:	0: of all
 */
void consumer_connections_fmt(uint64_t request, uint64_t after,
			      uint64_t min_age_ms, uint64_t listener,
			      char *buffer);

/** consumer_close_fmt() - the `close` message, to CONSUMER_QUESTION_MAX */
void consumer_close_fmt(uint64_t request, uint64_t number, char *buffer);

/**
 * consumer_socket_fmt() - the answer to `socket`, to CONSUMER_SOCKET_MAX
 * @error:	0 when the socket comes with it, else a positive errno
 */
void consumer_socket_fmt(uint64_t request, uint64_t netns_id, int error,
			 char *buffer);

/** consumer_netns_gone_fmt() - to CONSUMER_NETNS_GONE_MAX */
void consumer_netns_gone_fmt(uint64_t netns_id, char *buffer);

/**
 * consumer_message_send() - one datagram, with a descriptor unless @fd is -1
 *
 * Never blocks. The caller keeps @fd.
 * Return: 0 or -errno of sendmsg(2); -EAGAIN: not now.
 */
int consumer_message_send(int socket_fd, const char *text, int fd);

#endif
