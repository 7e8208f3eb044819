/* SPDX-License-Identifier: Apache-2.0 */
/* protocols.h - the protocols that the relay knows */
#ifndef RELAY_PROTOCOLS_H
#define RELAY_PROTOCOLS_H

#include "common/listener_spec.h"

struct relay_protocol;

/** relay_protocols - by enum protocol; none is NULL */
extern const struct relay_protocol *const relay_protocols[PROTOCOL_COUNT];

#endif
