/* SPDX-License-Identifier: Apache-2.0 */
/* control_backends.h - the method ListBackends */
#ifndef DAEMON_CONTROL_CONTROL_BACKENDS_H
#define DAEMON_CONTROL_CONTROL_BACKENDS_H

struct backends;
struct rule_store;
struct stats;
struct varlink_call;

/** control_backends() - replies to @call, once the consumers were asked what
 * they counted: before that they tell what became of @backends */
void control_backends(struct varlink_call *call, struct stats *stats,
		      const struct rule_store *rules,
		      const struct backends *backends);

#endif
