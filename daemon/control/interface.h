/* SPDX-License-Identifier: Apache-2.0 */
/* interface.h - doc/io.berth.varlink, as it is, inside the program */
#ifndef DAEMON_CONTROL_INTERFACE_H
#define DAEMON_CONTROL_INTERFACE_H

extern const char interface_text[];

#endif
