/* SPDX-License-Identifier: Apache-2.0 */
/* varlink.h - methods of a Varlink interface, and how they reply
 *
 * The protocol is that of https://varlink.org: JSON objects, each ended by a
 * NUL. Calls of one connection are answered in order. varlink_server.h serves
 * an interface on a socket.
 */
#ifndef DAEMON_CONTROL_VARLINK_H
#define DAEMON_CONTROL_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct varlink_call;
struct varlink_output;

/**
 * struct varlink_parameter - a string that a method takes
 * @is_bool:	it takes a boolean, and no string
 */
struct varlink_parameter {
	const char *name;
	bool required;
	bool is_bool;
};

/**
 * struct varlink_method - one method of the interface
 * @name:	without the interface's
 * @parameters:	checked before the handler runs: others are refused
 * @takes_any:	the handler checks the parameters, whatever they are
 * @access:	for the interface's @refuse
 * @handler:	replies once, before it returns, with one of the functions
 *		below; or it calls varlink_call_defer()
 */
struct varlink_method {
	const char *name;
	const struct varlink_parameter *parameters;
	size_t n_parameters;
	bool takes_any;
	unsigned int access;
	void (*handler)(struct varlink_call *call, void *user_data);
};

/**
 * struct varlink_interface - an interface of a server
 * @description: the whole text, as for GetInterfaceDescription; declares the
 *		errors InvalidRequest(message), OutOfMemory and, with @refuse,
 *		NotPermitted(reason)
 * @refuse:	may the caller call the method? NULL: whoever is connected may
 *		call all. Return: NULL; else static text: why not.
 * @disconnected: a connection is over; NULL: nobody wants to know
 * @next:	another one that the server has, with the same handlers' user
 *		data; NULL: there is none. Only the first one's @disconnected is
 *		called, and only it declares those errors: they are its own also
 *		for calls of the others.
 */
struct varlink_interface {
	const char *name;
	const char *description;
	const struct varlink_method *methods;
	size_t n_methods;
	const char *(*refuse)(const struct varlink_call *call,
			      const struct varlink_method *method,
			      void *user_data);
	void (*disconnected)(uint64_t connection, void *user_data);
	const struct varlink_interface *next;
};

/**
 * struct varlink_array - an array of a reply that is too long to exist at once
 * @member:	its name among the reply's parameters
 * @next:	makes the next element; runs from the loop while the client
 *		reads, so what it walks over may change between two calls.
 *		Return: 1; 0: that was all; -ENOMEM; -EAGAIN: there is none now,
 *		varlink_output_wake() tells when there is; -EOVERFLOW: the list
 *		breaks off, see @broken of struct varlink_list.
 */
struct varlink_array {
	const char *member;
	int (*next)(void *state, json_t **ret_element);
};

/**
 * struct varlink_list - a reply with such arrays, one after the other
 * @arrays:	static; one at least
 * @each_alone:	each element, an object, is the parameters of a reply of its
 *		own; there is one array, and an element at least. For clients
 *		that take several replies: see varlink_call_more().
 * @next_text:	where it is set, in place of each array's @next: makes the next
 *		element as compact JSON, borrowed until it is called again
 * @free:	called once, also when the client went away
 * @broken:	called once after an array said -EOVERFLOW: the last reply is an
 *		error. Only with "more". *@ret_error: its full name, static.
 *		Return: its parameters, a new reference; NULL: out of memory.
 * @patient:	the client may take any time to read
 */
struct varlink_list {
	const struct varlink_array *arrays;
	size_t n_arrays;
	bool each_alone;
	int (*next_text)(void *state, const char **ret_text, size_t *ret_len);
	void (*free)(void *state);
	json_t *(*broken)(void *state, const char **ret_error);
	void *state;
	bool patient;
};

/** varlink_call_more() - Return: does the client take several replies? */
bool varlink_call_more(const struct varlink_call *call);

/** varlink_call_interface() - the first interface that the server serves */
const struct varlink_interface *
varlink_call_interface(const struct varlink_call *call);

/** varlink_call_string() - a parameter's value
 * Return: borrowed from the call; NULL when it was not given. */
const char *varlink_call_string(const struct varlink_call *call,
				const char *name);

