/* SPDX-License-Identifier: Apache-2.0 */
/* socket_request.h - what a consumer asks for when it asks for a socket */
#ifndef DAEMON_CONSUMERS_SOCKET_REQUEST_H
#define DAEMON_CONSUMERS_SOCKET_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

/**
 * struct socket_request - the `socket` message of doc/consumer-protocol.md
 *
 * The consumer is not trusted: mint.h checks every member.
 * @number:	of the consumer's choice; the answer bears it
 * @id:		of the listener
 * @to:		index of the backend that the socket is for
 * @backend:	the backend as the consumer was told; NULL: any
 * @netns:	the namespace of the rule's backends as the consumer was told,
 *		"" for none; NULL: any
 * @client:	the client that the socket stands in for, because the consumer
 *		was told `transparent`; AF_UNSPEC: none
 * @client_port: for UDP, in host byte order
 * @from:	the one of the rule's addresses that the consumer was told;
 *		AF_UNSPEC: any
 * @check:	the socket is for a check of the backend: it stands in for
 *		nobody, also where the consumer was told `transparent`
 */
struct socket_request {
	uint64_t number;
	uint64_t id;
	unsigned int to;
	const char *backend;
	const char *netns;
	struct ip_addr client;
	uint16_t client_port;
	struct ip_addr from;
	bool check;
};

#endif
