/* SPDX-License-Identifier: Apache-2.0 */
/* sctp.h - SCTP associations: accepting, their life and their end */
#ifndef RELAY_SCTP_SCTP_H
#define RELAY_SCTP_SCTP_H

#include "relay/core/protocol.h"

/* One-to-one sockets, an association's own; and one-to-many sockets, which
 * listen and have all associations. */
extern const struct relay_protocol sctp_protocol, sctp_seqpacket_protocol;

#endif
