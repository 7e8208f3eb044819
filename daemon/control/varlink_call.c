// SPDX-License-Identifier: Apache-2.0
/* varlink_call.c - one Varlink call, from a message's text to its reply */
#include "daemon/control/varlink_call.h"

#include <string.h>

#include "common/util.h"
#include "daemon/control/varlink_service.h"
#include "daemon/socket_access.h"

/* "org.example.interface.Error": both parts are our own and short. */
#define ERROR_NAME_MAX 256

/**
 * struct varlink_call - lives as long as its dispatch, or until its deferred
 * reply
 * @interface:	the server's first
 * @oneway:	the client wants no reply
 * @more:	the client takes several replies
 * @message:	while its handler runs; then NULL
 * @connection, @uid: as in struct varlink_message
 * @result:	0 or -ENOMEM
 * @cancelled:	with @state: of a deferred one
 */
struct varlink_call {
	const struct varlink_interface *interface;
	void *user_data;
	const json_t *parameters;
	struct varlink_message *message;
	uint64_t connection;
	uid_t uid;
	struct varlink_output *output;
	bool oneway;
	bool more;
	bool answered;
	int result;
	bool deferred;
	void (*cancelled)(void *state);
	void *state;
};

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

const struct varlink_interface *
varlink_call_interface(const struct varlink_call *call)
{
	return call->interface;
}

const char *varlink_call_string(const struct varlink_call *call,
				const char *name)
{
	return json_string_value(json_object_get(call->parameters, name));
}

bool varlink_call_bool(const struct varlink_call *call, const char *name)
{
	return json_is_true(json_object_get(call->parameters, name));
}

const json_t *varlink_call_parameters(const struct varlink_call *call)
{
	return call->parameters;
}

bool varlink_call_more(const struct varlink_call *call)
{
	return call->more;
}

uid_t varlink_call_uid(const struct varlink_call *call)
{
	return call->uid;
}

bool varlink_call_in_group(const struct varlink_call *call, gid_t gid)
{
	return call->message &&
	       socket_access_in_group(call->message->socket, gid);
}

uint64_t varlink_call_connection(const struct varlink_call *call)
{
	return call->connection;
}

int varlink_call_keep_connection(struct varlink_call *call)
{
	if (!call->message || !call->message->may_keep)
		return -ENOSPC;
	call->message->keep = true;
	return 0;
}

int varlink_call_take_fd(struct varlink_call *call)
{
	return call->message ? TAKE_FD(call->message->fd) : -1;
}

struct varlink_output *varlink_call_output(struct varlink_call *call)
{
	return call->output;
}

void varlink_cancel(struct varlink_output *output)
{
	struct varlink_call *call = TAKE_PTR(output->deferred);

	if (!call)
		return;
	call->cancelled(call->state);
	free(call);
}

static int own_error(struct varlink_output *output,
		     const struct varlink_interface *interface,
		     const char *error, json_t *parameters)
{
	char name[ERROR_NAME_MAX];

	(void)snprintf(name, sizeof(name), "%s.%s", interface->name, error);
	return varlink_output_reply(output, name, parameters);
}

int varlink_refuse(const struct varlink_interface *interface,
		   const char *message, struct varlink_output *output)
{
	json_t *parameters = json_pack("{s:s}", "message", message);
	int r;

	/* The parser quotes what it choked on, maybe half a character. */
	if (!parameters)
		parameters = json_pack("{s:s}", "message", "not JSON");
	r = own_error(output, interface, "InvalidRequest", parameters);
	return r < 0 ? r : -EBADMSG;
}

/* Before a reply: false when there is to be none. */
static bool call_begin(struct varlink_call *call)
{
	call->answered = true;
	return !call->oneway;
}

static void call_out_of_memory(struct varlink_call *call)
{
	/* What was built is gone, so the little that this takes is there. */
	varlink_output_done(call->output);
	call->result = own_error(call->output, call->interface, "OutOfMemory",
				 json_object());
}

