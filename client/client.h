/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - one call to berthd's control socket, and its replies */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/json_scan.h"

struct client;

/**
 * struct client_call - one call
 * @method:	full name
 * @parameters:	NULL is out of memory
 * @fd:		of a descriptor that goes along, as a copy; NULL: none does
 * @deadline_us: of monotonic_us(), for connecting, calling and all replies; 0:
 *		there is none
 */
struct client_call {
	const char *method;
	json_t *parameters;
	const int *fd;
	uint64_t deadline_us;
};

/**
 * struct client_reply - one of berthd's answers
 * @message:	the whole reply; owns the other two
 * @error:	the error's full name, or NULL
 * @parameters:	an object, maybe empty
 * @continues:	another reply follows
 * @array:	the text of the one that client_next() was asked to leave; in
 *		@parameters it is empty
 */
struct client_reply {
	json_t *message;
	const char *error;
	json_t *parameters;
	bool continues;
	struct json_span array;
};

/**
 * client_call() - connects and calls; takes a long answer in several replies
 * @path:	of the socket
 * @call:	what is called; its parameters are taken
 *
 * Blocks, for 30 s without progress at the most, and never beyond the call's
 * deadline.
 * Return: 0; -ENAMETOOLONG; -ENOMEM; -ETIMEDOUT; -errno of socket(2),
 * connect(2), sendmsg(2).
 */
int client_call(const char *path, const struct client_call *call,
		struct client **ret_client);

/**
 * client_call_again() - another call on the connection of an earlier one, all
 * of whose replies were taken
 *
 * Return: as client_call().
 */
int client_call_again(struct client *client, const struct client_call *call);

/**
 * client_fd() - the connection, for waiting: readable between two calls, it is
 * over
 */
int client_fd(const struct client *client);

/** client_has_reply() - Return: would client_next() return without waiting?
 * Else client_fd() becomes readable before it does. */
bool client_has_reply(const struct client *client);

/**
 * client_next() - waits for the next reply
 * @array:	a member of the parameters that is to be left as text, because
 *		it may be very long; NULL: none is
 * @ret_reply:	the caller calls client_reply_done(), before the next call
 *
 * To be called once, and again after each reply that continues. Blocks as
 * client_call() does.
 * Return: 0, also when the reply is an error; -EPROTO: what came is no Varlink
 * reply; -ECONNRESET: berthd ended the connection; -ENOMEM; -ETIMEDOUT; -errno
 * of recv(2).
 */
int client_next(struct client *client, const char *array,
		struct client_reply *ret_reply);

/** client_refuses() - Return: is this the error that berthd does not take the
 * parameter of that name, or its value? */
bool client_refuses(const struct client_reply *reply, const char *parameter);

/** client_reply_done() - frees what the reply has, not the struct */
void client_reply_done(struct client_reply *reply);

/** client_free() - ends the connection. Return: NULL. NULL is fine. */
struct client *client_free(struct client *client);

#endif
