/* SPDX-License-Identifier: Apache-2.0 */
/* interface.h - the files doc/io.*.varlink, as they are, inside the program */
#ifndef DAEMON_CONTROL_INTERFACE_H
#define DAEMON_CONTROL_INTERFACE_H

extern const char interface_text[]; /* io.berth */
extern const char interface_metrics_text[]; /* io.systemd.Metrics */

#endif
