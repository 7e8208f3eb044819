/* SPDX-License-Identifier: Apache-2.0 */
/* udp_ports.h - local ports for the sockets of UDP sessions */
#ifndef RELAY_UDP_UDP_PORTS_H
#define RELAY_UDP_UDP_PORTS_H

#include <stdbool.h>
#include <stdint.h>

struct udp_session;
struct worker;

/**
 * udp_ports_take() - takes a local port for @session, which is about to begin
 * @space:	see serving_backend.ports
 *
 * Other sessions may end for it. Sets session.upstream.ports.
 * Return: 0; -EDQUOT: its namespace has as many ports as it may; -EAGAIN: other
 * namespaces have too many, and were told to give some.
 */
int udp_ports_take(struct worker *worker, struct udp_session *session,
		   uint32_t space);

/**
 * udp_ports_free() - the kernel has no local port for @session, which has taken
 * one: has other sessions end
 *
 * Return: is there a port now?
 */
bool udp_ports_free(struct worker *worker, struct udp_session *session);

#endif
