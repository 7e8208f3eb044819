/* SPDX-License-Identifier: Apache-2.0 */
/* udp_listener.h - what clients send to listening UDP sockets */
#ifndef RELAY_UDP_UDP_LISTENER_H
#define RELAY_UDP_UDP_LISTENER_H

#include <stdint.h>

struct pollable;
struct share;
struct udp_waited;
struct worker;

/** udp_listener_readable() - handler of share.poll: receives datagrams, and
 * does with them what the rule says */
void udp_listener_readable(struct worker *worker, struct pollable *pollable,
			   uint32_t events);

/**
 * udp_listener_begin_anew() - handles what is in the list @waited as if it were
 * received now, and frees the list
 *
 * A function for struct udp_ask_ops. udp_worker.in must not be in use.
 */
void udp_listener_begin_anew(struct worker *worker, struct share *share,
			     struct udp_waited *waited);

#endif