/* After a reply: a deferred call is over. */
static void call_end(struct varlink_call *call)
{
	struct varlink_output *output = call->output;
	int result = call->result;

	if (!call->deferred)
		return;
	output->deferred = NULL;
	free(call);
	output->wake(output, result);
}

struct varlink_call *varlink_call_defer(struct varlink_call *call,
					void (*cancelled)(void *state),
					void *state)
{
	struct varlink_call *deferred = malloc(sizeof(*deferred));

	if (!deferred)
		return NULL;
	*deferred = *call;
	deferred->parameters = NULL; /* they go with the message */
	deferred->message = NULL;
	deferred->deferred = true;
	deferred->cancelled = cancelled;
	deferred->state = state;
	call->output->deferred = deferred;
	call->output->extra_us = 0;
	call->answered = true;
	return deferred;
}

void varlink_call_extend(struct varlink_call *call, uint64_t us)
{
	call->output->extra_us = us;
}

/* Takes @parameters; NULL is out of memory, @error the full name or NULL. */
static void call_reply(struct varlink_call *call, const char *error,
		       json_t *parameters)
{
	if (!call_begin(call))
		json_decref(parameters);
	else if (!parameters ||
		 varlink_output_reply(call->output, error, parameters) < 0)
		call_out_of_memory(call);
	call_end(call);
}

void varlink_reply(struct varlink_call *call, json_t *parameters)
{
	call_reply(call, NULL, parameters);
}

void varlink_reply_list(struct varlink_call *call, json_t *parameters,
			const struct varlink_list *list)
{
	if (!call_begin(call)) {
		json_decref(parameters);
		list->free(list->state);
	} else if (varlink_output_list(call->output, parameters, list,
				       call->more) < 0) {
		call_out_of_memory(call);
	}
	call_end(call);
}

void varlink_error(struct varlink_call *call, const char *error,
		   json_t *parameters)
{
	char name[ERROR_NAME_MAX];

	(void)snprintf(name, sizeof(name), "%s.%s", call->interface->name,
		       error);
	call_reply(call, name, parameters);
}

void varlink_service_error(struct varlink_call *call, const char *error,
			   const char *key, const char *value)
{
	char name[ERROR_NAME_MAX];

	(void)snprintf(name, sizeof(name), VARLINK_SERVICE ".%s", error);
	call_reply(call, name, json_pack("{s:s}", key, value));
}

void varlink_expected_more(struct varlink_call *call)
{
	call_reply(call, VARLINK_SERVICE ".ExpectedMore", json_object());
}

void varlink_invalid_parameter(struct varlink_call *call, const char *parameter,
			       const char *message)
{
	call_reply(call, VARLINK_SERVICE ".InvalidParameter",
		   json_pack("{s:s, s:s}", "parameter", parameter, "message",
			     message));
}

static void call_invalid(struct varlink_call *call, const char *parameter)
{
	varlink_service_error(call, "InvalidParameter", "parameter", parameter);
}

static bool method_takes(const struct varlink_method *method, const char *key)
{
	for (size_t i = 0; i < method->n_parameters; i++) {
		if (strcmp(method->parameters[i].name, key) == 0)
			return true;
	}
	return false;
}

/* The name of what is wrong with the parameters, or NULL. */
static const char *method_check(const struct varlink_method *method,
				json_t *parameters)
{
	const char *key;
	json_t *value;

	for (size_t i = 0; i < method->n_parameters; i++) {
		key = method->parameters[i].name;
		value = json_object_get(parameters, key);
		if (method->parameters[i].is_bool ? json_is_boolean(value)
						  : json_is_string(value))
			continue;
		if ((value && !json_is_null(value)) ||
		    method->parameters[i].required)
			return key;
	}
	json_object_foreach (parameters, key, value) {
		if (!method_takes(method, key))
			return key;
	}
	return NULL;
}

