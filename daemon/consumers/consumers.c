// SPDX-License-Identifier: Apache-2.0
/* consumers.c - who serves the listeners: berth-relay and other programs
 *
 * All consumers together: found by name, timed, counted, told that a namespace
 * goes. delivery.c knows what each has of the open listeners, withdrawals.c and
 * consumer_sockets.c what each holds beside them, consumer.c and
 * consumer_send.c speak with one.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/util.h"

#define ORPHAN_TIMEOUT_MS 60000
#define DRAIN_TIMEOUT_MS 300000
#define RELEASE_TIMEOUT_MS 10000

/* As many as a namespace may have listeners, by default. */
#define DRAINING_MAX_PER_NETNS 1024

/* How often it is said that a consumer is short of something, or tells too
 * much. */
#define SHORT_LOG_US (10 * USEC_PER_SEC)

struct consumer *consumer_find(const struct consumers *consumers,
			       const char *name)
{
	struct consumer *consumer;

	LL_FOREACH (consumers->list, consumer) {
		if (strcmp(consumer->name, name) == 0)
			return consumer;
	}
	return NULL;
}

struct consumer *consumer_get(struct consumers *consumers, const char *name)
{
	struct consumer *consumer = consumer_find(consumers, name);

	if (consumer)
		return consumer;
	consumer = malloc(sizeof(*consumer));
	if (!consumer)
		return NULL;
	*consumer = (struct consumer){
		.all = consumers,
		.short_limit = { .interval_us = SHORT_LOG_US, .burst = 1 },
		.backends_limit = { .interval_us = SHORT_LOG_US, .burst = 1 },
	};
	consumer->name = strdup(name);
	if (!consumer->name) {
		free(consumer);
		return NULL;
	}
	consumer_init_access(consumer);
	LL_APPEND(consumers->list, consumer);
	return consumer;
}

void consumer_free(struct consumer *consumer)
{
	assert(!consumer->queue && !consumer->done);
	while (consumer->connections)
		consumer_free_connection(consumer->connections);
	door_free(consumer->door);
	free(consumer->name);
	free(consumer);
}

struct consumer_connection *connection_first(const struct consumers *consumers)
{
	const struct consumer *consumer;

	LL_FOREACH (consumers->list, consumer) {
		if (consumer->connections)
			return consumer->connections;
	}
	return NULL;
}

struct consumer_connection *
connection_next(const struct consumer_connection *conn)
{
	const struct consumer *consumer = conn->consumer->next;

	if (conn->next)
		return conn->next;
	for (; consumer; consumer = consumer->next) {
		if (consumer->connections)
			return consumer->connections;
	}
	return NULL;
}

bool consumers_step(struct consumers *consumers)
{
	struct consumer_connection *conn, *next;
	bool left = false;

	/* Those that get listeners first: others wait until they have them. */
	for (int draining = 0; draining < 2; draining++) {
		for (conn = connection_first(consumers); conn; conn = next) {
			next = connection_next(conn);
			if ((conn != conn->consumer->current) == draining)
				left = consumer_step(conn) || left;
		}
	}
	return left;
}

/* Since when does the consumer not let go of what it has of a namespace that is
 * gone? 0: it has nothing of one. */
static uint64_t oldest_abort_us(const struct consumer_connection *conn)
{
	uint64_t sockets_us = consumer_sockets_oldest_us(&conn->sockets);
	uint64_t oldest_us = withdrawals_oldest_us(&conn->withdrawals);

	if (oldest_us == 0 || (sockets_us && sockets_us < oldest_us))
		oldest_us = sockets_us;
	return oldest_us;
}

/* How long it may do so. */
static uint64_t release_timeout_us(const struct consumers *consumers)
{
	return consumers->timeouts.release_ms * USEC_PER_MSEC;
}

void consumer_watch(struct consumer_connection *conn)
{
	const struct consumers *consumers = conn->consumer->all;
	struct loop_timer *timer = consumers->timer;
	uint64_t due_us = withdrawals_due_us(&conn->withdrawals);
	uint64_t oldest_us = withdrawals_oldest_us(&conn->withdrawals);

	if (due_us)
		loop_timer_set_earlier(timer, due_us);
	if (oldest_us)
		loop_timer_set_earlier(
			timer, oldest_us + release_timeout_us(consumers));
}

/* A consumer that does not let go of a dead namespace keeps the kernel from
 * freeing it, and one that does not let go of what drained has no bound. So its
 * connection is ended, and the owner, who is told, ends the process. */
