// SPDX-License-Identifier: Apache-2.0
/* register_parse.c - the parameters of Wait */
#include "daemon/control/register_parse.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

/* Of a namespace or container, as people call it: a path at most. */
#define NAME_MAX_BYTES (PATH_MAX - 1)

/**
 * struct reader - reads members of an object, until one is wrong
 * @parameters:	an object, or NULL
 * @keys:	all that the method takes
 * @result:	0, -EINVAL with @problem filled in, or -ENOMEM
 */
struct reader {
	const json_t *parameters;
	const char *const *keys;
	size_t n_keys;
	struct parameter_problem *problem;
	int result;
};

static void __attribute__((format(printf, 3, 4)))
refuse(struct reader *reader, const char *parameter, const char *format, ...)
{
	va_list args;

	if (reader->result < 0)
		return;
	reader->result = -EINVAL;
	reader->problem->parameter = parameter;
	va_start(args, format);
	(void)vsnprintf(reader->problem->expected,
			sizeof(reader->problem->expected), format, args);
	va_end(args);
}

static void refuse_unknown(struct reader *reader)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)reader->parameters, key,
			     value) {
		bool known = false;

		for (size_t i = 0; i < reader->n_keys; i++)
			known = known || strcmp(key, reader->keys[i]) == 0;
		if (!known)
			refuse(reader, key, "there is no such parameter");
	}
}

/* Return: the member, or NULL if it is absent, null, or nobody cares. */
static const json_t *member(const struct reader *reader, const char *key)
{
	const json_t *value = json_object_get(reader->parameters, key);

	return reader->result < 0 || json_is_null(value) ? NULL : value;
}

/* Return: a text of at most @max bytes; "" if it is absent or wrong. */
static const char *read_text(struct reader *reader, const char *key, size_t max)
{
	const json_t *value = member(reader, key);

	if (!value)
		return "";
	if (!json_is_string(value))
		refuse(reader, key, "expected a text");
	else if (strlen(json_string_value(value)) != json_string_length(value))
		refuse(reader, key, "expected a text without NUL");
	else if (json_string_length(value) > max)
		refuse(reader, key, "expected at most %zu bytes, found %zu",
		       max, json_string_length(value));
	else
		return json_string_value(value);
	return "";
}

/* Return: a number from @min to @max; -1 if it is absent or wrong. */
static json_int_t read_number(struct reader *reader, const char *key,
			      json_int_t min, json_int_t max)
{
	const json_t *value = member(reader, key);

	if (!value)
		return -1;
	if (json_is_integer(value) && json_integer_value(value) >= min &&
	    json_integer_value(value) <= max)
		return json_integer_value(value);
	refuse(reader, key,
	       "expected a number from %" JSON_INTEGER_FORMAT
	       " to %" JSON_INTEGER_FORMAT,
	       min, max);
	return -1;
}

static uint64_t read_ms(struct reader *reader, const char *key, json_int_t max,
			json_int_t otherwise)
{
	json_int_t ms = read_number(reader, key, 0, max);

	return (uint64_t)(ms < 0 ? otherwise : ms) * USEC_PER_MSEC;
}

int wait_parse(const json_t *parameters, struct wait_told *ret_told,
	       struct parameter_problem *ret_problem)
{
	static const char *const keys[] = { "name", "timeout_ms" };
	struct reader reader = {
		.parameters = parameters,
		.keys = keys,
		.n_keys = ARRAY_SIZE(keys),
		.problem = ret_problem,
	};
	struct wait_told told = { .name = NULL };

	refuse_unknown(&reader);
	told.name = read_text(&reader, "name", NAME_MAX_BYTES);
	told.timeout_us =
		read_ms(&reader, "timeout_ms", WAIT_MS_MAX, WAIT_MS_DEFAULT);
	if (!*told.name)
		refuse(&reader, "name",
		       "expected the name of a namespace or container");
	if (reader.result == 0)
		*ret_told = told;
	return reader.result;
}
