/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_call.h - one Varlink call, from a message's text to its reply */
#ifndef DAEMON_CONTROL_VARLINK_CALL_H
#define DAEMON_CONTROL_VARLINK_CALL_H

#include "daemon/control/varlink.h"
#include "daemon/control/varlink_output.h"

/**
 * struct varlink_message - one message of a client
 * @text:	@len bytes, without its NUL
 * @connection:	the number of the client's connection
 * @uid:	who the client is
 * @socket:	of the connection; -1: none
 * @fd:		the descriptor that came with it, or -1; a handler that takes it
 *		leaves -1
 * @may_keep:	the connection may be kept, or is
 * @keep:	set when the handler wants it to be
 */
struct varlink_message {
	const char *text;
	size_t len;
	uint64_t connection;
	uid_t uid;
	int socket;
	int fd;
	bool may_keep;
	bool keep;
};

/**
 * varlink_dispatch() - answers one message
 * @user_data:	for the handlers of @interface
 * @output:	empty; gets the reply, unless the call wants none or defers it
 *
 * Return: 0; -EBADMSG: it is no call, @output says so, end the connection;
 * -ENOMEM: end it at once.
 */
int varlink_dispatch(const struct varlink_interface *interface, void *user_data,
		     struct varlink_message *message,
		     struct varlink_output *output);

/** varlink_refuse() - has @output say why the connection ends
 * Return: -EBADMSG or -ENOMEM, as above. */
int varlink_refuse(const struct varlink_interface *interface,
		   const char *message, struct varlink_output *output);

/** varlink_cancel() - nobody waits for the deferred reply any more, if there
 * is one */
void varlink_cancel(struct varlink_output *output);

#endif
