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

/** struct own_socket - a socket that is noted until own_socket_free() */
struct own_socket;

/**
 * struct own_end - what is known of a socket to a backend
 * @protocol:	the protocol of the socket
 * @addr, @port: its own end, once it is connected; @addr is AF_UNSPEC if it
 *		has several
 * @to, @to_port: the backend's end
 * @netns_id:	the socket's namespace, 0 for berthd's
 * @listener_id: the listener whose client it is for
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
 * @to_port:	the listener's port
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

/** own_port() - does any listener have that port? If none does, no socket that
 * is connected to it leads back to the relay. */
bool own_port(enum protocol protocol, uint16_t port);

/**
 * own_socket_new() - notes a socket that is about to be connected
 *
 * own_socket_connected() or own_socket_free() have to follow at once: until
 * then, workers wait that ask about a client which may be this socket.
 * Return: NULL when memory is out.
 */
struct own_socket *own_socket_new(const struct own_end *end);

/** own_socket_connected() - the socket is connected, so its own end is known */
void own_socket_connected(struct own_socket *own, const struct own_end *end);

/** own_socket_free() - to be called before the socket is closed. Returns NULL;
 * NULL is fine. */
struct own_socket *own_socket_free(struct own_socket *own);

/** own_sockets_any() - is any socket of that protocol noted? */
bool own_sockets_any(enum protocol protocol);

/**
 * own_arrival_hops() - how many listeners did this client come through?
 *
 * Return: 0: the client is none of the relay's sockets; else one more than that
 * socket came through; -ELOOP: it came from this very listener, or through too
 * many.
 */
int own_arrival_hops(const struct own_arrival *arrival);

#endif