static void consumer_timeout(struct consumer_connection *conn)
{
	const struct consumers *consumers = conn->consumer->all;
	struct loop_timer *timer = consumers->timer;
	uint64_t timeout_us = release_timeout_us(consumers);
	uint64_t now_us = monotonic_us();
	uint64_t oldest_us;

	if (conn->pause_until_us > now_us)
		loop_timer_set_earlier(timer, conn->pause_until_us);
	if (conn->taken_over_queued &&
	    conn->draining_since_us + CONSUMER_KEEPS_US > now_us)
		loop_timer_set_earlier(timer, conn->draining_since_us +
						      CONSUMER_KEEPS_US);
	(void)withdrawals_end_due(&conn->withdrawals, now_us);
	consumer_watch(conn);
	oldest_us = oldest_abort_us(conn);
	if (!oldest_us)
		return;
	if (oldest_us + timeout_us > now_us) {
		loop_timer_set_earlier(timer, oldest_us + timeout_us);
		return;
	}
	consumer_log_pins(conn, now_us - timeout_us);
	consumer_lost(conn, ETIMEDOUT,
		      "does not let go of what it was told to");
}

static void consumers_timeout(void *user_data)
{
	struct consumers *consumers = user_data;
	struct consumer_connection *conn = connection_first(consumers), *next;

	for (; conn; conn = next) {
		next = connection_next(conn);
		questions_timeout(conn);
		consumer_timeout(conn);
	}
	questions_tell_failed(consumers);
	if (!consumers->doors_retry_us)
		return;
	if (consumers->doors_retry_us <= loop_now_us(consumers->loop))
		consumers_update_doors(consumers);
	else
		loop_timer_set_earlier(consumers->timer,
				       consumers->doors_retry_us);
}

static void consumer_welcome(struct consumer *consumer, int fd,
			     const struct consumer_peer *peer,
			     const struct consumer_hello *hello)
{
	const struct consumers_timeouts *timeouts = &consumer->all->timeouts;
	_cleanup_free_ char *text = consumer_welcome_text(
		consumer->name, timeouts->orphan_ms, timeouts->drain_ms);
	struct consumer_connection *conn = NULL;
	int r = text ? consumer_message_send(fd, text, -1) : -ENOMEM;

	if (r == 0)
		r = consumer_connect(consumer, TAKE_FD(fd), peer,
				     hello->draining, &conn);
	if (r == 0) {
		r = hand_back_begin(conn, hello->held);
		if (r < 0)
			consumer_close(conn);
	}
	if (fd >= 0)
		close_unread(fd);
	if (r < 0) {
		log_warning_errno(r, "consumer '%s' (pid %d): cannot begin",
				  consumer->name, peer->pid);
		consumer_came_or_went(consumer);
	} else {
		log_info("consumer '%s' is here%s: '%s', pid %d, uid %u",
			 consumer->name,
			 hello->draining ? ", and only drains" : "", peer->name,
			 peer->pid, peer->uid);
		consumer->all->ops.came(consumer->name, peer->pid,
					consumer->all->user_data);
	}
}

/* May this process not be the consumer now? One that hands listeners back may:
 * it has them, and whoever is connected gets them from it. */
static bool consumer_is_busy(const struct consumer *consumer,
			     const struct consumer_peer *peer,
			     const struct consumer_hello *hello)
{
	pid_t pid = awaited_pid(consumer->all->awaited, consumer->name);

	if (hello->held > 0 || hello->draining)
		return false;
	/* Another one that is not back yet has the listeners. */
	if (!consumer->current && pid)
		return pid != peer->pid;
	return consumer->current && !hello->takeover;
}

static void consumer_busy(const struct consumer *consumer, int fd)
{
	char error[128];

	if (consumer->current)
		(void)snprintf(error, sizeof(error),
			       "pid %d (uid %u) is connected as this consumer, "
			       "and has its listeners",
			       consumer->current->peer.pid,
			       consumer->current->peer.uid); /* fits */
	else
		(void)snprintf(error, sizeof(error),
			       "pid %d has the listeners of this consumer from "
			       "an earlier berthd, and is waited for",
			       awaited_pid(consumer->all->awaited,
					   consumer->name)); /* fits */
	log_debug("consumer '%s': denied: %s", consumer->name, error);
	handshake_deny(fd, DENIAL_BUSY, error);
}

