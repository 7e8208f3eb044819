/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_service.h - org.varlink.service, which every Varlink server has */
#ifndef DAEMON_CONTROL_VARLINK_SERVICE_H
#define DAEMON_CONTROL_VARLINK_SERVICE_H

#include "daemon/control/varlink.h"

#define VARLINK_SERVICE "org.varlink.service"

/* Its handlers take no user_data. */
extern const struct varlink_interface varlink_service_interface;

#endif
