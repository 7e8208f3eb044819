// SPDX-License-Identifier: Apache-2.0
/* hand_back.c - what consumers have from before berthd, or their connection
 *
 * Theory of operation: a consumer that lost its connection still has listeners.
 * Its hello says how many, and before it is given anything it hands each back.
 * Each is decided the moment it is read: the binder adopts the socket, and the
 * consumer is sent the listener's members again; or it is refused, and there is
 * a withdrawal. Nothing is kept meanwhile, so a consumer cannot make berthd
 * hold descriptors that nobody wants.
 *
 * A berthd that was just started cannot decide before it knows all namespaces,
 * and what the rules want in them. Until then nothing is read of consumers:
 * what they hand back waits in their own sockets. Rows that a consumer serves
 * that may still hand something back wait in the binder (awaited.h), those of
 * others are opened at once.
 *
 * Who is connected or awaited stands in a file, so that the next berthd knows
 * for whom to wait.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/netns.h"
#include "common/service.h"
#include "common/util.h"

/* After the first pass READY waits this long for consumers to let go of what is
 * not wanted any more, so that what takes its place is open by then. */
#define RELEASE_US USEC_PER_SEC

static struct log_ratelimit refused_limit = { .interval_us = 10 * USEC_PER_SEC,
					      .burst = 5 };

static struct service *service_of(const char *consumer, const char *rule)
{
	struct service *service = service_new();

	if (!service)
		return NULL;
	/* Without a file it stands for the first rule of that name. */
	service->rule = strdup(rule);
	service->file = strdup("");
	service->consumer = strdup(consumer);
	if (service->rule && service->file && service->consumer)
		return service;
	return service_unref(service);
}

/* Has the consumer let go of what it holds, for @reason; NULL: it asks for no
 * more. Return: 0, -EPROTO, -ENOMEM. */
static int withdraw(struct consumer_connection *conn,
		    const struct consumer_held *held, const char *reason)
{
	struct consumers *consumers = conn->consumer->all;
	struct listener listener = {
		.id = held->claim.id,
		.netns_id = held->claim.netns_id,
		.endpoint = held->claim.endpoint,
		.fd = -1,
	};
	int r;

	if (withdrawals_find(&conn->withdrawals, listener.id) ||
	    consumer_delivery(conn, listener.id))
		return -EPROTO; /* it says the same id twice */
	listener.service = service_of(conn->consumer->name, held->rule);
	if (!listener.service)
		return -ENOMEM;
	r = consumer_withdraw(conn, &listener);
	service_unref(listener.service);
	if (r == 0 && reason)
		withdrawals_explain(&conn->withdrawals, listener.id, reason);
	if (r == 0 &&
	    !consumers->ops.find_netns(listener.netns_id, consumers->user_data))
		consumers_netns_gone(consumers, listener.netns_id);
	return r;
}

static void log_refused(const struct consumer_connection *conn,
			const struct consumer_held *held, const char *reason)
{
	char endpoint[ENDPOINT_TEXT_MAX];

	if (log_ratelimit_ok(&refused_limit))
		log_info("consumer '%s': %s, which it hands back, is not "
			 "taken: %s; withdrawing it",
			 conn->consumer->name,
			 endpoint_fmt(&held->claim.endpoint, endpoint), reason);
}

/* Another connection has taken over before this one had handed back
 * everything: that one gets the listener, and this one lets go of it. Return:
 * 0, -EPROTO, -ENOMEM. */
static int pass_on(struct consumer_connection *conn,
		   const struct consumer_held *held)
{
	const struct consumers *consumers = conn->consumer->all;
	const struct listener *listener = consumers->ops.find_listener(
		held->claim.id, consumers->user_data);
	struct delivery *delivery = listener ? listener->user_data : NULL;

	if (!delivery)
		return -ENOMEM;
	delivery->given = true;
	return withdraw(conn, held, /* reason= */ NULL);
}

