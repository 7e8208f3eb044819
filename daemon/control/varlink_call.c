// SPDX-License-Identifier: Apache-2.0
/* varlink_call.c - one Varlink call: from a message's text to the reply's
 *
 * A short reply is dumped whole. A list is dumped in pieces while the client
 * reads: neither the array nor its text ever exists as a whole, and the loop
 * never waits for ten thousand elements.
 */
#include "daemon/control/varlink_internal.h"

#include <string.h>

#include "common/util.h"

#define SERVICE_INTERFACE "org.varlink.service"

/* One piece of a list: 50 listeners' worth, half a millisecond of work. */
#define PIECE_BYTES (16 * 1024)

/**
 * struct varlink_call - lives as long as its dispatch, or until its deferred
 * reply
 * @result:	0 or -ENOMEM
 * @cancelled:	with @state: of a deferred one
 */
struct varlink_call {
	const struct varlink_interface *interface;
	void *user_data;
	const json_t *parameters;
	struct varlink_output *output;
	bool oneway;
	bool answered;
	int result;
	bool deferred;
	void (*cancelled)(void *state);
	void *state;
};

static const char service_description[] =
	"# Every Varlink service has this interface: it says what the service\n"
	"# is and which interfaces it implements.\n"
	"interface org.varlink.service\n"
	"\n"
	"# What the service is, and the names of its interfaces.\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"\n"
	"# The description of one of them.\n"
	"method GetInterfaceDescription(interface: string) -> (description: "
	"string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static int output_append(const char *text, size_t len, void *user_data)
{
	struct varlink_output *output = user_data;
	size_t capacity = output->capacity ? output->capacity : 512;
	char *data;

	while (capacity - output->len < len)
		capacity *= 2;
	if (capacity > output->capacity) {
		data = realloc(output->data, capacity);
		if (!data)
			return -1; /* json_dump_callback()'s failure */
		output->data = data;
		output->capacity = capacity;
	}
	memcpy(output->data + output->len, text, len);
	output->len += len;
	return 0;
}

static int output_text(struct varlink_output *output, const char *text)
{
	return output_append(text, strlen(text), output) < 0 ? -ENOMEM : 0;
}

/* The text is ASCII or UTF-8 that jansson checked: only memory can fail. */
static int output_json(struct varlink_output *output, const json_t *json,
		       size_t flags)
{
	flags |= JSON_COMPACT | JSON_ENCODE_ANY;
	return json_dump_callback(json, output_append, output, flags) < 0
		       ? -ENOMEM
		       : 0;
}

static int output_end(struct varlink_output *output)
{
	return output_append("", 1, output) < 0 ? -ENOMEM : 0;
}

bool varlink_output_pending(const struct varlink_output *output)
{
	return output->list_active || output->sent < output->len;
}

static void output_list_done(struct varlink_output *output)
{
	if (output->list_active)
		output->list.free(output->list.state);
	output->list_active = false;
}

void varlink_output_done(struct varlink_output *output)
{
	output_list_done(output);
	free(output->data);
	*output = (struct varlink_output){
		.deferred = output->deferred,
		.wake = output->wake,
	};
}

void varlink_output_cancel(struct varlink_output *output)
{
	struct varlink_call *call = TAKE_PTR(output->deferred);

	if (!call)
		return;
	call->cancelled(call->state);
	free(call);
}

int varlink_output_fill(struct varlink_output *output)
{
	int r;

	if (!output->list_active || output->sent < output->len)
		return 0;
	output->len = output->sent = 0;
	while (output->len < PIECE_BYTES) {
		_cleanup_(json_cleanup) json_t *element = NULL;

		r = output->list.next(output->list.state, &element);
		if (r < 0)
			return r;
		if (r == 0) {
			output_list_done(output);
			r = output_text(output, "]}}");
			return r < 0 ? r : output_end(output);
		}
		if (!output->list_first && output_text(output, ",") < 0)
			return -ENOMEM;
		output->list_first = false;
		if (output_json(output, element, 0) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Takes @parameters; @error is the full name, or NULL. */
static int output_reply(struct varlink_output *output, const char *error,
			json_t *parameters)
{
	_cleanup_(json_cleanup) json_t *reply = json_pack(
		"{s:s*, s:o}", "error", error, "parameters", parameters);

	if (!reply || output_json(output, reply, 0) < 0)
		return -ENOMEM;
	return output_end(output);
}

static int output_own_error(struct varlink_output *output,
			    const struct varlink_interface *interface,
			    const char *error, json_t *parameters)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "%s.%s", interface->name, error);
	return output_reply(output, name, parameters);
}

int varlink_refuse(const struct varlink_interface *interface,
		   const char *message, struct varlink_output *output)
{
	json_t *parameters = json_pack("{s:s}", "message", message);
	int r;

	/* The parser quotes what it choked on, maybe half a character. */
	if (!parameters)
		parameters = json_pack("{s:s}", "message", "not JSON");
	r = output_own_error(output, interface, "InvalidRequest", parameters);
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
	call->result = output_own_error(call->output, call->interface,
					"OutOfMemory", json_object());
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
	deferred->deferred = true;
	deferred->cancelled = cancelled;
	deferred->state = state;
	call->output->deferred = deferred;
	call->answered = true;
	return deferred;
}

/* Takes @parameters; NULL is out of memory, @error the full name or NULL. */
static void call_reply(struct varlink_call *call, const char *error,
		       json_t *parameters)
{
	if (!call_begin(call))
		json_decref(parameters);
	else if (!parameters ||
		 output_reply(call->output, error, parameters) < 0)
		call_out_of_memory(call);
	call_end(call);
}

void varlink_reply(struct varlink_call *call, json_t *parameters)
{
	call_reply(call, NULL, parameters);
}

static int output_list(struct varlink_output *output, json_t *parameters,
		       const struct varlink_list *list)
{
	if (output_text(output, "{\"parameters\":{") < 0)
		return -ENOMEM;
	if (json_object_size(parameters) > 0 &&
	    (output_json(output, parameters, JSON_EMBED) < 0 ||
	     output_text(output, ",") < 0))
		return -ENOMEM;
	if (output_text(output, "\"") < 0 ||
	    output_text(output, list->member) < 0)
		return -ENOMEM;
	return output_text(output, "\":[");
}

/* Return: 0, or -ENOMEM: the state is freed. */
static int output_begin_list(struct varlink_output *output, json_t *parameters,
			     const struct varlink_list *list)
{
	if (!parameters || output_list(output, parameters, list) < 0) {
		list->free(list->state);
		return -ENOMEM;
	}
	output->list = *list;
	output->list_active = true;
	output->list_first = true;
	return 0;
}

void varlink_reply_list(struct varlink_call *call, json_t *parameters,
			const struct varlink_list *list)
{
	_cleanup_(json_cleanup) json_t *head = parameters;

	if (!call_begin(call))
		list->free(list->state);
	else if (output_begin_list(call->output, head, list) < 0)
		call_out_of_memory(call);
	call_end(call);
}

void varlink_error(struct varlink_call *call, const char *error,
		   json_t *parameters)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "%s.%s", call->interface->name,
		       error); /* both are our own */
	call_reply(call, name, parameters);
}

