/* SPDX-License-Identifier: Apache-2.0 */
/* udp.h - datagrams: a session for each client, answers from the address that
 * the client sent to
 *
 * The files, each of which calls only those after it:
 * udp.c, what the core calls: the beginning and the end of shares;
 * udp_listener.c, what clients send, and answers that need no backend;
 * udp_to_backend.c, datagrams on their way from clients to backends;
 * udp_begin.c, the beginning of sessions, and udp_ports.c, their local ports;
 * udp_to_client.c, answers on their way from backends to clients;
 * udp_end.c, the end of sessions, and what errors do to them;
 * udp_front.c, what listening sockets send, and all that a worker has;
 * udp_ask.c, sessions that wait for a socket of berthd's, and udp_held.c, what
 * is kept for them meanwhile;
 * udp_session.c, the table of sessions;
 * udp_answers.c, datagrams that are answers of other listeners of berth's;
 * udp_batch.c, receiving and sending many datagrams at once;
 * udp_socket.c, errors that a socket has queued, and udp_error.c, what errors
 * mean;
 * udp_address.c, who sent a datagram to whom.
 */
#ifndef RELAY_UDP_UDP_H
#define RELAY_UDP_UDP_H

#include "relay/core/protocol.h"

extern const struct relay_protocol udp_protocol;

#endif
