// SPDX-License-Identifier: Apache-2.0
/* consumers_pins.c - who keeps the kernel from freeing a namespace */
#include "daemon/consumers/consumers_internal.h"

#include "common/util.h"

/* One line each; the others are counted. */
#define LOG_MAX 8

static void add_sockets(uint64_t netns_id, uint64_t due_us, void *user_data)
{
	struct pin *pin = pinner_get(user_data, netns_id);

	if (!pin)
		return;
	pin->sockets = true;
	pin_add_told(pin, due_us);
}

static void add_deliveries(struct pinner *pinner, const struct delivery *list)
{
	const struct delivery *delivery;
	struct pin *pin;

	for (delivery = list; delivery; delivery = delivery->next) {
		pin = delivery->sent
			      ? pinner_get(pinner, delivery->listener->netns_id)
			      : NULL;
		if (pin)
			pin_add_listener(pin, &delivery->listener->endpoint);
	}
}

/* All that the consumer has by this connection, what it was told to close
 * first. Return: NULL: no memory. */
static struct pinner *collect(const struct consumer_connection *conn)
{
	const struct consumer *consumer = conn->consumer;
	const struct withdrawal *withdrawal = conn->withdrawals.by_id;
	struct pinner *pinner = pinner_new(consumer->name, &conn->peer,
					   conn->started, monotonic_us());
	struct pin *pin;

	if (!pinner)
		return NULL;
	for (; withdrawal; withdrawal = withdrawal->hh.next) {
		pin = pinner_get(pinner, withdrawal->netns_id);
		if (!pin)
			continue;
		pin_add_listener(pin, &withdrawal->endpoint);
		pin_add_told(pin, withdrawal->abort_since_us);
	}
	consumer_sockets_each(&conn->sockets, add_sockets, pinner);
	if (consumer->current == conn) {
		add_deliveries(pinner, consumer->done);
		add_deliveries(pinner, consumer->queue);
	}
	return pinner;
}

void consumer_keep_pins(const struct consumer_connection *conn)
{
	pinners_add(&conn->consumer->all->pinners, collect(conn));
}

/* "2 listeners (tcp *:80, udp *:53) and sockets for backends" */
static void pin_fmt(const struct pin *pin, char *buffer, size_t size)
{
	char endpoint[ENDPOINT_TEXT_MAX];
	size_t n = pin->n_listeners, len = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < n && i < PIN_ENDPOINTS_MAX; i++)
		len += (size_t)snprintf(buffer + len, size - len, "%s%s",
					i == 0 ? "listeners: " : ", ",
					endpoint_fmt(&pin->endpoints[i],
						     endpoint)); /* fits */
	if (n > PIN_ENDPOINTS_MAX)
		len += (size_t)snprintf(buffer + len, size - len,
					" and %zu more",
					n - PIN_ENDPOINTS_MAX); /* fits */
	if (pin->sockets)
		(void)snprintf(buffer + len, size - len,
			       "%ssockets for backends",
			       n ? "; " : ""); /* fits */
}

static void log_pin(const struct consumer_connection *conn,
		    const struct pin *pin)
{
	const struct consumers *consumers = conn->consumer->all;
	const char *label =
		consumers->ops.label_netns(pin->netns_id, consumers->user_data);
	char what[PIN_ENDPOINTS_MAX * (ENDPOINT_TEXT_MAX + 2) + 64];

	pin_fmt(pin, what, sizeof(what));
	log_warning("consumer '%s' (pid %d, uid %u) was told %llu s ago to let "
		    "go of netns '%s' (id %llu), and still has %s",
		    conn->consumer->name, conn->peer.pid, conn->peer.uid,
		    (unsigned long long)((monotonic_us() - pin->told_us) /
					 USEC_PER_SEC),
		    label ? label : "?", (unsigned long long)pin->netns_id,
		    what);
}

void consumer_log_pins(const struct consumer_connection *conn,
		       uint64_t before_us)
{
	struct pinner *pinner = collect(conn);
	const struct pin *pin = pinner ? pinner->pins : NULL;
	size_t n = 0;

	for (; pin; pin = pin->hh.next) {
		if (!pin->told_us || pin->told_us > before_us)
			continue;
		if (++n <= LOG_MAX)
			log_pin(conn, pin);
	}
	if (n > LOG_MAX)
		log_warning("consumer '%s' (pid %d) still has something of %zu "
			    "more namespaces",
			    conn->consumer->name, conn->peer.pid, n - LOG_MAX);
	pinner_free(pinner);
}

void consumers_netns_freed(struct consumers *consumers, uint64_t netns_id)
{
	pinners_freed(&consumers->pinners, netns_id);
}

/* Return: has the consumer anything of the namespace? */
static bool pin_of(const struct consumer_connection *conn, uint64_t netns_id,
		   struct pin *ret_pin)
{
	const struct withdrawal *withdrawal =
		withdrawals_of(&conn->withdrawals, netns_id);
	uint64_t due_us = 0;

	*ret_pin = (struct pin){ .netns_id = netns_id };
	for (; withdrawal; withdrawal = withdrawal->netns_next) {
		pin_add_listener(ret_pin, &withdrawal->endpoint);
		pin_add_told(ret_pin, withdrawal->abort_since_us);
	}
	ret_pin->sockets =
		consumer_sockets_hold(&conn->sockets, netns_id, &due_us);
	pin_add_told(ret_pin, due_us);
	return ret_pin->sockets || ret_pin->n_listeners > 0;
}

size_t consumers_pins(const struct consumers *consumers, uint64_t netns_id,
		      struct consumer_pin *ret_list)
{
	const struct consumer_connection *conn = connection_first(consumers);
	const struct pinner *pinner = consumers->pinners.list;
	const struct pin *pin;
	size_t n = 0;

	for (; conn && n < CONSUMER_PINS_MAX; conn = connection_next(conn)) {
		if (!pin_of(conn, netns_id, &ret_list[n].pin))
			continue;
		ret_list[n].consumer = conn->consumer->name;
		ret_list[n].peer = &conn->peer;
		ret_list[n].ended_us = 0;
		ret_list[n].alive = true;
		n++;
	}
	for (; pinner && n < CONSUMER_PINS_MAX; pinner = pinner->next) {
		pin = pinner_find(pinner, netns_id);
		if (!pin || (!pin->told_us && !pinner_alive(pinner)))
			continue;
		ret_list[n] = (struct consumer_pin){
			.consumer = pinner->consumer,
			.peer = &pinner->peer,
			.ended_us = pinner->since_us,
			.alive = pinner_alive(pinner),
			.pin = *pin,
		};
		n++;
	}
	return n;
}
