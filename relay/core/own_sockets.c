// SPDX-License-Identifier: Apache-2.0
/* own_sockets.c - which sockets towards backends are the relay's own
 *
 * Theory of operation: rules may make a circle. What the relay sends to a
 * backend then comes to one of the relay's own listeners, which sends it on,
 * and so on, until one client uses all descriptors. So each socket to a backend
 * that may be a listener of the relay is noted, by the address of its own end.
 * A worker that accepts a client looks whether the client's end is one of them.
 * A chain of listeners is no mistake, and is let through. A client is cut if it
 * comes from the listener that it comes to, or through more than HOPS_MAX
 * listeners.
 *
 * The two ends of a connection have the same addresses in every namespace, as
 * long as nothing translates them. But different namespaces may have equal
 * addresses: each has a loopback interface. A client from a loopback address,
 * or from the very address that it speaks to, did not leave its namespace; so
 * the noted socket has to be in that namespace, too.
 *
 * A worker may accept a connection before connect(2) of another worker returns
 * and the own port of the socket is known. So a socket is noted before
 * connect(2), as one that is about to be connected to that backend. A worker
 * that accepts a client which may be such a socket waits until those are
 * connected that were noted before. They wait for nobody.
 *
 * Most backends have a port that no listener has. Their sockets are not noted,
 * which costs one look at a counter.
 */
#include "relay/core/own_sockets.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/siphash.h"
#include "common/util.h"

/* More than a chain of rules that somebody wants, and few enough that a client
 * in a circle costs little. */
#define HOPS_MAX 4

/* Powers of two. Buckets for tens of thousands of sockets, whose memory the
 * kernel gives only when it is used, and enough locks for the workers. */
#define BUCKETS 16384
#define LOCKS 64

/**
 * struct own_socket - in a bucket, or in a list of those about to be connected
 * @number:	increases
 * @connected:	it is in a bucket
 */
struct own_socket {
	struct own_socket *next, **link;
	size_t bucket;
	uint64_t number;
	bool connected;
	struct own_end end;
};

/* Those about to be connected, by the port of their backends. */
struct connecting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct own_socket *list;
	uint64_t last_number;
};

