/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_reasons.h - which drops and limits a rule can have at all
 *
 * A rate sees the first event of a series only if the series was there before,
 * with 0. So those that a rule can have are told from the start, and no others:
 * each is a series of every rule.
 */
#ifndef DAEMON_CONTROL_METRICS_REASONS_H
#define DAEMON_CONTROL_METRICS_REASONS_H

#include <stdint.h>

#include "common/protocol.h"

struct service;

/**
 * metrics_reasons_drops() - why berth-relay may drop a client's message
 *
 * Return: a bit for each enum berth_drop; 0 where another program serves the
 * listener: what that tells apart is not known before.
 */
uint32_t metrics_reasons_drops(const struct service *service,
			       enum protocol protocol);

/** metrics_reasons_limits() - likewise: a bit for each enum berth_limit that a
 * client may meet */
uint32_t metrics_reasons_limits(const struct service *service,
				enum protocol protocol);

#endif