static const struct varlink_method *
find_method(const struct varlink_interface *interface, const char *name)
{
	for (size_t i = 0; i < interface->n_methods; i++) {
		if (strcmp(interface->methods[i].name, name) == 0)
			return &interface->methods[i];
	}
	return NULL;
}

static bool name_is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

static const struct varlink_interface *
find_interface(const struct varlink_call *call, const char *name, size_t len)
{
	const struct varlink_interface *own;

	for (own = call->interface; own; own = own->next) {
		if (name_is(name, len, own->name))
			return own;
	}
	return name_is(name, len, VARLINK_SERVICE) ? &varlink_service_interface
						   : NULL;
}

static void call_interface_not_found(struct varlink_call *call,
				     const char *name, size_t len)
{
	_cleanup_free_ char *interface = strndup(name, len);

	if (!interface)
		call_out_of_memory(call);
	else
		varlink_service_error(call, "InterfaceNotFound", "interface",
				      interface);
}

static void call_run(struct varlink_call *call, const char *name,
		     json_t *parameters)
{
	const char *dot = strrchr(name, '.'), *invalid, *refusal;
	const struct varlink_interface *interface = NULL;
	const struct varlink_method *method = NULL;

	if (dot)
		interface = find_interface(call, name, (size_t)(dot - name));
	if (dot && !interface) {
		call_interface_not_found(call, name, (size_t)(dot - name));
		return;
	}
	if (dot)
		method = find_method(interface, dot + 1);
	if (!method) {
		varlink_service_error(call, "MethodNotFound", "method", name);
		return;
	}
	refusal = interface->refuse
			  ? interface->refuse(call, method, call->user_data)
			  : NULL;
	if (refusal) {
		varlink_error(call, "NotPermitted",
			      json_pack("{s:s}", "reason", refusal));
		return;
	}
	invalid = method->takes_any ? NULL : method_check(method, parameters);
	if (invalid) {
		call_invalid(call, invalid);
		return;
	}
	method->handler(call, call->user_data);
	if (!call->answered)
		varlink_service_error(call, "MethodNotImplemented", "method",
				      name);
}

/* The name of a flag that is none, or of one that asks too much, or NULL. */
static const char *call_check_flags(const json_t *message)
{
	static const char *const flags[] = { "oneway", "more", "upgrade" };
	const json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		value = json_object_get(message, flags[i]);
		if (value && !json_is_boolean(value) && !json_is_null(value))
			return flags[i];
	}
	/* There is no other protocol that the connection could speak. */
	return json_is_true(json_object_get(message, "upgrade")) ? "upgrade"
								 : NULL;
}

int varlink_dispatch(const struct varlink_interface *interface, void *user_data,
		     struct varlink_message *message,
		     struct varlink_output *output)
{
	_cleanup_(json_cleanup) json_t *root = NULL;
	struct varlink_call call = {
		.interface = interface,
		.user_data = user_data,
		.message = message,
		.connection = message->connection,
		.uid = message->uid,
		.output = output,
	};
	const char *name, *invalid;
	json_t *parameters;
	json_error_t error;

	root = json_loadb(message->text, message->len, JSON_REJECT_DUPLICATES,
			  &error);
	if (!root)
		return varlink_refuse(interface, error.text, output);
	name = json_string_value(json_object_get(root, "method"));
	if (!name)
		return varlink_refuse(interface,
				      "expected an object with a \"method\"",
				      output);
	call.oneway = json_is_true(json_object_get(root, "oneway"));
	call.more = json_is_true(json_object_get(root, "more"));
	parameters = json_object_get(root, "parameters");
	if (json_is_null(parameters))
		parameters = NULL;
	call.parameters = parameters;
	invalid = call_check_flags(root);
	if (parameters && !json_is_object(parameters))
		invalid = "parameters";
	if (invalid)
		call_invalid(&call, invalid);
	else
		call_run(&call, name, parameters);
	return call.result;
}
