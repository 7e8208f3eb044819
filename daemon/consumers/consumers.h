/* SPDX-License-Identifier: Apache-2.0 */
/* consumers.h - who serves the listeners: berth-relay and other programs
 *
 * doc/consumer-protocol.md is the protocol. What a consumer does not have yet
 * is derived from the table of listeners, never queued as messages.
 */
#ifndef DAEMON_CONSUMERS_CONSUMERS_H
#define DAEMON_CONSUMERS_CONSUMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/protocol.h"
#include "daemon/consumers/pins.h"

struct backend_status;
struct backends;
struct berth_counts;
struct consumer_config;
struct consumer_peer;
struct consumers;
struct endpoint;
struct netns;
struct ruleset;
struct socket_request;

/**
 * struct consumer_count - what one connection counted of a listener
 * @id:		of the listener, which has or had @service
 * @protocol:	of the listener
 * @connection:	a number; a consumer that was taken over and the one that took
 *		over both count for the same listener
 * @final:	the listener is released, and no more will come
 */
struct consumer_count {
	uint64_t id;
	uint64_t connection;
	enum protocol protocol;
	struct service *service;
	const struct berth_counts *counts;
	bool final;
};

/**
 * struct consumers_ops - what the consumers' owner provides
 * @find_netns:	the namespace of a listener, for its names; may return NULL
 * @label_netns: what a namespace is called, or was before it lost its last
 *name; may return NULL
 * @find_listener: the open listener with that id; may return NULL
 * @released:	a consumer let go of a listener of that namespace: its port may
 *		be free for another one now
 * @counted:	what a consumer counted of a listener. Return: 0 or -ENOMEM.
 * @ended:	the connection of that number is over
 * @stats_changed: consumers_stats_waiting() may be less now
 * @mint:	a socket for a backend of a listener, see consumer_mint_t
 * @presence:	a consumer whose listeners are closed while nobody is connected
 *		has come or gone, or is not awaited any more:
 *		consumers_closed() may say otherwise now
 * @hand_back:	as binder_hand_back(). It calls consumers_listener_opened(), if
 *it adopts the listener
 * @not_awaited: consumers_awaits() may be false now for some consumer
 * @came:	process @pid is connected as the consumer
 * @lost:	a consumer's connection ended, or was ended because it did not
 *		let go of a namespace in time; @pid is its process, @what
 *		happened is text for people, borrowed
 * @refusal:	why process @pid may not be the consumer, for people; NULL: it
 *		may
 * @backend_changed: as @changed of struct backends_ops
 */
struct consumers_ops {
	const struct netns *(*find_netns)(uint64_t netns_id, void *user_data);
	const char *(*label_netns)(uint64_t netns_id, void *user_data);
	struct listener *(*find_listener)(uint64_t id, void *user_data);
	void (*released)(uint64_t netns_id, void *user_data);
	int (*counted)(const struct consumer_count *count, void *user_data);
	void (*ended)(uint64_t connection, void *user_data);
	void (*stats_changed)(void *user_data);
	int (*mint)(const struct listener *listener,
		    const struct socket_request *request, int *ret_fd,
		    uint64_t *ret_netns_id, void *user_data);
	void (*presence)(void *user_data);
	int (*hand_back)(struct handed_back *handed_back, int fd,
			 const char **ret_reason, void *user_data);
	void (*not_awaited)(void *user_data);
	void (*came)(const char *consumer, pid_t pid, void *user_data);
	void (*lost)(const char *consumer, pid_t pid, const char *what,
		     void *user_data);
	const char *(*refusal)(const char *consumer, pid_t pid,
			       void *user_data);
	void (*backend_changed)(const struct backend_status *status,
				void *user_data);
};

/**
 * consumers_new() - nobody is connected yet
 * @ops:	copied
 *
 * Return: 0 or -ENOMEM.
 */
int consumers_new(struct loop *loop, const struct consumers_ops *ops,
		  void *user_data, struct consumers **ret_consumers);

/**
 * consumers_set_log_level() - berth-relay logs so much from now on, and each
 * one that connects later; other consumers are their own masters
 *
 * Return: is one connected, which is told soon?
 */
bool consumers_set_log_level(struct consumers *consumers, enum log_level level);

/** consumers_free() - closes all connections; to be called when the binder has
 * closed every listener. NULL is fine. Returns NULL. */
struct consumers *consumers_free(struct consumers *consumers);

/**
 * consumers_configure() - sets the entries of the configuration, all of them
 * @list:	borrowed for the call
 *
 * A consumer without an entry has a socket that only root and our own user may
 * use. Sockets change at once. A connection stays, unless its user may not be
 * the consumer any more: then it has to let go, as if another had taken over.
 * Return: 0; -ENOMEM: some have no socket.
 */
int consumers_configure(struct consumers *consumers,
			const struct consumer_config *list, size_t n);

/** consumers_closed() - are the listeners of this consumer to be closed,
 * because nobody is connected and the configuration says so? Not while it may
 * still hand back what it has. */
bool consumers_closed(const struct consumers *consumers, const char *name);

