// SPDX-License-Identifier: Apache-2.0
/* fuzz_held_text.c - what is read without jansson, jansson reads the same */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/consumers/held_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_number(const json_t *json, const char *name, int64_t number)
{
	const json_t *value = json_object_get(json, name);

	assert(value ? json_is_integer(value) &&
			       json_integer_value(value) == number
		     : number == -1);
}

static void compare_text(const json_t *json, const char *name, const char *text)
{
	const json_t *value = json_object_get(json, name);

	assert(value ? json_is_string(value) && text &&
			       strcmp(json_string_value(value), text) == 0
		     : !text);
}

static void compare(const json_t *json, const struct held_members *members)
{
	compare_text(json, "type", "held");
	compare_number(json, "id", members->id);
	compare_number(json, "netns", members->netns_id);
	compare_number(json, "port", members->port);
	compare_text(json, "protocol", members->protocol);
	compare_text(json, "address", members->address);
	compare_text(json, "rule", members->rule);
	assert(json_is_true(json_object_get(json, "draining")) ==
	       members->draining);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct held_members members = { .port = -1 };
	char *text = malloc(size ? size : 1); /* exactly what may be read */
	json_t *json;

	memcpy(text, data, size);
	if (held_text_read(text, size, &members) == 0) {
		json = json_loadb((const char *)data, size,
				  JSON_REJECT_DUPLICATES, NULL);
		assert(json);
		compare(json, &members);
		json_decref(json);
	}
	free(text);
	return 0;
}
