// SPDX-License-Identifier: Apache-2.0
/* protocols.c - the protocols that the relay knows */
#include "relay/protocols.h"

#include "relay/sctp/sctp.h"
#include "relay/tcp/tcp.h"
#include "relay/udp/udp.h"

const struct relay_protocol *const relay_protocols[PROTOCOL_COUNT] = {
	[PROTOCOL_TCP] = &tcp_protocol,
	[PROTOCOL_MPTCP] = &mptcp_protocol,
	[PROTOCOL_UDP] = &udp_protocol,
	[PROTOCOL_SCTP] = &sctp_protocol,
	[PROTOCOL_SCTP_SEQPACKET] = &sctp_seqpacket_protocol,
};