/**
 * consumers_set_rules() - another ruleset is in force: the consumers that it
 * names have a socket, and what was told of backends of other rules is
 * forgotten
 *
 * Return: 0; -ENOMEM: some have none.
 */
int consumers_set_rules(struct consumers *consumers,
			const struct ruleset *ruleset);

/** consumers_backends() - which backends work, as consumers tell; borrowed, see
 * backends.h */
const struct backends *consumers_backends(const struct consumers *consumers);

/**
 * consumers_open_doors() - makes the directory RUNTIME_DIR/consumers; from now
 * on consumers may connect there
 * Return: 0; -ENOMEM; as doors_dir_make(). A socket that cannot be opened is
 * logged and tried again.
 */
int consumers_open_doors(struct consumers *consumers, const char *runtime_dir);

/**
 * struct consumers_timeouts - in milliseconds
 * @orphan_ms:	when consumers without berthd let go of everything; they are
 *		told
 * @drain_ms:	when connections end whose listener is withdrawn; they are told
 * @release_ms:	how long a consumer may take to let go of what a dead namespace
 *		needs freed, before its connection is ended
 */
struct consumers_timeouts {
	uint64_t orphan_ms;
	uint64_t drain_ms;
	uint64_t release_ms;
};

/** consumers_set_timeouts() - for those that connect, and for listeners that
 * are withdrawn, from now on; @release_ms also for those that were */
void consumers_set_timeouts(struct consumers *consumers,
			    const struct consumers_timeouts *timeouts);

/**
 * consumers_attach() - gives consumer @name a connection that we made
 * @fd:		SOCK_SEQPACKET, non-blocking; taken, also on failure
 * @pid:	of the peer, for status
 *
 * An earlier connection ends, untold. When the peer has said hello every open
 * listener of @name is delivered.
 * Return: 0; -ENOMEM; -errno of epoll_ctl(2).
 */
int consumers_attach(struct consumers *consumers, const char *name, int fd,
		     pid_t pid);

/**
 * consumers_remember() - waits for those of an earlier berthd, and writes down
 * who is connected
 * @path:	of the file
 *
 * From now on nothing is read of consumers until consumers_take_back().
 * Return: 0 or -ENOMEM.
 */
int consumers_remember(struct consumers *consumers, const char *path);

/** consumers_take_back() - all namespaces are known, and planned: what
 * consumers hand back is read from now on */
void consumers_take_back(struct consumers *consumers);

/** consumers_awaits() - may the consumer @name still hand back what it has? */
bool consumers_awaits(const struct consumers *consumers, const char *name);

/** consumers_settled() - has everybody handed back what they had, and let go of
 * what is not wanted, or had the time to? */
bool consumers_settled(const struct consumers *consumers);

/* From the binder; see struct binder_ops. */

/** consumers_listener_opened() - from the binder: @listener is to be delivered
 * to its consumer */
void consumers_listener_opened(struct consumers *consumers,
			       struct listener *listener);

/** consumers_listener_changed() - from the binder: the consumer of @listener is
 * to be told what is different now; if its service names another consumer, it
 * is withdrawn from the one and delivered to the other */
void consumers_listener_changed(struct consumers *consumers,
				struct listener *listener);

/** consumers_listener_closing() - from the binder: @listener is withdrawn from
 * its consumer; the struct is not used after this call */
void consumers_listener_closing(struct consumers *consumers,
				struct listener *listener);

/**
 * consumers_netns_gone() - the namespace goes: connections born in it must too
 *
 * To be called after its listeners were closed. Everything of it that a
 * consumer was asked to let go, now or earlier, is asked for with `abort`; and
 * sockets that consumers got in there for backends are asked back.
 */
void consumers_netns_gone(struct consumers *consumers, uint64_t netns_id);

/** consumers_netns_freed() - the kernel has freed the namespace: nobody has
 * anything of it any more */
void consumers_netns_freed(struct consumers *consumers, uint64_t netns_id);

/**
 * consumers_step() - sends a bounded slice of what is not delivered yet
 * Return: true while a further call would send more at once.
 */
bool consumers_step(struct consumers *consumers);

/**
 * consumers_ask_stats() - asks every consumer what it counted
 * @request:	never used before
 *
 * Answers come through @counted. A consumer that did not answer the last
 * request is not asked again before it answers; or, if it ever answered one,
 * before a while is over. So a consumer that is stuck, or does not know the
 * message, has one message to read, and is waited for once.
 */
void consumers_ask_stats(struct consumers *consumers, uint64_t request);

/** consumers_stats_waiting() - how many of those that were asked did not answer
 * @request in full, and still may */
size_t consumers_stats_waiting(const struct consumers *consumers,
			       uint64_t request);

/** consumers_is_silent() - is the connection of that number asked what it
 * counted, and did not answer? */
bool consumers_is_silent(const struct consumers *consumers,
			 uint64_t connection);

/** struct consumer_info - for status
 * @pid:	0: not connected
 * @delivered:	listeners it has
 * @undelivered: listeners it does not have yet
 * @withdrawn:	listeners taken away whose release it has not confirmed
 * @close_when_absent: its listeners are closed while nobody is connected
 * @silent:	it did not answer the last request for its counts
 */
