/* SPDX-License-Identifier: Apache-2.0 */
/* mint.h - a socket for a consumer to connect to a rule's backend with */
#ifndef DAEMON_CONSUMERS_MINT_H
#define DAEMON_CONSUMERS_MINT_H

#include <stdint.h>

#include "common/ip.h"
#include "common/listener_spec.h"

struct listener;
struct netns_socket;
struct watcher;

/**
 * struct mint_target - what a consumer asks for a socket to
 * @id:		of the listener
 * @to:		index of its backend
 * @backend:	the backend as the consumer was told, NULL: any
 * @netns:	the same of the rule's namespace, "" for none, NULL: any
 * @client:	AF_UNSPEC, or whose address the socket is to have, because the
 *		consumer was told `transparent`
 * @client_port: for UDP, in host byte order
 * @from:	AF_UNSPEC: any, or one of the rule's addresses that the consumer
 *		was told
 */
struct mint_target {
	uint64_t id;
	unsigned int to;
	const char *backend;
	const char *netns;
	struct ip_addr client;
	uint16_t client_port;
	struct ip_addr from;
};

/**
 * mint_check() - does the rule say what the consumer believes? Pure.
 * Return: 0; -ESTALE: not any more; -ENOMEM.
 */
int mint_check(const struct service *service, const struct mint_target *target);

/**
 * mint_kind() - which socket connects to a backend; pure
 * @protocol:	of the listener
 * @to:		index of the backend
 * @ret_socket:	for netns_sockets(): non-blocking; to an SCTP backend always
 *		one-to-one
 *
 * Return: 0; -EPERM: the rule asks for no such socket.
 */
int mint_kind(const struct service *service, enum protocol protocol,
	      unsigned int to, struct netns_socket *ret_socket);

/**
 * mint_client() - what a socket that stands in for the client is bound to; pure
 * @sock:	as of mint_kind()
 * @target:	with the client, which the consumer says and nobody can verify
 * @ret_address: with the client's port for UDP, else with none
 *
 * Return: the length; -EAFNOSUPPORT, -EADDRNOTAVAIL: as stand_in_check(), or
 * UDP without a port.
 */
int mint_client(const struct netns_socket *sock,
		const struct mint_target *target,
		struct sockaddr_storage *ret_address);

/**
 * mint_source() - the rule's address that such a socket is bound to; pure
 *
 * Return: the length; 0: none, which is so for SCTP, too; -EAFNOSUPPORT: the
 * rule has none of that family.
 */
int mint_source(const struct service *service, const struct netns_socket *sock,
		struct sockaddr_storage *ret_address);

/**
 * mint_socket() - makes one where the listener's rule says, and only there
 * @ret_fd:	unconnected, non-blocking, close-on-exec; the caller's; with
 *		`transparent` bound to the client's address, with `from` by TCP
 *		and UDP to the rule's, else to an SCTP backend to the addresses
 *		that it is routed from
 * @ret_netns_id: where it was born; 0: in berthd's own namespace
 *
 * Enters the namespace and steps back, see netns_sockets().
 * Return: 0; -EPERM: the rule asks for no such socket; -ENOENT: there is no
 * namespace of that name; -ESTALE: it is going, or mint_check() says so;
 * -ENOMEM; as of mint_client(); -errno of socket(2), setsockopt(2), open(2),
 * setns(2), bind(2), and of sctp_addrs_add_routed().
 */
int mint_socket(struct watcher *watcher, const struct listener *listener,
		const struct mint_target *target, int *ret_fd,
		uint64_t *ret_netns_id);

#endif