static void consumer_said_hello(const char *name, int fd,
				const struct consumer_peer *peer,
				const struct consumer_hello *hello,
				void *user_data)
{
	struct consumers *consumers = user_data;
	struct consumer *consumer = consumer_get(consumers, name);
	/* Whoever only drains gets nothing, so its process does not matter. */
	const char *refusal =
		hello->draining ? NULL
				: consumers->ops.refusal(name, peer->pid,
							 consumers->user_data);

	if (!consumer) {
		close_unread(fd);
		return;
	}
	/* It may have connected before the configuration changed. */
	if (!refusal &&
	    !socket_access_allows(&consumer->access, fd, peer->uid, peer->gid))
		refusal = "this user may not be the consumer any more";
	if (refusal) {
		log_debug("consumer '%s': pid %d (uid %u) is denied: %s", name,
			  peer->pid, peer->uid, refusal);
		handshake_deny(fd, DENIAL_PERMISSION, refusal);
		return;
	}
	if (consumer_is_busy(consumer, peer, hello)) {
		consumer_busy(consumer, fd);
		return;
	}
	if (hello->held > HAND_BACK_MAX) {
		handshake_deny(
			fd, DENIAL_LIMIT,
			"it hands back more listeners than there may be");
		return;
	}
	if (hello->draining &&
	    consumer_count_draining(consumer) >= CONSUMER_DRAINING_MAX) {
		handshake_deny(fd, DENIAL_LIMIT,
			       "too many connections of this consumer drain");
		return;
	}
	if (consumer->current && !hello->draining) {
		log_info("consumer '%s': pid %d takes over from pid %d",
			 consumer->name, peer->pid,
			 consumer->current->peer.pid);
		consumer_take_over(consumer);
	}
	consumer_welcome(consumer, fd, peer, hello);
}

static void backend_changed(const struct backend_status *status,
			    void *user_data)
{
	struct consumers *consumers = user_data;

	if (consumers->ops.backend_changed)
		consumers->ops.backend_changed(status, consumers->user_data);
}

const struct backends *consumers_backends(const struct consumers *consumers)
{
	return consumers->backends;
}

int consumers_new(struct loop *loop, const struct consumers_ops *ops,
		  void *user_data, struct consumers **ret_consumers)
{
	static const struct handshakes_ops handshakes_ops = {
		.hello = consumer_said_hello,
	};
	static const struct backends_ops backends_ops = {
		.changed = backend_changed,
	};
	struct consumers *consumers = malloc(sizeof(*consumers));
	int r;

	if (!consumers)
		return -ENOMEM;
	/* The members are set one by one, so that the buffer takes no memory
	 * before it is used. */
	consumers->loop = loop;
	consumers->timer = NULL;
	consumers->ops = *ops;
	consumers->user_data = user_data;
	consumers->list = NULL;
	consumers->last_connection = 0;
	consumers->failed = (struct questions){ .list = NULL };
	consumers->handshakes = NULL;
	consumers->max_draining_per_netns = DRAINING_MAX_PER_NETNS;
	consumers->dir = NULL;
	consumers->doors_retry_us = 0;
	consumers->awaited = NULL;
	consumers->known_path = NULL;
	consumers->log_level = NULL;
	consumers->gate_closed = false;
	consumers->release_until_us = 0;
	consumers->pinners = (struct pinners){ .n = 0 };
	consumers->backends = backends_new(&backends_ops, consumers);
	consumers->timeouts = (struct consumers_timeouts){
		.orphan_ms = ORPHAN_TIMEOUT_MS,
		.drain_ms = DRAIN_TIMEOUT_MS,
		.release_ms = RELEASE_TIMEOUT_MS,
	};
	r = consumers->backends ? 0 : -ENOMEM;
	if (r == 0)
		r = loop_timer_new(loop, consumers_timeout, consumers,
				   &consumers->timer);
	if (r == 0)
		r = handshakes_new(loop, &handshakes_ops, consumers,
				   &consumers->handshakes);
	if (r == 0)
		r = hand_back_init(consumers);
	if (r < 0) {
		handshakes_free(consumers->handshakes);
		loop_timer_free(consumers->timer);
		backends_free(consumers->backends);
		free(consumers);
		return r;
	}
	*ret_consumers = consumers;
	return 0;
}

struct consumers *consumers_free(struct consumers *consumers)
{
	struct consumer *consumer, *tmp;

	if (!consumers)
		return NULL;
	/* The next berthd is to know who is connected now. */
	hand_back_done(consumers);
	consumers->known_path = NULL;
	/* The binder closed all listeners before. */
	LL_FOREACH_SAFE (consumers->list, consumer, tmp)
		consumer_free(consumer);
	pinners_done(&consumers->pinners);
	handshakes_free(consumers->handshakes);
	free(consumers->dir);
	loop_timer_free(consumers->timer);
	backends_free(consumers->backends);
	free(consumers);
	return NULL;
}

