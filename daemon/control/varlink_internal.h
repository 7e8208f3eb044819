/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_internal.h - what the connections and the calls share */
#ifndef DAEMON_CONTROL_VARLINK_INTERNAL_H
#define DAEMON_CONTROL_VARLINK_INTERNAL_H

#include "daemon/control/varlink.h"

/**
 * struct varlink_output - what is still to be sent to one client
 * @list:	valid while @list_active: makes what follows @data
 * @deferred:	a call whose reply is still to come
 * @wake:	called when it came, or with -ENOMEM when it cannot
 */
struct varlink_output {
	char *data;
	size_t len;
	size_t sent;
	size_t capacity;
	struct varlink_list list;
	bool list_active;
	bool list_first;
	struct varlink_call *deferred;
	void (*wake)(struct varlink_output *output, int result);
};

/** varlink_output_pending() - is there something to send? */
bool varlink_output_pending(const struct varlink_output *output);

/**
 * varlink_output_fill() - has a bounded piece of the list follow
 * Return: 0 or -ENOMEM: the reply cannot be finished.
 */
int varlink_output_fill(struct varlink_output *output);

/** varlink_output_done() - frees what is to be sent; @deferred stays */
void varlink_output_done(struct varlink_output *output);

/** varlink_output_cancel() - nobody waits for the deferred reply any more */
void varlink_output_cancel(struct varlink_output *output);

/**
 * varlink_dispatch() - answers one message
 * @text:	without its NUL
 * @output:	empty; gets the reply, unless the call wants none or defers it
 *
 * Return: 0; -EBADMSG: it is no call, @output says so, end the connection;
 * -ENOMEM: end it at once.
 */
int varlink_dispatch(const struct varlink_interface *interface, void *user_data,
		     const char *text, size_t len,
		     struct varlink_output *output);

/** varlink_server_set_timeout() - for tests, that cannot wait for 30 s */
void varlink_server_set_timeout(struct varlink_server *server,
				uint64_t timeout_us);

/** varlink_refuse() - has @output say why the connection ends
 * Return: -EBADMSG or -ENOMEM, as above. */
int varlink_refuse(const struct varlink_interface *interface,
		   const char *message, struct varlink_output *output);

#endif
