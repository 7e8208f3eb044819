/* SPDX-License-Identifier: Apache-2.0 */
/* berth.h - libberth: receive listening sockets from berthd
 *
 * A consumer connects to berthd's UNIX socket and is given the listening
 * sockets of all namespaces that the rules name it for, as they come and go.
 * It needs no privilege. See berth(3), and doc/consumer-protocol.md for the
 * protocol.
 *
 *	berth_connect("me", NULL, 0, &berth);
 *	for (;;) {
 *		r = berth_receive(berth, &message);
 *		if (r == 0)
 *			poll(berth_fd(berth)) for POLLIN and go on;
 *		else if (r == -EPIPE)
 *			berth_reconnect(berth);
 *		...
 *		message = berth_message_free(message);
 *	}
 *
 * When berthd restarts, the consumer goes on serving: the library connects
 * again and hands back what the consumer holds. For that it remembers the
 * number of each listening descriptor that it gave out. It borrows them: it
 * makes no duplicate, and never closes one. Whether the number still means that
 * socket, the library sees by the socket's cookie (SO_COOKIE).
 *
 * The library starts no thread and has no global state. A struct berth may be
 * used by one thread at a time.
 */
#ifndef BERTH_H
#define BERTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PROTOCOL_VERSION 1
#define BERTH_MESSAGE_MAX 65536
#define BERTH_SOCKETS_MAX 128

/* Flags of berth_connect(). */
#define BERTH_TAKEOVER 1U /* take the place of the one that is connected */
#define BERTH_WAIT 2U /* if berthd is not there, go on trying */

struct berth;

enum berth_message_type {
	BERTH_UNKNOWN, /* from a newer berthd: to be ignored */
	BERTH_LISTENER, /* serve this, or: serve it differently from now on */
	BERTH_WITHDRAW, /* stop serving, then berth_released() */
	BERTH_STATS, /* say what you counted: berth_stats_add() */
	BERTH_SOCKET, /* the answer to berth_ask_socket() */
	BERTH_NETNS_GONE, /* reset what you got in there, then
			   * berth_netns_closed() */
	BERTH_WELCOME, /* berthd knows this consumer from now on */
	BERTH_DENIED, /* berthd does not: the connection is over */
	BERTH_TAKEN_OVER, /* another has your place: BERTH_WITHDRAW follows for
			   * all that you have */
	BERTH_CONNECTIONS, /* list some of them: berth_connections_add() */
	BERTH_CLOSE, /* reset one, then berth_connection_closed() */
	BERTH_LOG_LEVEL, /* of berth-relay: from now on log so much */
};

/**
 * enum berth_ending - why a connection, association or session ended
 *
 * A "-reset" is also a peer that was lost. In the protocol they are the words
 * of doc/consumer-protocol.md.
 */
enum berth_ending {
	BERTH_ENDING_ERROR, /* none of the others */
	BERTH_ENDING_CLIENT_END, /* in order, the client first */
	BERTH_ENDING_CLIENT_RESET,
	BERTH_ENDING_BACKEND_END, /* in order, the backend first */
	BERTH_ENDING_BACKEND_RESET,
	BERTH_ENDING_BACKEND_REFUSED, /* no backend could be reached */
	BERTH_ENDING_CONNECT_TIMEOUT, /* no backend was reached in time */
	BERTH_ENDING_ANSWERED, /* you answered yourself, and said all */
	BERTH_ENDING_IDLE, /* nothing was said for too long */
	BERTH_ENDING_STALLED, /* a peer did not take what it was sent */
	BERTH_ENDING_LIMIT, /* something is short: it gave way, or got none */
	BERTH_ENDING_NETNS_GONE, /* its namespace goes, or the backend's */
	BERTH_ENDING_DRAINED, /* no rule wants the listener, and time is up */
	BERTH_ENDING_RULE_CHANGED, /* the rule has other backends now */
	BERTH_ENDING_CLOSED_BY_HAND, /* somebody wanted it */
	BERTH_ENDING_RELAY_END, /* you end, or lost berthd for too long */
	BERTH_ENDING_NOT_ADMITTED, /* the client is none of `clients` */
	BERTH_ENDING_REQUEST_REFUSED, /* you do not pass on such a request */
	BERTH_ENDING_REQUEST_TIMEOUT, /* the request did not come in time */
	BERTH_ENDING_RESPONSE_TIMEOUT, /* nor did the backend's answer */
	BERTH_ENDING_RATE_LIMIT, /* the client comes too often */
	BERTH_ENDING_LIFETIME, /* max_lifetime is over */
};
#define BERTH_ENDINGS (BERTH_ENDING_LIFETIME + 1)

