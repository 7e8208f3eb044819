/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - one call to berthd's control socket */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>

/**
 * struct client_reply - what berthd answered
 * @message:	the whole reply; owns the other two
 * @error:	the error's full name, or NULL
 * @parameters:	an object, maybe empty
 */
struct client_reply {
	json_t *message;
	const char *error;
	json_t *parameters;
};

/**
 * client_call() - connects, calls, waits for the reply
 * @path:	of the socket
 * @method:	full name
 * @parameters:	taken; NULL is out of memory
 *
 * Blocks, for 30 s without progress at the most.
 * Return: 0, also when the reply is an error; -ENAMETOOLONG; -ENOMEM; -EPROTO
 * for an answer that is no Varlink reply; -ECONNRESET when berthd ended the
 * connection; -ETIMEDOUT; -errno of socket(2), connect(2), send(2), recv(2).
 */
int client_call(const char *path, const char *method, json_t *parameters,
		struct client_reply *ret_reply);

/** client_reply_done() - frees the reply's message, and all that is borrowed
 * from it */
void client_reply_done(struct client_reply *reply);

#endif
