/* SPDX-License-Identifier: Apache-2.0 */
/* control_backends.h - the method ListBackends */
#ifndef DAEMON_CONTROL_CONTROL_BACKENDS_H
#define DAEMON_CONTROL_CONTROL_BACKENDS_H

struct backends;
struct varlink_call;

/** control_backends() - replies to @call */
void control_backends(struct varlink_call *call,
		      const struct backends *backends);

#endif