/** enum berth_drop - why a message was not passed on */
enum berth_drop {
	BERTH_DROP_OTHER, /* none of the others */
	BERTH_DROP_NOT_ADMITTED, /* the client is none of `clients` */
	BERTH_DROP_RATE_LIMIT, /* the client begins too many sessions */
	BERTH_DROP_LIMIT, /* another limit left no room for the client */
	BERTH_DROP_CIRCLE, /* it came from one of your own sockets */
	BERTH_DROP_UNREACHABLE, /* nobody takes it: no backend, no client */
	BERTH_DROP_ENDED, /* its session or association ended before */
	BERTH_DROP_TOO_LARGE, /* for its receiver, or for you */
	BERTH_DROP_NO_STREAM, /* its receiver has no such stream */
	BERTH_DROP_RECEIVE_BUFFER, /* it came faster than you read */
	BERTH_DROP_SEND_BUFFER, /* its receiver, or the way there, is slow */
	BERTH_DROP_MEMORY, /* none is left, or the namespace has its part */
};
#define BERTH_DROPS (BERTH_DROP_MEMORY + 1)

/** enum berth_limit - which limit refused, ended or delayed a client */
enum berth_limit {
	BERTH_LIMIT_OTHER, /* none of the others */
	BERTH_LIMIT_MAX_CONNECTIONS, /* of the listener */
	BERTH_LIMIT_NAMESPACE, /* what one namespace may have of all */
	BERTH_LIMIT_DESCRIPTORS, /* of all clients together */
	BERTH_LIMIT_PORTS, /* local ports to connect from */
	BERTH_LIMIT_RATE_LIMIT, /* connections or sessions of one client */
	BERTH_LIMIT_REQUESTS, /* requests of one client */
	BERTH_LIMIT_WAITING, /* sessions that wait for a socket of berthd's */
};
#define BERTH_LIMITS (BERTH_LIMIT_WAITING + 1)

/** An idle_timeout_ms that never ends a connection. */
#define BERTH_TIMEOUT_OFF UINT32_MAX

/** struct berth_tlv - a custom TLV of a PROXY protocol header, version 2 */
struct berth_tlv {
	uint8_t type;
	const char *value;
};

/** struct berth_header - a header of HTTP that is set; @value: see
 * doc/consumer-protocol.md: a "$" in it is written twice, and "${client}",
 * "${client_port}" and "${local}" stand for what you know */
struct berth_header {
	const char *name;
	const char *value;
};

/**
 * struct berth_rate - a client may begin at most @count in each time of @per_ms
 * @ipv6_prefix: clients of IPv6 with the same first bits count as one, but for
 *		link-local addresses; 128: each address counts for itself
 */
struct berth_rate {
	uint32_t count;
	uint32_t per_ms;
	uint8_t ipv6_prefix;
};

/**
 * struct berth_http - what you do with the one request of a connection
 * @set_headers: replace all fields of the same name, in any case
 * @remove_headers: names of fields that you do not pass on
 * @paths:	pass on requests for one of them, or what is below, only; none:
 *		for any
 * @hosts:	pass on requests to one of them only; none: to any
 * @request_timeout_ms: how long the request may take to come
 * @response_timeout_ms: how long the answer may take to begin
 * @max_request: bytes of the request with its body, as it comes and as you send
 *		it on
 * @rates:	how many requests each client may make: all must hold, and those
 *		count that you refused
 */
struct berth_http {
	struct berth_header *set_headers;
	size_t n_set_headers;
	const char **remove_headers;
	size_t n_remove_headers;
	const char **paths;
	size_t n_paths;
	const char **hosts;
	size_t n_hosts;
	uint32_t request_timeout_ms;
	uint32_t response_timeout_ms;
	uint32_t max_request;
	struct berth_rate *rates;
	size_t n_rates;
};

