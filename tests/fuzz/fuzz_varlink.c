// SPDX-License-Identifier: Apache-2.0
/* fuzz_varlink.c - any message to the control socket gets an answer or none */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"
#include "daemon/control/varlink_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct varlink_call *call, void *user_data)
{
	(void)user_data;
	varlink_reply(call, json_pack("{s:s*}", "name",
				      varlink_call_string(call, "name")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct varlink_parameter parameters[] = {
		{ "name", false },
	};
	static const struct varlink_method methods[] = {
		{ "Get", parameters, ARRAY_SIZE(parameters), answer },
	};
	static const struct varlink_interface interface = {
		.name = "io.berth",
		.description = "interface io.berth\n",
		.methods = methods,
		.n_methods = ARRAY_SIZE(methods),
	};
	struct varlink_output output = { 0 };
	int r = varlink_dispatch(&interface, NULL, (const char *)data, size,
				 &output);

	assert(r == 0 || (r == -EBADMSG && varlink_output_pending(&output)));
	varlink_output_done(&output);
	return 0;
}
