// SPDX-License-Identifier: Apache-2.0
/* fuzz_varlink.c - any message to the control socket gets an answer or none */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/control/varlink_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_reply(call, json_pack("{s:s*}", "name",
				      varlink_call_string(call, "name")));
}

/* A list of as many elements as the state counts down. */
static int next(void *state, json_t **ret_element)
{
	int *left = state;

	if (*left == 0)
		return 0;
	(*left)--;
	*ret_element = json_string("an element of some length");
	return *ret_element ? 1 : -ENOMEM;
}

static void answer_list(struct varlink_call *call, void *user_data)
{
	static const struct varlink_array arrays[] = {
		{ "first", next },
		{ "second", next },
	};
	int *left = malloc(sizeof(*left));
	const struct varlink_list list = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = free,
		.state = left,
	};

	(void)user_data;
	*left = 1000;
	varlink_reply_list(call,
			   json_pack("{s:s*, s:[i]}", "name",
				     varlink_call_string(call, "name"), "some",
				     1),
			   &list);
}

/* All that is said are whole messages of JSON. */
static void read_all(struct varlink_output *output)
{
	size_t len = 0;
	char *text = NULL;

	while (varlink_output_pending(output)) {
		assert(varlink_output_fill(output) == 0);
		text = realloc(text, len + output->len);
		memcpy(text + len, output->data, output->len);
		len += output->len;
		output->sent = output->len;
	}
	assert(len == 0 || text[len - 1] == '\0');
	for (size_t i = 0; i < len; i += strlen(text + i) + 1) {
		json_t *message = json_loads(text + i, 0, NULL);

		assert(json_is_object(message));
		json_decref(message);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct varlink_parameter parameters[] = {
		{ .name = "name" },
	};
	static const struct varlink_method methods[] = {
		{ .name = "Get",
		  .parameters = parameters,
		  .n_parameters = ARRAY_SIZE(parameters),
		  .handler = answer },
		{ .name = "List",
		  .parameters = parameters,
		  .n_parameters = ARRAY_SIZE(parameters),
		  .handler = answer_list },
	};
	static const struct varlink_interface interface = {
		.name = "io.berth",
		.description = "interface io.berth\n",
		.methods = methods,
		.n_methods = ARRAY_SIZE(methods),
	};
	struct varlink_message message = {
		.text = (const char *)data,
		.len = size,
		.socket = -1,
		.fd = -1,
	};
	struct varlink_output output = { 0 };
	int r = varlink_dispatch(&interface, NULL, &message, &output);

	assert(r == 0 || (r == -EBADMSG && varlink_output_pending(&output)));
	read_all(&output);
	varlink_output_done(&output);
	return 0;
}
