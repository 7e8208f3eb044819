/* SPDX-License-Identifier: Apache-2.0 */
/* varlink.h - a server of one Varlink interface on a UNIX stream socket
 *
 * The protocol is that of https://varlink.org: JSON objects, each ended by a
 * NUL. Calls of one connection are answered in order. org.varlink.service is
 * answered here, the server's own interface by its handlers.
 */
#ifndef DAEMON_CONTROL_VARLINK_H
#define DAEMON_CONTROL_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"

struct varlink_call;
struct varlink_server;

/* The longest call: the calls of io.berth are a name at most. */
#define VARLINK_REQUEST_MAX (64 * 1024)

/* Connections at a time: a hundred clients of a status service are a mistake,
 * and each may hold a request and a piece of a reply. */
#define VARLINK_CONNECTIONS_MAX 64

/* How long half a call may take, or a reply that the client does not read. */
#define VARLINK_TIMEOUT_US (30 * UINT64_C(1000000))

/** struct varlink_parameter - a string that a method takes */
struct varlink_parameter {
	const char *name;
	bool required;
};

/**
 * struct varlink_method - one method of the interface
 * @name:	without the interface's
 * @parameters:	checked before the handler runs: others are refused
 * @handler:	replies once, before it returns, with one of the functions
 *		below; or it calls varlink_call_defer()
 */
struct varlink_method {
	const char *name;
	const struct varlink_parameter *parameters;
	size_t n_parameters;
	void (*handler)(struct varlink_call *call, void *user_data);
};

/**
 * struct varlink_interface - the server's own interface
 * @description: the whole text, as for GetInterfaceDescription; declares the
 *		errors InvalidRequest(message) and OutOfMemory
 */
struct varlink_interface {
	const char *name;
	const char *description;
	const struct varlink_method *methods;
	size_t n_methods;
};

/**
 * struct varlink_list - an array of a reply that is too long to exist at once
 * @member:	its name among the reply's parameters
 * @next:	makes the next element; runs from the loop while the client
 *		reads, so what it walks over may change between two calls.
 *		Return: 1; 0: that was all; -ENOMEM.
 * @free:	called once, also when the client went away
 */
struct varlink_list {
	const char *member;
	int (*next)(void *state, json_t **ret_element);
	void (*free)(void *state);
	void *state;
};

/**
 * varlink_server_new() - makes a server without a socket
 * @interface:	static
 * @user_data:	for its handlers
 * Return: 0 or -ENOMEM.
 */
int varlink_server_new(struct loop *loop,
		       const struct varlink_interface *interface,
		       void *user_data, struct varlink_server **ret_server);

/** varlink_server_free() - ends all connections, removes the socket's file */
struct varlink_server *varlink_server_free(struct varlink_server *server);

/**
 * varlink_server_listen() - serves root and our own user at @path, mode 0600
 *
 * A socket's file that is in the way is replaced, anything else is not.
 * Changes the process's umask for the time of bind(2).
 * Return: 0; -ENAMETOOLONG; -ENOMEM; -errno of socket(2), bind(2), listen(2).
 */
int varlink_server_listen(struct varlink_server *server, const char *path);

/**
 * varlink_server_attach() - serves one connection
 * @fd:		a stream socket; taken, also on failure
 * Return: 0; -EBUSY: too many connections, none of them idle; -ENOMEM; -errno
 * of epoll_ctl(2).
 */
int varlink_server_attach(struct varlink_server *server, int fd);

/** varlink_server_connections() - how many there are */
size_t varlink_server_connections(const struct varlink_server *server);

/** varlink_call_string() - a parameter's value; NULL when it was not given */
const char *varlink_call_string(const struct varlink_call *call,
				const char *name);

/**
 * varlink_call_defer() - the reply comes later, when the handler has returned
 * @cancelled:	called instead when the client goes away before, or the server
 *		ends; the call is gone then
 *
 * Until the reply the connection's further calls wait. Parameters are not kept.
 * Return: the call to reply to, once; NULL: out of memory, reply at once.
 */
struct varlink_call *varlink_call_defer(struct varlink_call *call,
					void (*cancelled)(void *state),
					void *state);

/** varlink_reply() - answers. @parameters: taken; NULL is out of memory */
void varlink_reply(struct varlink_call *call, json_t *parameters);

/**
 * varlink_reply_list() - answers with @parameters and the array @list
 * @parameters:	an object, taken; NULL is out of memory
 * @list:	copied; its state is taken
 */
void varlink_reply_list(struct varlink_call *call, json_t *parameters,
			const struct varlink_list *list);

/**
 * varlink_error() - fails the call
 * @error:	of the server's own interface, without its name
 * @parameters:	taken; NULL is out of memory
 */
void varlink_error(struct varlink_call *call, const char *error,
		   json_t *parameters);

#endif
