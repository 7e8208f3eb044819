/* SPDX-License-Identifier: Apache-2.0 */
/* own_sockets.h - which sockets towards backends are the relay's own
 *
 * Callable by any thread.
 */
#ifndef RELAY_CORE_OWN_SOCKETS_H
#define RELAY_CORE_OWN_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/listener_spec.h"

/** struct own_socket - one of them, known until own_socket_free() */
struct own_socket;

/**
 * struct own_end - what is known of a socket to a backend
 * @protocol:	its own
 * @addr, @port: its own end, once it is connected; @addr is AF_UNSPEC if it
 *		has several
 * @to, @to_port: the backend's
 * @netns_id:	where it is, 0 for berthd's namespace
 * @listener_id: whose client it is for
 * @hops:	how many listeners of the relay the client came through before
 */
struct own_end {
	enum protocol protocol;
	struct ip_addr addr;
	struct ip_addr to;
	uint16_t port;
	uint16_t to_port;
	uint64_t netns_id;
	uint64_t listener_id;
	uint8_t hops;
};

/**
 * struct own_arrival - where a client comes from, and which listener has it
 * @from, @from_port: the client's end
 * @to, @n_to:	the addresses that it may have spoken to; none: not known
 * @to_port:	the listener's
 * @netns_id:	the listener's namespace, 0 for berthd's
 */
struct own_arrival {
	enum protocol protocol;
	struct ip_addr from;
	uint16_t from_port;
	uint16_t to_port;
	const struct ip_addr *to;
	size_t n_to;
	uint64_t netns_id;
	uint64_t listener_id;
};

/** own_port_add() - a listener came (1) or went (-1) */
void own_port_add(enum protocol protocol, uint16_t port, int change);

/** own_port() - has any listener that port? If none has, no socket that is
 * connected to it leads back to the relay. */
bool own_port(enum protocol protocol, uint16_t port);

/**
 * own_socket_new() - makes known a socket that is to be connected
 *
 * Until own_socket_connected() or own_socket_free(), which have to follow at
 * once, those wait who ask about a client that may be this one.
 * Return: NULL when memory is out.
 */
struct own_socket *own_socket_new(const struct own_end *end);

/** own_socket_connected() - its own end is known by now */
void own_socket_connected(struct own_socket *own, const struct own_end *end);

/** own_socket_free() - before the socket is closed. Returns NULL; NULL is fine.
 */
struct own_socket *own_socket_free(struct own_socket *own);

/** own_sockets_any() - is any of that protocol known? */
bool own_sockets_any(enum protocol protocol);

/**
 * own_arrival_hops() - how many listeners did this client come through?
 *
 * Return: 0: it is none of the relay's sockets, or else one more than that one;
 * -ELOOP: it came from this very listener, or through too many.
 */
int own_arrival_hops(const struct own_arrival *arrival);

#endif