/* Decides on one listener. Return: 0, -EPROTO, -ENOMEM. */
static int take(struct consumer_connection *conn,
		const struct consumer_held *held, int fd)
{
	struct consumers *consumers = conn->consumer->all;
	struct handed_back back = {
		.claim = held->claim,
		.consumer = conn->consumer->name,
	};
	const char *reason = "its descriptor did not arrive";
	struct delivery *delivery;
	int r = -EBADF;

	if (withdrawals_find(&conn->withdrawals, held->claim.id)) {
		if (fd >= 0)
			close_foreign(fd);
		return -EPROTO;
	}
	if (fd >= 0)
		r = consumers->ops.hand_back(&back, fd, &reason,
					     consumers->user_data);
	if (r < 0) {
		log_refused(conn, held, reason);
		return withdraw(conn, held, reason);
	}
	if (conn->consumer->current != conn)
		return pass_on(conn, held);
	delivery = consumer_delivery(conn, held->claim.id);
	if (!delivery || delivery->sent)
		return delivery ? -EPROTO : -ENOMEM;
	delivery_set(delivery, DELIVERY_STALE);
	delivery->sent = true;
	delivery->given = true;
	return 0;
}

/* Nobody waits for what those have that only drain. */
static bool somebody_hands_back(const struct consumer *consumer)
{
	const struct consumer_connection *conn;

	DL_FOREACH (consumer->connections, conn) {
		if (conn->held_left > 0 && !conn->only_drains)
			return true;
	}
	return false;
}

static void await_no_longer(const struct consumer *consumer)
{
	if (!somebody_hands_back(consumer))
		awaited_end(consumer->all->awaited, consumer->name);
}

int hand_back_take(struct consumer_connection *conn,
		   const struct consumer_held *held, int fd)
{
	int r;

	if (conn->held_left == 0) {
		if (fd >= 0)
			close_foreign(fd);
		return -EPROTO;
	}
	conn->held_left--;
	if (held->draining || conn->only_drains) {
		if (fd >= 0)
			close_foreign(fd);
		r = withdraw(conn, held, /* reason= */ NULL);
	} else {
		r = take(conn, held, fd);
	}
	if (conn->held_left == 0 && !conn->only_drains)
		await_no_longer(conn->consumer);
	return r;
}

int hand_back_netns(struct consumer_connection *conn, uint64_t netns_id)
{
	struct consumers *consumers = conn->consumer->all;
	int r = consumer_sockets_have(&conn->sockets, netns_id);

	if (r == 0 &&
	    !consumers->ops.find_netns(netns_id, consumers->user_data))
		consumers_netns_gone(consumers, netns_id);
	return r;
}

bool hand_back_waits(const struct consumer_connection *conn)
{
	return conn->consumer->all->gate_closed;
}

/* Writes down who is connected, or may still have something: berthd may be
 * killed before they are back, and the next one has to wait for them. */
static void remember(const struct consumers *consumers)
{
	_cleanup_free_ struct known_consumer *list =
		calloc(KNOWN_MAX, sizeof(*list));
	const struct consumer *consumer;
	size_t n = 0;
	int r = list ? 0 : -ENOMEM;

	if (!consumers->known_path)
		return;
	for (consumer = consumers->list; list && consumer && n < KNOWN_MAX;
	     consumer = consumer->next) {
		if (!consumer->current ||
		    (size_t)snprintf(list[n].name, sizeof(list[n].name), "%s",
				     consumer->name) >= sizeof(list[n].name))
			continue;
		list[n].pid = consumer->current->peer.pid;
		list[n].started = known_started(list[n].pid);
		n += list[n].started != 0;
	}
	if (r == 0) {
		n += awaited_processes(consumers->awaited, list + n,
				       KNOWN_MAX - n);
		r = known_save(consumers->known_path, list, n);
	}
	if (r < 0)
		log_warning_errno(-r,
				  "cannot write '%s'; a berthd that is started "
				  "anew would not wait for consumers",
				  consumers->known_path);
}