/**
 * struct berth_listener - what a `listener` message says
 *
 * Texts belong to the message and are never NULL; absent ones are "".
 * @netns_id:	the namespace's cookie (SO_NETNS_COOKIE)
 * @netns_host:	it is the namespace that berthd itself lives in
 * @names:	the namespace's names, maybe none
 * @protocol:	"tcp", "udp", "mptcp", "sctp", "sctp-seqpacket"
 * @address:	"*", or an IPv4 or IPv6 address, with "%" and the interface's
 *		index when it is link-local
 * @port:	host byte order, not 0
 * @action:	"forward", "http", "respond", "echo", "discard", "handoff"
 * @clients:	addresses and networks, "10.0.0.0/8", of the clients to serve at
 *		all; those with "!" in front, "!10.1.0.0/16", are not served. If
 *		all are such, or there is none, all others are. Never with
 *		"handoff"
 * @to:		backends of "forward" and "http"
 * @weights:	of these, in their order: how many clients each gets, compared
 *		with the others; 0: none. NULL: all the same. One at least is
 *		not 0
 * @balance:	how one of them is chosen: "" or "round-robin",
 *		"least-connections", "hash" (by the client's address)
 * @connect_timeout_ms, @idle_timeout_ms, @max_connections: 0: your default
 * @idle_timeout_ms: BERTH_TIMEOUT_OFF: connections may be idle for ever
 * @max_lifetime_ms: end each connection of "forward" before it is so old, and
 *		not all that began together at one time; 0: never
 * @rates:	how many connections of "forward" each client may begin: all
 *		must hold, and those count that you refused
 * @text:	of "respond"
 * @log:	which connections you say in a log when they end: "" (none),
 *		"failures", "connections" (all)
 * @container:	with @log: who is in the namespace
 * @proxy_protocol: what each connection to a backend, with UDP each datagram,
 *		begins with: "" (nothing), "v1", "v2", "v2+crc32c"
 * @proxy_tlvs:	with "v2" and "v2+crc32c": what stands in it, too
 * @backend_netns: name of the namespace to connect in, "" for your own. A
 *		socket in another one is got with berth_ask_socket().
 * @transparent: connect from the client's address: with a socket from
 *		berth_ask_socket(), which is bound to it
 * @check_every_ms: try each backend so often, whether there are clients or not;
 *		0: do not
 * @check_timeout_ms: how long one attempt may take
 * @check_rise, @check_fall: after so many successes in a row use the backend,
 *		after so many failures do not
 * @check_http_path: not "": ask for it by HTTP, with GET: a status from
 *		@check_status_min to @check_status_max is a success
 * @check_send:	what a backend at an address gets by UDP: if nobody says that it
 *		is not there within the time, that is a success; "": do not
 * @check_http_host: the Host of that request; "": the backend's address
 * @from:	addresses to connect from, "10.0.0.1" or "fd00::1": by TCP and
 *		UDP with a socket from berth_ask_socket(), which is bound to the
 *		one of the backend's family; by SCTP from all of its family,
 *		which may have a port, "10.0.0.1:80" or "[fd00::1]:80"
 * @http:	with "http", else NULL
 */
struct berth_listener {
	uint64_t netns_id;
	bool netns_host;
	const char **names;
	size_t n_names;
	const char *protocol;
	const char *address;
	uint16_t port;
	const char *interface;
	const char *rule;
	const char *action;
	const char **clients;
	size_t n_clients;
	const char **to;
	size_t n_to;
	uint32_t *weights;
	const char *balance;
	uint32_t connect_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t max_lifetime_ms;
	uint32_t max_connections;
	struct berth_rate *rates;
	size_t n_rates;
	const char *text;
	const char *log;
	const char *container;
	const char *proxy_protocol;
	const char *backend_netns;
	bool transparent;
	const char **from;
	size_t n_from;
	struct berth_tlv *proxy_tlvs;
	size_t n_proxy_tlvs;
	uint32_t check_every_ms;
	uint32_t check_timeout_ms;
	uint32_t check_rise;
	uint32_t check_fall;
	const char *check_http_path;
	const char *check_http_host;
	uint16_t check_status_min;
	uint16_t check_status_max;
	const char *check_send;
	const struct berth_http *http;
};

/* Failures of backends are counted for so many different errnos, and the rest
 * under 0. */
#define BERTH_ERRORS_MAX 8

