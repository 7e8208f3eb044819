/* SPDX-License-Identifier: Apache-2.0 */
/* consumers_internal.h - what the files of the consumers share */
#ifndef DAEMON_CONSUMERS_CONSUMERS_INTERNAL_H
#define DAEMON_CONSUMERS_CONSUMERS_INTERNAL_H

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/log.h"
#include "daemon/consumers/awaited.h"
#include "daemon/consumers/backends.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/consumer_sockets.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/questions.h"
#include "daemon/consumers/door.h"
#include "daemon/consumers/handshake.h"
#include "daemon/consumers/pins.h"
#include "daemon/consumers/withdrawals.h"

/* How much of a listener its consumer knows, the least first. */
enum delivery_state {
	DELIVERY_PENDING,
	DELIVERY_STALE,
	DELIVERY_DONE,
};

/**
 * struct delivery - an open listener and the consumer that is to serve it
 * @sent:	the consumer was sent the listener and may have it, whatever
 *		@state says: a `refused` may answer an earlier offer
 * @given:	so was an earlier connection of the consumer, perhaps: there may
 *		be copies of the socket that nobody knows of
 */
struct delivery {
	struct listener *listener;
	struct consumer *consumer;
	enum delivery_state state;
	bool sent;
	bool given;
	struct delivery *prev, *next; /* in the queue, or when DONE in done */
};

/**
 * struct stats_request - the last request for what a consumer counted
 * @number:	the answer bears it
 * @since_us:	when it was made; 0: it is answered
 * @queued:	it is not sent yet
 * @answers:	the consumer has answered one before
 * @changed:	it is asked only for what has changed
 * @incomplete:	not all is known of what it said
 */
struct stats_request {
	uint64_t number;
	uint64_t since_us;
	bool queued;
	bool answers;
	bool changed;
	bool incomplete;
};

/**
 * struct questions - to one connection, one after the other
 * @list:	those that are not answered
 * @asked:	the one whose answer is awaited; NULL: none, or it was cancelled
 * @request:	the answer bears it
 * @since_us:	when it was asked; 0: no answer is awaited
 * @queued:	it is not sent yet
 * @answers:	the consumer has answered one before
 */
struct questions {
	struct consumer_question *list;
	struct consumer_question *asked;
	uint64_t request;
	uint64_t since_us;
	bool queued;
	bool answers;
};

/**
 * struct consumer_connection - one connection of a consumer
 * @number:	of no other connection
 * @started:	when its process was, as of known_started(); 0: unknown
 * @since_us:	when it was welcomed
 * @draining_since_us: when another connection has taken over the listeners; 0:
 *		this one gets them
 * @only_drains: it said so: it was taken over before it connected
 * @taken_over_queued: it is not told so yet
 * @blocked:	the socket is full: wait for EPOLLOUT
 * @pause_until_us: no listener is sent before
 * @withdrawals, @sockets: what it holds, and is to let go of one day
 * @socket_turn: an answer to a socket request goes before the next listener
 * @held_left:	how many listeners it is still to hand back
 */
struct consumer_connection {
	struct consumer *consumer;
	uint64_t number;
	struct consumer_peer peer;
	uint64_t started;
	uint64_t since_us;
	uint64_t draining_since_us;
	bool only_drains;
	bool taken_over_queued;
	int fd;
	struct loop_source *source;
	bool blocked;
	uint64_t pause_until_us;
	struct stats_request stats;
	struct questions questions;
	struct withdrawals withdrawals;
	struct consumer_sockets sockets;
	bool log_level_queued;
	bool socket_turn;
	uint64_t held_left;
	struct consumer_connection *prev, *next; /* of its consumer */
};

/**
 * struct consumer - one program, connected or not
 * @named:	a rule in force names it
 * @configured:	so does the configuration
 * @close_when_absent: its listeners are closed while there is no @current
 * @access:	who may be this consumer
 * @door:	where it connects; NULL: nowhere
 * @short_limit: of log lines that it is short of something
 * @backends_limit: of log lines that it tells of too many backends
 * @current:	the connection that gets the listeners; NULL: it is absent
 * @connections: @current, and those that drain, oldest first
 * @queue, @n_queue: deliveries that are not DONE, in the order of sending
 * @done, @n_done: the others
 */
struct consumer {
	struct consumers *all;
	char *name;
	bool named;
	bool configured;
	bool close_when_absent;
	struct socket_access access;
	struct door *door;
	struct log_ratelimit short_limit;
	struct log_ratelimit backends_limit;
	struct consumer_connection *current;
	struct consumer_connection *connections;
	size_t n_done;
	size_t n_queue;
	struct delivery *queue;
	struct delivery *done;
	struct consumer *next;
};

