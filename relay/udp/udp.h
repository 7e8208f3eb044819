/* SPDX-License-Identifier: Apache-2.0 */
/* udp.h - datagrams: a session for each client, answers from where it asked
 *
 * The files: udp.c, the listening sockets; udp_forward.c, the sessions between
 * clients and backends; udp_connect.c, their sockets; udp_ask.c, those that
 * wait for one of berthd's, and udp_held.c, what waits with them;
 * udp_session.c, the sessions' table; udp_batch.c, receiving and sending;
 * udp_address.c, who spoke to whom.
 */
#ifndef RELAY_UDP_UDP_H
#define RELAY_UDP_UDP_H

#include "relay/core/protocol.h"

extern const struct relay_protocol udp_protocol;

#endif
