/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_call.h - one Varlink call, from a message's text to its reply */
#ifndef DAEMON_CONTROL_VARLINK_CALL_H
#define DAEMON_CONTROL_VARLINK_CALL_H

#include "daemon/control/varlink.h"
#include "daemon/control/varlink_output.h"

/**
 * varlink_dispatch() - answers one message
 * @user_data:	for the handlers of @interface
 * @text:	without its NUL
 * @output:	empty; gets the reply, unless the call wants none or defers it
 *
 * Return: 0; -EBADMSG: it is no call, @output says so, end the connection;
 * -ENOMEM: end it at once.
 */
int varlink_dispatch(const struct varlink_interface *interface, void *user_data,
		     const char *text, size_t len,
		     struct varlink_output *output);

/** varlink_refuse() - has @output say why the connection ends
 * Return: -EBADMSG or -ENOMEM, as above. */
int varlink_refuse(const struct varlink_interface *interface,
		   const char *message, struct varlink_output *output);

/** varlink_cancel() - nobody waits for the deferred reply any more, if there
 * is one */
void varlink_cancel(struct varlink_output *output);

#endif