/** varlink_call_bool() - a parameter's value
 * Return: false also when it was not given. */
bool varlink_call_bool(const struct varlink_call *call, const char *name);

/** varlink_call_parameters() - all of them
 * Return: an object, borrowed from the call, or NULL. */
const json_t *varlink_call_parameters(const struct varlink_call *call);

/** varlink_call_uid() - Return: who opened the connection, by SO_PEERCRED. */
uid_t varlink_call_uid(const struct varlink_call *call);

/** varlink_call_in_group() - Return: was the process that opened the connection
 * in this group then? Only before the handler returns. */
bool varlink_call_in_group(const struct varlink_call *call, gid_t gid);

/** varlink_call_connection() - Return: the connection's number, that no other
 * connection has or had. */
uint64_t varlink_call_connection(const struct varlink_call *call);

/**
 * varlink_call_keep_connection() - something ends with the connection: it never
 * makes way for others
 *
 * Before the handler returns.
 * Return: 0; -ENOSPC: too many connections are kept.
 */
int varlink_call_keep_connection(struct varlink_call *call);

/**
 * varlink_call_take_fd() - takes the descriptor that came with the call
 *
 * Before the handler returns: one that nobody took is closed then.
 * Return: a descriptor of anything, the caller's, to be closed by
 * close_foreign(); -1: there is none.
 */
int varlink_call_take_fd(struct varlink_call *call);

/**
 * varlink_call_defer() - the reply comes later, when the handler has returned
 * @cancelled:	called instead when the client goes away before, or the server
 *		ends; the call is gone then
 *
 * Until the reply the connection's further calls wait. Parameters are not kept.
 * The connection ends without a reply after VARLINK_TIMEOUT_US; see
 * varlink_call_extend().
 * Return: the call to reply to, once; NULL: out of memory, reply at once.
 */
struct varlink_call *varlink_call_defer(struct varlink_call *call,
					void (*cancelled)(void *state),
					void *state);

/** varlink_call_extend() - the reply to a deferred call may take @us longer */
void varlink_call_extend(struct varlink_call *call, uint64_t us);

/** varlink_reply() - answers. @parameters: taken; NULL is out of memory */
void varlink_reply(struct varlink_call *call, json_t *parameters);

/**
 * varlink_reply_list() - answers with @parameters and the arrays of @list
 * @parameters:	an object, taken; NULL is out of memory
 * @list:	copied; its state is taken
 *
 * A client that called with "more" gets several replies of some kilobytes,
 * others get one. In all replies but the first the arrays in @parameters are
 * empty, and its other members are repeated. Elements are made as the client
 * reads, and no more of them than it reads.
 */
void varlink_reply_list(struct varlink_call *call, json_t *parameters,
			const struct varlink_list *list);

/**
 * varlink_call_output() - what a list that waits is woken by
 * Return: borrowed; valid until the list's @free is called.
 */
struct varlink_output *varlink_call_output(struct varlink_call *call);

/**
 * varlink_output_wake() - the list that said -EAGAIN may be asked again
 *
 * Not from within @next. Does nothing unless the list waits. Ends the
 * connection, and so calls @free, when it cannot be polled any more.
 */
void varlink_output_wake(struct varlink_output *output);

/**
 * varlink_error() - fails the call
 * @error:	of the server's first interface, without its name
 * @parameters:	taken; NULL is out of memory
 */
void varlink_error(struct varlink_call *call, const char *error,
		   json_t *parameters);

/**
 * varlink_service_error() - fails the call as Varlink itself defines
 * @error:	of org.varlink.service, without its name
 * @key, @value: its one parameter, of any bytes
 */
void varlink_service_error(struct varlink_call *call, const char *error,
			   const char *key, const char *value);

/** varlink_expected_more() - fails the call as Varlink itself defines: a client
 * that takes one reply only gets none */
void varlink_expected_more(struct varlink_call *call);

/**
 * varlink_invalid_parameter() - fails the call as Varlink itself defines, and
 * says why
 * @parameter:	its name, of any bytes
 * @message:	what was expected
 */
void varlink_invalid_parameter(struct varlink_call *call, const char *parameter,
			       const char *message);

#endif