int hand_back_begin(struct consumer_connection *conn, uint64_t n_held)
{
	struct consumers *consumers = conn->consumer->all;
	int r = 0;

	conn->held_left = n_held;
	if (conn->only_drains)
		return consumer_wait(conn);
	if (n_held > 0)
		r = awaited_extend(consumers->awaited, conn->consumer->name);
	else
		await_no_longer(conn->consumer);
	remember(consumers);
	return r < 0 ? r : consumer_wait(conn);
}

void hand_back_closed(const struct consumer *consumer)
{
	/* At berthd's own end the file keeps who was connected. */
	if (!consumer->all->awaited)
		return;
	await_no_longer(consumer);
	remember(consumer->all);
}

bool hand_back_goes_on(const struct consumer_connection *conn)
{
	return conn->held_left > 0 &&
	       awaited_has(conn->consumer->all->awaited, conn->consumer->name);
}

/* A consumer is not awaited any more. */
static void awaited_ended(const char *name, bool late, void *user_data)
{
	struct consumers *consumers = user_data;
	const struct consumer *consumer = consumer_get(consumers, name);

	/* It waits for us, not we for it. */
	if (late && consumers->gate_closed && consumer && consumer->current &&
	    awaited_extend(consumers->awaited, name) == 0)
		return;
	if (late)
		log_warning("consumer '%s' does not hand back what it had in "
			    "time; what it serves is opened anew",
			    name);
	if (consumer && !consumer->current)
		consumer_came_or_went(consumer);
	consumers->ops.not_awaited(consumers->user_data);
}

int hand_back_init(struct consumers *consumers)
{
	return awaited_new(consumers->loop, awaited_ended, consumers,
			   &consumers->awaited);
}

void hand_back_done(struct consumers *consumers)
{
	consumers->awaited = awaited_free(consumers->awaited);
	free(consumers->known_path);
}

int consumers_remember(struct consumers *consumers, const char *path)
{
	_cleanup_free_ struct known_consumer *list =
		calloc(KNOWN_MAX, sizeof(*list));
	int n;

	if (!list)
		return -ENOMEM;
	n = known_load(path, list);
	if (n < 0)
		log_warning_errno(-n,
				  "cannot read '%s'; not waiting for consumers "
				  "of an earlier berthd",
				  path);
	for (int i = 0; i < n; i++)
		awaited_process(consumers->awaited, &list[i]);
	consumers->known_path = strdup(path);
	if (!consumers->known_path)
		return -ENOMEM;
	consumers->gate_closed = true;
	return 0;
}

void consumers_take_back(struct consumers *consumers)
{
	struct consumer_connection *conn, *next;

	if (!consumers->gate_closed)
		return;
	consumers->gate_closed = false;
	consumers->release_until_us = monotonic_us() + RELEASE_US;
	for (conn = connection_first(consumers); conn; conn = next) {
		next = connection_next(conn);
		if (conn->held_left > 0 && !conn->only_drains)
			(void)awaited_extend(
				consumers->awaited,
				conn->consumer->name); /* or it is late */
		if (consumer_wait(conn) < 0)
			consumer_lost(conn, EIO, "cannot wait for it");
	}
}

bool consumers_awaits(const struct consumers *consumers, const char *name)
{
	return awaited_has(consumers->awaited, name);
}

bool consumers_settled(const struct consumers *consumers)
{
	const struct consumer_connection *conn;
	size_t n = 0;

	if (consumers->gate_closed || awaited_any(consumers->awaited))
		return false;
	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn))
		n += withdrawals_refused(&conn->withdrawals);
	if (n == 0 || monotonic_us() >= consumers->release_until_us)
		return true;
	loop_timer_set_earlier(consumers->timer, consumers->release_until_us);
	return false;
}
