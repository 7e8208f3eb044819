/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.h - connections: a flow with two sockets */
#ifndef RELAY_TCP_TCP_H
#define RELAY_TCP_TCP_H

#include "relay/core/protocol.h"

/* MPTCP differs only in what the kernel does. */
extern const struct relay_protocol tcp_protocol, mptcp_protocol;

#endif