struct consumer_info {
	const char *name;
	bool connected;
	pid_t pid;
	size_t delivered;
	size_t undelivered;
	size_t withdrawn;
	bool close_when_absent;
	bool silent;
};

/** consumers_count() - how many consumers there are, those that are not
 * connected now included */
size_t consumers_count(const struct consumers *consumers);

/** consumers_get_info() - describes one consumer, @index below
 * consumers_count(); its name is borrowed */
void consumers_get_info(const struct consumers *consumers, size_t index,
			struct consumer_info *ret_info);

/**
 * struct consumer_connection_info - for status
 * @peer:	borrowed
 * @draining_since_us: 0: it gets the listeners
 * @withdrawn:	listeners taken away whose release it has not confirmed
 * @overdue:	those of them that it was to release at once, and namespaces of
 *		which it was to close sockets for backends at once
 */
struct consumer_connection_info {
	const struct consumer_peer *peer;
	uint64_t since_us;
	uint64_t draining_since_us;
	size_t withdrawn;
	size_t overdue;
};

/**
 * consumers_connection_info() - describes one connection of a consumer
 * @index:	of the consumer
 * @n:		of the connection, from 0
 * Return: is there one?
 */
bool consumers_connection_info(const struct consumers *consumers, size_t index,
			       size_t n,
			       struct consumer_connection_info *ret_info);

/** consumers_connected() - is process @pid connected as the consumer @name? */
bool consumers_connected(const struct consumers *consumers, const char *name,
			 pid_t pid);

/**
 * consumers_end() - berthd ends, and with it all that is served
 *
 * Nobody can connect any more. Every consumer is told to reset what it has, by
 * a withdrawal of each listener. The listeners themselves stay open.
 */
void consumers_end(struct consumers *consumers);

/** consumers_hold() - has any consumer something that it was told to let go
 * of? */
bool consumers_hold(const struct consumers *consumers);

/** consumers_given() - has its consumer, or had it, the socket of this open
 * listener? */
bool consumers_given(const struct listener *listener);

/** consumers_delivered() - does its consumer have this listener? */
bool consumers_delivered(const struct listener *listener);

/**
 * consumers_holder() - finds a consumer that holds a withdrawn listener of
 * @netns_id, beside which @endpoint cannot be opened
 * Return: the consumer's name, borrowed, or NULL.
 */
const char *consumers_holder(const struct consumers *consumers,
			     uint64_t netns_id,
			     const struct endpoint *endpoint);

/**
 * struct consumer_draining - a listener that is closed, and that a consumer
 * still holds; everything is borrowed
 * @pid:	of the consumer
 * @since_us:	when it was withdrawn; monotonic
 * @ends_us:	until when its connections may finish; 0: the consumer was told
 *		to reset them
 */
struct consumer_draining {
	uint64_t id;
	uint64_t netns_id;
	const struct endpoint *endpoint;
	const struct service *service;
	pid_t pid;
	uint64_t since_us;
	uint64_t ends_us;
};

/** consumers_draining_t - is told one. Return: 0 to go on. */
typedef int (*consumers_draining_t)(const struct consumer_draining *info,
				    void *user_data);

/**
 * consumers_each_draining() - all of one namespace, or with @netns_id 0 of all
 * Return: 0, or what @handler returned.
 */
int consumers_each_draining(const struct consumers *consumers,
			    uint64_t netns_id, consumers_draining_t handler,
			    void *user_data);

/** consumers_find_draining() - the listener @id that process @pid holds.
 * Return: does it? */
bool consumers_find_draining(const struct consumers *consumers, uint64_t id,
			     pid_t pid, struct consumer_draining *ret_info);

/**
 * consumers_end_draining() - connections of listeners that drain are reset now
 * @rule:	listeners of all rules of this name; NULL: the listener @id
 * Return: of how many listeners that drained.
 */
size_t consumers_end_draining(struct consumers *consumers, const char *rule,
			      uint64_t id);

/** consumers_holds() - how many withdrawn listeners of @netns_id some consumer
 * has not confirmed to have released; and one more for each that may have other
 * sockets in there */
size_t consumers_holds(const struct consumers *consumers, uint64_t netns_id);

/** How many consumers consumers_pins() names for one namespace. */
#define CONSUMER_PINS_MAX 8

/**
 * struct consumer_pin - what a consumer's process has, or had, of a namespace
 * @peer:	who it is; borrowed, as @consumer
 * @ended_us:	since when its connection is over, so that it cannot be asked;
 *		0: it is connected
 * @alive:	the process exists
 */
struct consumer_pin {
	const char *consumer;
	const struct consumer_peer *peer;
	uint64_t ended_us;
	bool alive;
	struct pin pin;
};

/**
 * consumers_pins() - lists who has something of a namespace, or had when its
 * connection ended
 * @ret_list:	of CONSUMER_PINS_MAX
 *
 * A process that ended is named only if it did not do what it was told before:
 * another may have its descriptors.
 * Return: how many.
 */
size_t consumers_pins(const struct consumers *consumers, uint64_t netns_id,
		      struct consumer_pin *ret_list);

#endif