/**
 * struct berth_counts - what a consumer did for one listener, since it has it
 *
 * What you do not count stays 0. Connections are associations and sessions
 * too; messages are datagrams, or messages of SCTP.
 * @accepted:	connections
 * @active:	of these, those that did not end
 * @limited:	by one of your limits: connections refused or ended, and how
 *		often you stopped accepting
 * @bytes_in, @messages_in: from clients
 * @bytes_out, @messages_out: to clients
 * @dropped:	messages that could not be passed on
 * @looped:	what came from one of your own sockets and was cut: connections,
 *		or datagrams
 * @not_admitted: connections, or datagrams, of clients that `clients` leaves
 *out
 * @unlogged:	those that ended and have no line in a log that should have one
 * @ended:	those that ended, by enum berth_ending
 * @dropped_by:	@dropped, by enum berth_drop; what is missing there berthd
 *		counts as others
 * @limited_by:	@limited, by enum berth_limit, likewise
 * @errors:	@n_errors different errnos, and how often a backend failed so;
 *		0 is for what has no errno, or no place of its own
 */
struct berth_counts {
	uint64_t accepted;
	uint64_t active;
	uint64_t limited;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t dropped;
	uint64_t looped;
	uint64_t not_admitted;
	uint64_t unlogged;
	uint64_t ended[BERTH_ENDINGS];
	uint64_t dropped_by[BERTH_DROPS];
	uint64_t limited_by[BERTH_LIMITS];
	size_t n_errors;
	struct {
		int error;
		uint64_t n;
	} errors[BERTH_ERRORS_MAX];
};

/**
 * struct berth_connection - what you say of a connection, association or
 * session
 * @id:		your number for it, below 2^53, of no other one as long as it
 *		lives
 * @listener:	id of the listener that it was accepted from
 * @client:	where it comes from, such as "10.0.0.2:40000" or "[fd00::2]:53"
 * @local:	the address and port that the client connected to, likewise;
 *		NULL: the listener's
 * @backend:	whom you connected to, as the listener's list has it; NULL:
 *		nobody
 * @state:	a word, such as "connecting", "open" or "closing"; NULL: "open"
 * @age_ms:	since it was accepted
 * @idle_ms:	since something was last received or sent
 * @bytes_in, @bytes_out: from the client, and to it
 */
