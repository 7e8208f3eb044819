/* SPDX-License-Identifier: Apache-2.0 */
/* control_consumers.h - the method ListConsumers */
#ifndef DAEMON_CONTROL_CONTROL_CONSUMERS_H
#define DAEMON_CONTROL_CONTROL_CONSUMERS_H

struct consumers;
struct varlink_call;

/** control_consumers() - replies to @call */
void control_consumers(struct varlink_call *call,
		       const struct consumers *consumers);

#endif