/**
 * struct consumers - all of them
 * @max_draining_per_netns: listeners of one namespace that one connection may
 *		have while they drain
 * @timer:	for withdrawals, for pauses, and for @doors_retry_us
 * @dir:	where the sockets are; NULL: nowhere yet
 * @doors_retry_us: when to open those that could not be opened; 0: all are
 * @last_connection: the number of the newest one
 * @failed:	questions whose askers are not told so yet
 * @awaited:	those that may still hand something back
 * @known_path:	of the file that says who is connected; NULL: none does
 * @gate_closed: nothing is read of consumers yet: berthd does not know what is
 *		wanted
 * @release_until_us: how long consumers_settled() waits for what they release
 * @pinners:	whose connection is over, and who had something
 * @backends:	which backends work
 * @buffer:	for one message at a time
 */
struct consumers {
	struct loop *loop;
	struct consumers_ops ops;
	void *user_data;
	size_t max_draining_per_netns;
	struct loop_timer *timer;
	struct handshakes *handshakes;
	struct consumers_timeouts timeouts;
	const char *log_level; /* of berth-relay; NULL: its own */
	char *dir;
	uint64_t doors_retry_us;
	struct consumer *list;
	uint64_t last_connection;
	struct questions failed;
	struct awaited *awaited;
	char *known_path;
	bool gate_closed;
	uint64_t release_until_us;
	struct pinners pinners;
	struct backends *backends;
	char buffer[CONSUMER_REPLY_MAX];
};

/* consumers_log_level.c */

/** consumer_queue_log_level() - berth-relay is told its level, if it has to
 * have another one than it was started with */
void consumer_queue_log_level(struct consumer_connection *conn);

/* consumers.c: all of them */

/** Connections of one consumer that drain at a time. A program that upgrades
 * itself leaves one; more are there only if it does so while connections that
 * are hours old go on. */
#define CONSUMER_DRAINING_MAX 4

/** How long a connection keeps its listeners, at most, until the one that has
 * taken over from it was sent all of them. That takes some milliseconds, unless
 * the new one does not read. */
#define CONSUMER_KEEPS_US UINT64_C(1000000)

/** consumer_find() - the consumer named @name, or NULL */
struct consumer *consumer_find(const struct consumers *consumers,
			       const char *name);

/** consumer_get() - the consumer named @name, made when missing; NULL: no
 * memory */
struct consumer *consumer_get(struct consumers *consumers, const char *name);

/** consumer_free() - closes what it has, and tells nobody. It must have no
 * delivery, and be taken from the list. */
void consumer_free(struct consumer *consumer);

/** connection_first() - the first connection of all consumers, or NULL */
struct consumer_connection *connection_first(const struct consumers *consumers);

/** connection_next() - the one after @conn; to be asked before @conn ends */
struct consumer_connection *
connection_next(const struct consumer_connection *conn);

/** consumer_watch() - the timer runs when a withdrawal of @conn is to be ended,
 * or was to be released */
void consumer_watch(struct consumer_connection *conn);

/* consumers_questions.c */

/** questions_lost() - the connection is over */
void questions_lost(struct consumer_connection *conn);

/** questions_timeout() - ends those that were not answered in time, or has the
 * timer run when it is time */
void questions_timeout(struct consumer_connection *conn);

/** questions_tell_failed() - tells the askers, from the loop */
void questions_tell_failed(struct consumers *consumers);

/** questions_fmt() - the message that is queued. Return: false: there is none
 * any more. */
bool questions_fmt(struct consumer_connection *conn,
		   char buffer[static CONSUMER_QUESTION_MAX]);

/** questions_answered() - a reply CONNECTIONS or CLOSED came */
void questions_answered(struct consumer_connection *conn,
			struct consumer_reply *reply);

/* consumers_doors.c: where they connect */

/** consumer_init_access() - only we and root may be this consumer */
void consumer_init_access(struct consumer *consumer);

/** consumer_came_or_went() - it has a current connection now, or none any more:
 * tells the owner if that opens or closes listeners */
void consumer_came_or_went(const struct consumer *consumer);

/** consumers_update_doors() - opens and closes sockets, and forgets consumers
 * that nobody names and that have nothing */
void consumers_update_doors(struct consumers *consumers);

/* consumer.c: its connections */

/**
 * consumer_connect() - begins a connection that is welcome
 * @fd:		taken, also on failure
 * @drains:	it is to get no listeners; else the consumer must have no other
 *		connection that gets them
 *
 * Return: 0; -ENOMEM; -errno of epoll_ctl(2).
 */
int consumer_connect(struct consumer *consumer, int fd,
		     const struct consumer_peer *peer, bool drains,
		     struct consumer_connection **ret_conn);

/** consumer_count_draining() - how many connections drain */
size_t consumer_count_draining(const struct consumer *consumer);

/**
 * consumer_retire() - the current connection gets no listener any more
 *
 * It is asked to let go of every listener that it was ever sent, and drains.
 */
