// SPDX-License-Identifier: Apache-2.0
/* print_json.c - prints replies as one JSON object, as they come
 *
 * A list may be longer than what fits into memory. So its elements are printed
 * when they come, with the blanks that jansson would have put before them.
 */
#include "ctl/print_json.h"

#include <string.h>

#include "common/util.h"

#define INDENT 2

/**
 * struct print_json - how far the object is printed
 * @arrays:	the names of all arrays, in the order of the first reply; NULL:
 *		there was none
 * @current:	the array whose elements are being printed
 * @members, @elements: how many are printed, of the object and of that array
 */
struct print_json {
	FILE *out;
	json_t *arrays;
	size_t current;
	size_t members;
	size_t elements;
};

/** struct nested - a value inside the object, @depth levels down */
struct nested {
	FILE *out;
	int depth;
};

static int nested_write(const char *text, size_t len, void *user_data)
{
	const struct nested *nested = user_data;

	for (size_t i = 0; i < len; i++) {
		if (putc_unlocked(text[i], nested->out) == EOF)
			return -1;
		/* A line break inside a string is an escape sequence. */
		if (text[i] == '\n' &&
		    fprintf(nested->out, "%*s", nested->depth * INDENT, "") < 0)
			return -1;
	}
	return 0;
}

static int print_value(FILE *out, const json_t *value, int depth)
{
	struct nested nested = { .out = out, .depth = depth };

	return json_dump_callback(value, nested_write, &nested,
				  JSON_INDENT(INDENT) | JSON_ENCODE_ANY) < 0
		       ? -EIO
		       : 0;
}

/* Ends what is before it, and prints the name of the next member. */
static int print_key(struct print_json *print, const char *key)
{
	json_t *name = json_string(key);
	int r = name ? 0 : -ENOMEM;

	if (r == 0 && fprintf(print->out, "%s\n%*s",
			      print->members > 0 ? "," : "", INDENT, "") < 0)
		r = -EIO;
	if (r == 0)
		r = print_value(print->out, name, 0);
	if (r == 0 && fputs(": ", print->out) == EOF)
		r = -EIO;
	print->members++;
	json_decref(name);
	return r;
}

static int print_head(struct print_json *print, const json_t *parameters)
{
	const char *key;
	json_t *value;
	int r = 0;

	print->arrays = json_array();
	if (!print->arrays)
		return -ENOMEM;
	if (fputc('{', print->out) == EOF)
		return -EIO;
	json_object_foreach ((json_t *)parameters, key, value) {
		if (json_is_array(value)) {
			if (json_array_append_new(print->arrays,
						  json_string(key)) < 0)
				return -ENOMEM;
			continue;
		}
		r = print_key(print, key);
		if (r == 0)
			r = print_value(print->out, value, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *array_name(const struct print_json *print, size_t index)
{
	return json_string_value(json_array_get(print->arrays, index));
}

/* Ends the current array, which may be empty. */
static int end_array(struct print_json *print)
{
	int r = 0;

	if (print->elements == 0)
		r = print_key(print, array_name(print, print->current));
	if (r == 0 && (print->elements == 0
			       ? fputs("[]", print->out)
			       : fprintf(print->out, "\n%*s]", INDENT, "")) < 0)
		r = -EIO;
	print->current++;
	print->elements = 0;
	return r;
}

static int print_element(struct print_json *print, const json_t *element)
{
	int r = 0;

	if (print->elements == 0) {
		r = print_key(print, array_name(print, print->current));
		if (r == 0 && fputc('[', print->out) == EOF)
			r = -EIO;
	}
	if (r == 0 &&
	    fprintf(print->out, "%s\n%*s", print->elements > 0 ? "," : "",
		    2 * INDENT, "") < 0)
		r = -EIO;
	print->elements++;
	return r < 0 ? r : print_value(print->out, element, 2);
}

static int print_elements(struct print_json *print, size_t index,
			  const json_t *array)
{
	json_t *element;
	size_t i;
	int r = 0;

	if (json_array_size(array) > 0 && index < print->current)
		return -EPROTO;
	json_array_foreach (array, i, element) {
		while (r == 0 && print->current < index)
			r = end_array(print);
		if (r == 0)
			r = print_element(print, element);
	}
	return r;
}

struct print_json *print_json_new(FILE *out)
{
	struct print_json *print = calloc(1, sizeof(*print));

	if (print)
		print->out = out;
	return print;
}

int print_json_reply(struct print_json *print, const json_t *parameters)
{
	int r = print->arrays ? 0 : print_head(print, parameters);

	for (size_t i = 0; r == 0 && i < json_array_size(print->arrays); i++)
		r = print_elements(print, i,
				   json_object_get(parameters,
						   array_name(print, i)));
	return r;
}

int print_json_end(struct print_json *print)
{
	int r = 0;

	while (r == 0 && print->current < json_array_size(print->arrays))
		r = end_array(print);
	if (r == 0 &&
	    fputs(print->members > 0 ? "\n}\n" : "}\n", print->out) < 0)
		r = -EIO;
	return r;
}

struct print_json *print_json_free(struct print_json *print)
{
	if (!print)
		return NULL;
	json_decref(print->arrays);
	free(print);
	return NULL;
}