void consumers_set_timeouts(struct consumers *consumers,
			    const struct consumers_timeouts *timeouts)
{
	consumers->timeouts = *timeouts;
	/* Some may be late at once. */
	loop_timer_set_earlier(consumers->timer, loop_now_us(consumers->loop));
}

int consumers_attach(struct consumers *consumers, const char *name, int fd,
		     pid_t pid)
{
	const struct consumer *consumer = consumer_get(consumers, name);
	const struct consumer_peer peer = {
		.pid = pid,
		.uid = geteuid(),
		.gid = getegid(),
	};

	if (!consumer) {
		close_unread(fd);
		return -ENOMEM;
	}
	if (consumer->current)
		consumer_close(consumer->current);
	return handshakes_add(consumers->handshakes, name, fd, &peer);
}

void consumers_netns_gone(struct consumers *consumers, uint64_t netns_id)
{
	struct consumer_connection *conn;
	uint64_t now_us = monotonic_us();
	bool told = false;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		told |= consumer_sockets_netns_gone(&conn->sockets, netns_id,
						    now_us);
		told |= withdrawals_netns_gone(&conn->withdrawals, netns_id,
					       now_us);
	}
	if (told)
		loop_timer_set_earlier(consumers->timer,
				       now_us + release_timeout_us(consumers));
}

size_t consumers_count(const struct consumers *consumers)
{
	struct consumer *consumer;
	size_t n;

	LL_COUNT(consumers->list, consumer, n);
	return n;
}

void consumers_get_info(const struct consumers *consumers, size_t index,
			struct consumer_info *ret_info)
{
	const struct consumer *consumer = consumers->list;
	const struct consumer_connection *conn;

	while (index-- > 0)
		consumer = consumer->next;
	*ret_info = (struct consumer_info){
		.name = consumer->name,
		.connected = consumer->current != NULL,
		.delivered = consumer->n_done,
		.undelivered = consumer->n_queue,
		.close_when_absent = consumer->close_when_absent,
	};
	if (consumer->current)
		ret_info->pid = consumer->current->peer.pid;
	DL_FOREACH (consumer->connections, conn) {
		ret_info->withdrawn += withdrawals_count(&conn->withdrawals);
		ret_info->silent |= conn->stats.since_us != 0;
	}
}

bool consumers_connection_info(const struct consumers *consumers, size_t index,
			       size_t n,
			       struct consumer_connection_info *ret_info)
{
	const struct consumer *consumer = consumers->list;
	const struct consumer_connection *conn;

	while (index-- > 0)
		consumer = consumer->next;
	conn = consumer->connections;
	while (conn && n-- > 0)
		conn = conn->next;
	if (!conn)
		return false;
	*ret_info = (struct consumer_connection_info){
		.peer = &conn->peer,
		.since_us = conn->since_us,
		.draining_since_us = conn->draining_since_us,
		.withdrawn = withdrawals_count(&conn->withdrawals),
		.overdue = withdrawals_ended(&conn->withdrawals) +
			   consumer_sockets_due(&conn->sockets),
	};
	return true;
}

bool consumers_connected(const struct consumers *consumers, const char *name,
			 pid_t pid)
{
	const struct consumer *consumer = consumer_find(consumers, name);
	const struct consumer_connection *conn = NULL;

	if (consumer)
		DL_SEARCH_SCALAR(consumer->connections, conn, peer.pid, pid);
	return conn != NULL;
}

bool consumers_given(const struct listener *listener)
{
	const struct delivery *delivery = listener->user_data;

	return delivery && delivery->given;
}

bool consumers_delivered(const struct listener *listener)
{
	const struct delivery *delivery = listener->user_data;

	return delivery && delivery->state == DELIVERY_DONE;
}

const char *consumers_holder(const struct consumers *consumers,
			     uint64_t netns_id, const struct endpoint *endpoint)
{
	const struct consumer_connection *conn;
	const struct withdrawal *withdrawal;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		withdrawal = withdrawals_of(&conn->withdrawals, netns_id);
		for (; withdrawal; withdrawal = withdrawal->netns_next) {
			if (endpoint_conflict(&withdrawal->endpoint, endpoint))
				return conn->consumer->name;
		}
	}
	return NULL;
}

size_t consumers_holds(const struct consumers *consumers, uint64_t netns_id)
{
	const struct consumer_connection *conn;
	const struct withdrawal *withdrawal;
	uint64_t due_us;
	size_t n = 0;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		n += consumer_sockets_hold(&conn->sockets, netns_id, &due_us);
		withdrawal = withdrawals_of(&conn->withdrawals, netns_id);
		for (; withdrawal; withdrawal = withdrawal->netns_next)
			n++;
	}
	return n;
}