struct berth_connection {
	uint64_t id;
	uint64_t listener;
	const char *client;
	const char *local;
	const char *backend;
	const char *state;
	uint64_t age_ms;
	uint64_t idle_ms;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

/**
 * struct berth_message - one message from berthd
 *
 * Texts belong to the message and are never NULL.
 * @id:		of the listener; with BERTH_CONNECTIONS: list those accepted
 *		from this one only; 0: all
 * @request:	with BERTH_STATS, BERTH_CONNECTIONS and BERTH_CLOSE: to be
 *		repeated in the answer; with BERTH_SOCKET: of the request
 * @netns_id:	with BERTH_SOCKET: the namespace it was made in, or 0 when that
 *		is berthd's own and outlives you; with BERTH_NETNS_GONE
 * @error:	with BERTH_SOCKET: 0, or the positive errno of why there is none
 * @listener:	with BERTH_LISTENER
 * @fd:		with BERTH_LISTENER: the listening socket, non-blocking and
 *		close-on-exec, or -1 when the listener is one that you were
 *		sent before; with one that you have already, a copy of that;
 *		with BERTH_SOCKET: an unconnected socket of that kind. Closed
 *		by berth_message_free() unless you set it to -1.
 * @abort:	with BERTH_WITHDRAW: reset every connection accepted from it
 * @ending:	with @abort: why
 * @held_fd:	with BERTH_LISTENER of one that you were sent before, and with
 *		BERTH_WITHDRAW: the listening descriptor that you hold, still
 *		yours to close; -1 when it is closed already
 * @version:	with BERTH_WELCOME: of berthd's protocol
 * @orphan_timeout_ms: with BERTH_WELCOME: how long you go on serving without
 *		berthd
 * @drain_timeout_ms: with BERTH_WELCOME: how long connections may finish of
 *		which nothing else is said; with BERTH_WITHDRAW: how long those
 *		of this listener may, before it comes again with @abort; 0: not
 *		at all, or berthd did not say
 * @reason:	with BERTH_DENIED: "busy", "version", "protocol" or "limit"
 * @text:	with BERTH_DENIED: why, a sentence for people; with
 *		BERTH_WITHDRAW the same or ""; with BERTH_LOG_LEVEL its name
 * @after:	with BERTH_CONNECTIONS: where the last part of the list ended,
 *		as you said it with berth_connections_end(); 0: begin
 * @min_age_ms:	with BERTH_CONNECTIONS: younger ones need not be listed
 * @connection:	with BERTH_CLOSE: your number for it
 * @changed:	with BERTH_STATS: listeners whose counts are as in your last
 *		answer may be left out: berthd remembers them. Without it, all
 *		that have counts are to be in the answer.
 */
struct berth_message {
	enum berth_message_type type;
	uint64_t id;
	uint64_t request;
	uint64_t netns_id;
	int error;
	struct berth_listener listener;
	int fd;
	bool abort;
	enum berth_ending ending;
	int held_fd;
	uint32_t version;
	uint32_t orphan_timeout_ms;
	uint32_t drain_timeout_ms;
	const char *reason;
	const char *text;
	uint64_t after;
	uint64_t min_age_ms;
	uint64_t connection;
	bool changed;
};

/**
 * struct berth_backend - one that a socket is asked for
 * @id:		of a listener that you have, with backend_netns, transparent or
 *		from
 * @to:		index of the backend in its list; not one of "unix:"
 * @text:	what stands there in the list that you have; NULL: do not say
 * @netns:	the listener's backend_netns that you have; NULL: do not say
 * @client:	the client's address, with a listener that says transparent and
 *		only with such; else NULL, as with @check
 * @client_port: the client's port, host byte order, for a UDP backend with
 *		@client; else 0
 * @from:	for a TCP or UDP backend of a listener with addresses to connect
 *		from, the one of the backend's family that you have; NULL: do
 *		not say
 * @check:	the socket is for a check, which stands in for no client
 *
 * The texts are for when the listener changes while the request is on its
 * way: the answer is ESTALE then, instead of a socket that was made for
 * another backend, and the listener has come anew before.
 */
struct berth_backend {
	uint64_t id;
	unsigned int to;
	const char *text;
	const char *netns;
	const char *client;
	uint16_t client_port;
	const char *from;
	bool check;
};

/**
 * struct berth_backend_state - what you found out about a backend
 * @rule:	the listener's, as its `rule`
 * @backend:	as the listener's list has it
 * @netns:	the listener's backend_netns; NULL or "": none
 * @protocol:	that you speak with it: "tcp" (also by a UNIX stream), "udp",
 *		"sctp"
 * @state:	"up": it was reached; "down": it was not; "gone": you use it no
 *		more
 * @checked:	you check it, beside what clients meet
 * @failures:	how often it failed since it was last reached
 * @error:	why it failed last, a positive errno; 0: unknown, or it did not
 * @failed_ms:	how long ago it failed last; -1: it did not
 * @since_ms:	for how long it is in this state
 * @http_status: of the answer to a check that failed for it last; 0: it failed
 *		otherwise
 * @connections: how many clients have it now: connections, associations and
 *		sessions of all listeners of the rule
 */
struct berth_backend_state {
	const char *rule;
	const char *backend;
	const char *netns;
	const char *protocol;
	const char *state;
	bool checked;
	uint64_t failures;
	int error;
	int64_t failed_ms;
	uint64_t since_ms;
	unsigned int http_status;
	uint64_t connections;
};

#pragma GCC visibility push(default)

/**
 * berth_connect() - connects to berthd and says hello
 * @consumer:	the name that rules hand off to, for
 *		/run/berth/consumers/NAME.sock; or with a slash in it the path
 *		of such a socket
 * @name:	free text for berthd's status and log; NULL: the program's name
 * @flags:	BERTH_TAKEOVER, BERTH_WAIT, or 0
 *
 * berthd answers by BERTH_WELCOME or BERTH_DENIED. Does not block.
 * Return: 0; -ENAMETOOLONG; -EINVAL: a flag that is none, or @name is not
 * UTF-8; -ENOMEM; -errno of socket(2), epoll_create1(2), timerfd_create(2);
 *without BERTH_WAIT also -errno of connect(2) (-EAGAIN: berthd has too many
 *that wait) and send(2).
 */
int berth_connect(const char *consumer, const char *name, unsigned int flags,
		  struct berth **ret_berth);

/**
 * berth_new() - says hello over a SOCK_SEQPACKET connection that exists
 * @fd:		owned by the struct berth on success only
 *
 * Such a connection cannot be made again.
 * Return: 0; -EINVAL; -ENOMEM; -errno of epoll_create1(2), timerfd_create(2),
 * send(2).
 */
int berth_new(int fd, const char *name, struct berth **ret_berth);

/**
 * berth_free() - closes the connection. Returns NULL; NULL is fine.
 *
 * The listening descriptors that you hold stay open.
 */
struct berth *berth_free(struct berth *berth);

/**
 * berth_fd() - to be polled for reading; stays owned by @berth
 *
 * It is an epoll descriptor, and the same one as long as @berth exists. It is
 * readable whenever berth_receive() has something to do: a message came, it is
 * time to connect again or to withdraw everything, or there is room again to
 * send.
 */
int berth_fd(const struct berth *berth);

/**
 * berth_receive() - takes one message, without waiting
 * @ret_message: to be freed with berth_message_free()
 *
 * Nothing is lost when descriptors or memory are short: the message then stays
 * with the kernel, socket and all, and a later call delivers it. But
 * BERTH_SOCKET then comes with EMFILE: such a socket can be asked for again.
 * A listener whose socket does not arrive for another cause is refused, and
 * berthd offers it again. A listener without a socket that you were not sent
 * before is refused, and the withdrawal of one that you do not have is
 * answered, without a message for you.
 *
 * If nobody welcomed you for the time of the last welcome's orphan_timeout_ms
 * (60 s before the first), BERTH_WITHDRAW with abort comes for all that you
 * have, and BERTH_NETNS_GONE for each namespace that you got sockets of:
 * because without berthd nobody tells you which namespaces go. So it does when
 * you were taken over and connections did not finish within drain_timeout_ms.
 *
 * Return: 1 with a message; 0 when there is none now; -EPIPE when the
 * connection is over: berth_reconnect() or berth_free(); -ESHUTDOWN when you
 * were taken over and have nothing any more: berth_free(), and exit; -EMFILE
 * when the process has no descriptor left, -ENOMEM when it has no memory: free
 * some, or wait, and call again (the descriptor stays readable: do not poll it
 * meanwhile); -EBADMSG or -EPROTO when a message was dropped because it was
 * malformed or its descriptor could not be received: go on; -errno of
 * recvmsg(2).
 */
int berth_receive(struct berth *berth, struct berth_message **ret_message);

/**
 * berth_reconnect() - connects again after berth_receive() said -EPIPE
 *
 * You keep what you hold, and go on serving it. Whether berthd is there or not:
 * from now on berth_receive() tries by itself, each time berth_fd() is
 * readable, until somebody answers; after the welcome it hands back what you
 * hold, and asks again for the sockets that were asked for and not answered.
 * berthd says of each listener that it goes on (BERTH_LISTENER) or does not
 * (BERTH_WITHDRAW). Does nothing while there is a connection.
 *
 * Return: 0; -EOPNOTSUPP: the connection was one of berth_new(); -ESHUTDOWN:
 * as of berth_receive().
 */
int berth_reconnect(struct berth *berth);

/**
 * berth_problem() - why the last connection ended, or could not be made
 *
 * Return: a sentence for people, "" when there is none; yours until the next
 * call with @berth.
 */
const char *berth_problem(const struct berth *berth);

/**
 * berth_keep() - says by which descriptor you hold a listener from now on
 * @id:		of a listener that you have
 * @fd:		a duplicate of the one that came; stays yours
 *
 * For programs that duplicate the descriptor and close the one that came.
 * Return: 0; -ENOENT: you do not have such a listener; -EBADF: another socket.
 */
int berth_keep(struct berth *berth, uint64_t id, int fd);

/**
 * berth_released() - tells berthd that nothing is left of a withdrawn listener
 * @id:		of the listener
 *
 * Without a connection the library tells it after the next welcome.
 * Return: 0; -EAGAIN when there is no room: poll berth_fd(), berth_receive(),
 * and call again; -errno of send(2).
 */
int berth_released(struct berth *berth, uint64_t id);

/**
 * berth_released_counts() - the same, with what was counted in the end
 * @counts:	berthd adds it to the total of the rule; NULL: nothing
 */
int berth_released_counts(struct berth *berth, uint64_t id,
			  const struct berth_counts *counts);

/**
 * berth_stats_add() - puts one listener into the answer to BERTH_STATS
 * @request:	of the message; another one than before begins a new answer
 * @id:		of a listener that is not released; those without counts need
 *		not be in the answer
 *
 * What is put in is sent whenever a datagram is full. If the connection that
 * the request came by is over, nothing is done.
 * Return: 0; -EAGAIN as of berth_released(): @id is not in the answer yet;
 * -errno of send(2).
 */
int berth_stats_add(struct berth *berth, uint64_t request, uint64_t id,
		    const struct berth_counts *counts);

/**
 * berth_stats_end() - completes the answer, maybe an empty one
 * Return: as of berth_stats_add().
 */
int berth_stats_end(struct berth *berth, uint64_t request);

/**
 * berth_connections_add() - puts a connection into the answer to
 * BERTH_CONNECTIONS
 * @request:	of the message; nothing is done if it is not the last one, or if
 *		the connection that it came by is over
 *
 * One message is answered by one part of the list, of some kilobytes; berthd
 * asks for the next part with what berth_connections_end() says.
 * Return: 0; -ENOSPC: the part is full, and @connection is not in it;
 * -EINVAL: a text is not UTF-8; -ENOMEM.
 */
int berth_connections_add(struct berth *berth, uint64_t request,
			  const struct berth_connection *connection);

/**
 * berth_connections_end() - sends the part
 * @next:	where the next part begins, a number for yourself, below 2^63;
 *		0: there is no more
 *
 * Return: as of berth_stats_add().
 */
int berth_connections_end(struct berth *berth, uint64_t request, uint64_t next);

/**
 * berth_connection_closed() - answers BERTH_CLOSE
 * @connection:	of the message
 * @closed:	there was one of this number, and it is reset
 *
 * Return: as of berth_stats_add().
 */
int berth_connection_closed(struct berth *berth, uint64_t request,
			    uint64_t connection, bool closed);

/**
 * berth_ask_socket() - asks for a socket to connect to a backend with
 * @request:	your number, comes back with BERTH_SOCKET
 *
 * At most BERTH_SOCKETS_MAX requests may be without an answer.
 * Return: 0; -EAGAIN when there is no connection, no room, or too many are
 * without an answer: poll berth_fd(), berth_receive(), and call again; -ENOMEM;
 * -EINVAL: a text is not UTF-8; -errno of send(2).
 */
int berth_ask_socket(struct berth *berth, uint64_t request,
		     const struct berth_backend *backend);

/**
 * berth_tell_backend() - tells berthd how a backend is, for people to see
 *
 * When that changes; berthd does not ask. After the next welcome it knows
 * nothing any more, and has to be told of all backends that are not as they
 * should be. Tell of one once a second at most; but before you answer
 * BERTH_STATS, of those that have more or fewer connections than you told last.
 * Return: 0; -EAGAIN as of berth_released(), or what you hold is not handed
 * back yet; -EPIPE: there is no connection; -EINVAL: a text is not UTF-8;
 * -ENOMEM; -errno of send(2).
 */
int berth_tell_backend(struct berth *berth,
		       const struct berth_backend_state *state);

/**
 * berth_netns_closed() - every socket of BERTH_NETNS_GONE's namespace is closed
 * Return: as of berth_released().
 */
int berth_netns_closed(struct berth *berth, uint64_t netns_id);

/**
 * berth_refuse() - takes the message that berth_receive() had -EMFILE for, and
 * tells berthd that this listener could not be taken now
 *
 * For when waiting does not help: what follows, maybe a withdraw, waits behind
 * it. berthd offers the listener again later.
 *
 * Return: 0; -EAGAIN when the connection is full or over; another negative
 * errno as of berth_receive().
 */
int berth_refuse(struct berth *berth);

/**
 * berth_refuse_listener() - tells berthd that a listener which was received
 * cannot be served now
 * @id:		of the listener; nothing of it is left here, and it was not
 *		withdrawn
 *
 * berthd offers it again later, as a new one with the same @id.
 * Return: as of berth_released().
 */
int berth_refuse_listener(struct berth *berth, uint64_t id);

/**
 * berth_repeat() - tells berthd that a change of a listener which you have
 * could not be taken now
 * @id:		of the listener; it is served as before
 *
 * berthd says later once more what the listener is now.
 * Return: as of berth_refuse_listener().
 */
int berth_repeat(struct berth *berth, uint64_t id);

/**
 * berth_message_parse() - a message from its text, without descriptor
 * @text:	@size_bytes bytes of JSON, need not end in a zero byte
 *
 * Return: 0; -EBADMSG for what doc/consumer-protocol.md does not allow;
 * -ENOMEM.
 */
int berth_message_parse(const char *text, size_t size_bytes,
			struct berth_message **ret_message);

/** berth_message_free() - Returns NULL; NULL is fine. */
struct berth_message *berth_message_free(struct berth_message *message);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