void consumer_retire(struct consumer *consumer);

/**
 * consumer_take_over() - has the current connection give way to another
 *
 * It drains. When the other one has all listeners, or CONSUMER_KEEPS_US later,
 * it is told, and asked to let go of every listener that it was ever sent. If
 * there are too many such connections, the oldest ends.
 */
void consumer_take_over(struct consumer *consumer);

/** consumer_free_connection() - ends and frees a connection, and tells nobody
 */
void consumer_free_connection(struct consumer_connection *conn);

/** consumer_close() - ends and frees a connection: what it knew is unknown
 * again */
void consumer_close(struct consumer_connection *conn);

/**
 * consumer_lost() - the connection is over: logs why, closes, tells the owner
 * @error:	positive errno; 0: the consumer closed it
 */
void consumer_lost(struct consumer_connection *conn, int error,
		   const char *what);

/** consumer_pause() - no listener is sent for a while: memory or descriptors
 * are short on either side */
void consumer_pause(struct consumer_connection *conn);

/**
 * consumer_wait() - waits for messages, and for room while @blocked
 * Return: 0 or -errno of epoll_ctl(2).
 */
int consumer_wait(struct consumer_connection *conn);

/* consumer_send.c: what is sent */

/** consumer_step() - sends a bounded number of messages
 * Return: true while more could be sent at once. */
bool consumer_step(struct consumer_connection *conn);

/* delivery.c: how much of each listener is known */

/** delivery_set() - gives it another state, and the place that goes with it */
void delivery_set(struct delivery *delivery, enum delivery_state state);

/** consumer_next_delivery() - the next that @conn is to be told of, or NULL */
struct delivery *consumer_next_delivery(const struct consumer_connection *conn);

/** consumer_delivery() - of the open listener @id; NULL: it does not go to this
 * connection */
struct delivery *consumer_delivery(const struct consumer_connection *conn,
				   uint64_t id);

/**
 * consumer_withdraw_all() - has a connection let go of all that it was sent
 * Return: 0 or -ENOMEM.
 */
int consumer_withdraw_all(struct consumer_connection *conn);
/** consumer_withdraw() - has the consumer told to let go of @listener, which is
 * closed, or is none of berthd's. Return: 0 or -ENOMEM. */
int consumer_withdraw(struct consumer_connection *conn,
		      const struct listener *listener);

/** consumer_forget_deliveries() - nobody has any of the consumer's listeners */
void consumer_forget_deliveries(struct consumer *consumer);

/* hand_back.c */

/** The most listeners that a consumer may hand back: more than a host has. Each
 * may cost a withdrawal, of some hundred bytes. */
#define HAND_BACK_MAX 131072u

/** hand_back_init() - nobody is awaited. Return: 0 or -ENOMEM. */
int hand_back_init(struct consumers *consumers);

/** hand_back_done() - awaits nobody, and writes down nothing any more */
void hand_back_done(struct consumers *consumers);

/**
 * hand_back_begin() - a connection is welcome
 * @n_held:	how many listeners the consumer hands back, HAND_BACK_MAX at
 * most
 *
 * Return: 0; -ENOMEM; -errno of epoll_ctl(2).
 */
int hand_back_begin(struct consumer_connection *conn, uint64_t n_held);

/**
 * hand_back_take() - a listener is handed back: it is adopted, or withdrawn
 * @fd:		taken; -1: none came with it
 *
 * Return: 0; -EPROTO; -ENOMEM.
 */
int hand_back_take(struct consumer_connection *conn,
		   const struct consumer_held *held, int fd);

/** hand_back_netns() - the consumer has sockets of a namespace that an earlier
 * berthd minted. Return: 0; -EPROTO; -ENOMEM. */
int hand_back_netns(struct consumer_connection *conn, uint64_t netns_id);

/** hand_back_waits() - is nothing to be read of the connection yet? */
bool hand_back_waits(const struct consumer_connection *conn);

/** hand_back_goes_on() - is nothing to be given to the connection yet? */
bool hand_back_goes_on(const struct consumer_connection *conn);

/** hand_back_closed() - the connection that got the consumer's listeners is
 * over
 */
void hand_back_closed(const struct consumer *consumer);

/* consumers_pins.c: who keeps the kernel from freeing a namespace */

/** consumer_keep_pins() - the connection is about to end: keeps in mind what
 * the consumer has */
void consumer_keep_pins(const struct consumer_connection *conn);

/** consumer_log_pins() - the consumer did not do what it was told to before
 * @before_us: logs what of */
void consumer_log_pins(const struct consumer_connection *conn,
		       uint64_t before_us);

/* consumers_stats.c */

/**
 * consumer_counted() - a part of an answer to consumers_ask_stats()
 * Return: 0, or -EPROTO.
 */
int consumer_counted(struct consumer_connection *conn,
		     struct consumer_reply *reply);

#endif
