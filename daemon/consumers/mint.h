/* SPDX-License-Identifier: Apache-2.0 */
/* mint.h - mints a socket for a consumer to connect to a rule's backend with */
#ifndef DAEMON_CONSUMERS_MINT_H
#define DAEMON_CONSUMERS_MINT_H

#include <stdint.h>

#include "common/listener_spec.h"
#include "daemon/consumers/socket_request.h"

struct backend;
struct backend_socket;
struct listener;
struct watcher;

/**
 * mint_check() - does the rule say what the consumer believes? Pure.
 * Return: 0; -ESTALE: not any more; -ENOMEM.
 */
int mint_check(const struct service *service,
	       const struct socket_request *request);

/**
 * mint_choose() - which socket connects to a backend; pure
 * @protocol:	of the listener
 * @request:	says which backend, and whether the socket is for a check
 * @ret_backend: the backend, parsed
 * @ret_socket:	borrows from @service
 *
 * Return: 0; -EPERM: the rule asks for no such socket.
 */
int mint_choose(const struct service *service, enum protocol protocol,
		const struct socket_request *request,
		struct backend *ret_backend, struct backend_socket *ret_socket);

/**
 * mint_address() - what such a socket is bound to; pure
 * @sock:	as of mint_choose()
 * @request:	with the client that it stands in for, which the consumer says
 *		and nobody can verify; or without one
 * @ret_address: the client's address, with its port for UDP, else with none; or
 *		the rule's
 *
 * Return: the length; 0: nothing; -EAFNOSUPPORT, -EADDRNOTAVAIL: as
 * stand_in_check(), or UDP without a port; -EAFNOSUPPORT: the rule has no
 * address of that family.
 */
int mint_address(const struct backend_socket *sock,
		 const struct socket_request *request,
		 struct sockaddr_storage *ret_address);

/**
 * mint_socket() - makes a socket where the listener's rule says, and only there
 * @ret_fd:	unconnected, non-blocking, close-on-exec; the caller's; with
 *		`transparent` bound to the client's address, with `from` by TCP
 *		and UDP to the rule's, else to an SCTP backend to the addresses
 *		that it is routed from
 * @ret_netns_id: where it was born; 0: in berthd's own namespace
 *
 * Enters the namespace and steps back, see netns_sockets().
 * Return: 0; -EPERM: the rule asks for no such socket; -ENOENT: there is no
 * namespace of that name; -ESTALE: it is going, or mint_check() says so;
 * -ENOMEM; as of mint_address(); -errno of socket(2), setsockopt(2), open(2),
 * setns(2), bind(2), and of sctp_addrs_add_routed().
 */
int mint_socket(struct watcher *watcher, const struct listener *listener,
		const struct socket_request *request, int *ret_fd,
		uint64_t *ret_netns_id);

#endif
