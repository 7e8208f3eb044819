// SPDX-License-Identifier: Apache-2.0
/* json_build.c - JSON made part by part, when any part may lack memory */
#include "daemon/json_build.h"

#include "common/utf8.h"
#include "common/util.h"

json_t *json_text(const char *bytes)
{
	json_t *text = json_string(bytes); /* NULL also for bad UTF-8 */
	_cleanup_free_ char *escaped = NULL;

	if (text)
		return text;
	escaped = utf8_escape(bytes);
	return escaped ? json_string(escaped) : NULL;
}

json_t *json_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

void json_add(json_t **array, json_t *element)
{
	/* Takes the element, and fails when either is NULL. */
	if (json_array_append_new(*array, element) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

void json_put(json_t **object, const char *key, json_t *value)
{
	/* Takes the value, and fails when either is NULL. */
	if (json_object_set_new_nocheck(*object, key, value) == 0)
		return;
	json_decref(*object);
	*object = NULL;
}
