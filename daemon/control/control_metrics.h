/* SPDX-License-Identifier: Apache-2.0 */
/* control_metrics.h - the method ListMetrics, and those of io.systemd.Metrics
 */
#ifndef DAEMON_CONTROL_CONTROL_METRICS_H
#define DAEMON_CONTROL_CONTROL_METRICS_H

#include "common/loop.h"
#include "daemon/control/metrics.h"

struct varlink_call;

/** control_metrics_list() - answers ListMetrics: the families, and their
 * series, as Prometheus has them */
void control_metrics_list(struct varlink_call *call, struct loop *loop,
			  const struct metrics_config *config);

/** control_metrics_report() - answers io.systemd.Metrics.List: each series in a
 * reply of its own */
void control_metrics_report(struct varlink_call *call, struct loop *loop,
			    const struct metrics_config *config);

/** control_metrics_describe() - answers io.systemd.Metrics.Describe */
void control_metrics_describe(struct varlink_call *call);

#endif