/* An error of org.varlink.service with one parameter, of any bytes. */
static void call_service_error(struct varlink_call *call, const char *error,
			       const char *key, const char *value)
{
	call_reply(call, error, json_pack("{s:s}", key, value));
}

static void call_invalid(struct varlink_call *call, const char *parameter)
{
	call_service_error(call, SERVICE_INTERFACE ".InvalidParameter",
			   "parameter", parameter);
}

const char *varlink_call_string(const struct varlink_call *call,
				const char *name)
{
	return json_string_value(json_object_get(call->parameters, name));
}

static void service_get_info(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_reply(call,
		      json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor",
				"berth", "product", "berthd", "version",
				BERTH_VERSION, "url", "", "interfaces",
				SERVICE_INTERFACE, call->interface->name));
}

static void service_get_description(struct varlink_call *call, void *user_data)
{
	const char *name = varlink_call_string(call, "interface");
	const char *text = NULL;

	(void)user_data;
	if (strcmp(name, SERVICE_INTERFACE) == 0)
		text = service_description;
	else if (strcmp(name, call->interface->name) == 0)
		text = call->interface->description;
	if (text)
		varlink_reply(call, json_pack("{s:s}", "description", text));
	else
		call_service_error(call, SERVICE_INTERFACE ".InterfaceNotFound",
				   "interface", name);
}

static const struct varlink_parameter description_parameters[] = {
	{ "interface", true },
};

static const struct varlink_method service_methods[] = {
	{ .name = "GetInfo", .handler = service_get_info },
	{ .name = "GetInterfaceDescription",
	  .parameters = description_parameters,
	  .n_parameters = ARRAY_SIZE(description_parameters),
	  .handler = service_get_description },
};

static const struct varlink_interface service_interface = {
	.name = SERVICE_INTERFACE,
	.methods = service_methods,
	.n_methods = ARRAY_SIZE(service_methods),
};

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
		if (json_is_string(value))
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
	if (name_is(name, len, call->interface->name))
		return call->interface;
	return name_is(name, len, SERVICE_INTERFACE) ? &service_interface
						     : NULL;
}

static void call_interface_not_found(struct varlink_call *call,
				     const char *name, size_t len)
{
	_cleanup_free_ char *interface = strndup(name, len);

	if (!interface)
		call_out_of_memory(call);
	else
		call_service_error(call, SERVICE_INTERFACE ".InterfaceNotFound",
				   "interface", interface);
}

static void call_run(struct varlink_call *call, const char *name,
		     json_t *parameters)
{
	const char *dot = strrchr(name, '.'), *invalid;
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
		call_service_error(call, SERVICE_INTERFACE ".MethodNotFound",
				   "method", name);
		return;
	}
	invalid = method_check(method, parameters);
	if (invalid) {
		call_invalid(call, invalid);
		return;
	}
	method->handler(call, call->user_data);
	if (!call->answered)
		call_service_error(call,
				   SERVICE_INTERFACE ".MethodNotImplemented",
				   "method", name);
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
		     const char *text, size_t len,
		     struct varlink_output *output)
{
	_cleanup_(json_cleanup) json_t *message = NULL;
	struct varlink_call call = {
		.interface = interface,
		.user_data = user_data,
		.output = output,
	};
	const char *name, *invalid;
	json_t *parameters;
	json_error_t error;

	message = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!message)
		return varlink_refuse(interface, error.text, output);
	name = json_string_value(json_object_get(message, "method"));
	if (!name)
		return varlink_refuse(interface,
				      "expected an object with a \"method\"",
				      output);
	call.oneway = json_is_true(json_object_get(message, "oneway"));
	parameters = json_object_get(message, "parameters");
	if (json_is_null(parameters))
		parameters = NULL;
	call.parameters = parameters;
	invalid = call_check_flags(message);
	if (parameters && !json_is_object(parameters))
		invalid = "parameters";
	if (invalid)
		call_invalid(&call, invalid);
	else
		call_run(&call, name, parameters);
	return call.result;
}