/* By protocol_port_space(); the places of other protocols are never touched. */
static _Atomic uint32_t ports[PROTOCOL_COUNT][UINT16_MAX + 1];
static _Atomic uint32_t n_sockets[PROTOCOL_COUNT];
static struct own_socket *buckets[BUCKETS];
static pthread_mutex_t locks[LOCKS] = {
	[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER,
};
static struct connecting connecting[LOCKS] = {
	[0 ... LOCKS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER,
			      .changed = PTHREAD_COND_INITIALIZER },
};
static uint64_t secret[2];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void secret_init(void)
{
	siphash_secret(secret);
}

void own_port_add(enum protocol protocol, uint16_t port, int change)
{
	atomic_fetch_add_explicit(&ports[protocol_port_space(protocol)][port],
				  (uint32_t)change, memory_order_relaxed);
}

bool own_port(enum protocol protocol, uint16_t port)
{
	return atomic_load_explicit(&ports[protocol_port_space(protocol)][port],
				    memory_order_relaxed) > 0;
}

bool own_sockets_any(enum protocol protocol)
{
	return atomic_load_explicit(&n_sockets[protocol_port_space(protocol)],
				    memory_order_relaxed) > 0;
}

static size_t bucket_of(enum protocol protocol, const struct ip_addr *addr,
			uint16_t port)
{
	uint64_t words[3] = { (uint64_t)protocol_port_space(protocol) << 24 |
			      (uint64_t)addr->family << 16 | port };

	memcpy(&words[1], addr->bytes, sizeof(addr->bytes));
	(void)pthread_once(&secret_once, secret_init);
	return siphash(secret, words, ARRAY_SIZE(words)) & (BUCKETS - 1);
}

static void list_add(struct own_socket **head, struct own_socket *own)
{
	own->next = *head;
	own->link = head;
	if (own->next)
		own->next->link = &own->next;
	*head = own;
}

static void list_remove(struct own_socket *own)
{
	*own->link = own->next;
	if (own->next)
		own->next->link = own->link;
}

static struct connecting *connecting_to(uint16_t port)
{
	return &connecting[port % LOCKS];
}

struct own_socket *own_socket_new(const struct own_end *end)
{
	struct connecting *place = connecting_to(end->to_port);
	struct own_socket *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;
	own->end = *end;
	atomic_fetch_add_explicit(
		&n_sockets[protocol_port_space(end->protocol)], 1,
		memory_order_relaxed);
	pthread_mutex_lock(&place->lock);
	own->number = ++place->last_number;
	list_add(&place->list, own);
	pthread_mutex_unlock(&place->lock);
	return own;
}

void own_socket_connected(struct own_socket *own, const struct own_end *end)
{
	struct connecting *place = connecting_to(own->end.to_port);
	size_t bucket = bucket_of(end->protocol, &end->addr, end->port);

	pthread_mutex_lock(&place->lock);
	list_remove(own);
	own->end = *end;
	own->bucket = bucket;
	own->connected = true;
	pthread_mutex_lock(&locks[bucket % LOCKS]);
	list_add(&buckets[bucket], own);
	pthread_mutex_unlock(&locks[bucket % LOCKS]);
	pthread_cond_broadcast(&place->changed);
	pthread_mutex_unlock(&place->lock);
}

struct own_socket *own_socket_free(struct own_socket *own)
{
	struct connecting *place;

	if (!own)
		return NULL;
	if (own->connected) {
		pthread_mutex_lock(&locks[own->bucket % LOCKS]);
		list_remove(own);
		pthread_mutex_unlock(&locks[own->bucket % LOCKS]);
	} else {
		place = connecting_to(own->end.to_port);
		pthread_mutex_lock(&place->lock);
		list_remove(own);
		pthread_cond_broadcast(&place->changed);
		pthread_mutex_unlock(&place->lock);
	}
	atomic_fetch_sub_explicit(
		&n_sockets[protocol_port_space(own->end.protocol)], 1,
		memory_order_relaxed);
	free(own);
	return NULL;
}

/* Is the backend of @end the listener that @arrival came to, at address @to? */
static bool leads_to(const struct own_end *end,
		     const struct own_arrival *arrival,
		     const struct ip_addr *to)
{
	if (!ip_addr_is_any(&end->to) && !ip_addr_equal(&end->to, to))
		return false;
	return end->netns_id == arrival->netns_id ||
	       !(ip_addr_is_loopback(to) || ip_addr_equal(&arrival->from, to));
}

static bool leads_here(const struct own_end *end,
		       const struct own_arrival *arrival)
{
	if (protocol_port_space(end->protocol) !=
		    protocol_port_space(arrival->protocol) ||
	    end->to_port != arrival->to_port)
		return false;
	for (size_t i = 0; i < arrival->n_to; i++) {
		if (leads_to(end, arrival, &arrival->to[i]))
			return true;
	}
	return arrival->n_to == 0 && leads_to(end, arrival, &end->to);
}

/* Looks among the sockets whose own address is @addr. Return: as
 * own_arrival_hops(). */
static int hops_from(const struct own_arrival *arrival,
		     const struct ip_addr *addr)
{
	size_t bucket = bucket_of(arrival->protocol, addr, arrival->from_port);
	const struct own_socket *own;
	int hops = 0;

	pthread_mutex_lock(&locks[bucket % LOCKS]);
	for (own = buckets[bucket]; own; own = own->next) {
		if (!ip_addr_equal(&own->end.addr, addr) ||
		    own->end.port != arrival->from_port ||
		    !leads_here(&own->end, arrival))
			continue;
		hops = own->end.hops + 1;
		if (own->end.listener_id == arrival->listener_id ||
		    hops > HOPS_MAX)
			hops = -ELOOP;
		break;
	}
	pthread_mutex_unlock(&locks[bucket % LOCKS]);
	return hops;
}

/* Is a socket that was noted up to @number still about to be connected here? */
static bool is_expected(const struct connecting *place,
			const struct own_arrival *arrival, uint64_t number)
{
	const struct own_socket *own = place->list;

	while (own && (own->number > number || !leads_here(&own->end, arrival)))
		own = own->next;
	return own;
}

/* Waits until all sockets are connected that may be the client. It need not
 * wait for sockets that are noted meanwhile: those are other ones. */
static void wait_for_connecting(const struct own_arrival *arrival)
{
	struct connecting *place = connecting_to(arrival->to_port);
	uint64_t number;

	pthread_mutex_lock(&place->lock);
	number = place->last_number;
	while (is_expected(place, arrival, number))
		(void)pthread_cond_wait(&place->changed, &place->lock);
	pthread_mutex_unlock(&place->lock);
}

int own_arrival_hops(const struct own_arrival *arrival)
{
	static const struct ip_addr several = { .family = AF_UNSPEC };
	int hops;

	if (!own_sockets_any(arrival->protocol))
		return 0;
	wait_for_connecting(arrival);
	hops = hops_from(arrival, &arrival->from);
	if (hops == 0 && protocol_is_sctp(arrival->protocol))
		hops = hops_from(arrival, &several);
	return hops;
}
