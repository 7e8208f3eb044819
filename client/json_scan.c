// SPDX-License-Identifier: Apache-2.0
/* json_scan.c - reads JSON text where it lies, without making a tree of it */
#include "client/json_scan.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"

static char *skip_blanks(char *at, const char *end)
{
	while (at < end &&
	       (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* @at: behind the first quote. Return: behind the last one, or NULL. */
static char *skip_string(char *at, const char *end)
{
	for (; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\')
			at++;
	}
	return NULL;
}

/* @at: behind the first bracket. Return: behind the last one, or NULL. */
static char *skip_nested(char *at, const char *end)
{
	size_t depth = 1;

	while (at && at < end) {
		char c = *at++;

		if (c == '"')
			at = skip_string(at, end);
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return NULL;
}

/* A number, true, false or null. */
static char *skip_word(char *at, const char *end)
{
	static const char word[] = "+-.0123456789Eaeflnrstu";
	char *begin = at;

	while (at < end && *at && strchr(word, *at))
		at++;
	return at > begin ? at : NULL;
}

/* Takes one value off the front of @at. */
static int take_value(struct json_span *at, struct json_span *ret_value)
{
	char *end = at->text + at->len;
	char *begin = skip_blanks(at->text, end), *behind;

	if (begin == end)
		return -EPROTO;
	if (*begin == '"')
		behind = skip_string(begin + 1, end);
	else if (*begin == '{' || *begin == '[')
		behind = skip_nested(begin + 1, end);
	else
		behind = skip_word(begin, end);
	if (!behind)
		return -EPROTO;
	*ret_value = (struct json_span){ begin, (size_t)(behind - begin) };
	behind = skip_blanks(behind, end);
	*at = (struct json_span){ behind, (size_t)(end - behind) };
	return 0;
}

static bool take_char(struct json_span *at, char c)
{
	if (at->len == 0 || *at->text != c)
		return false;
	at->text++;
	at->len--;
	return true;
}

static bool is_end(const struct json_span *at)
{
	return at->len == 1 && (*at->text == ']' || *at->text == '}');
}

/* Goes from one element or member to the next; @at begins with the bracket,
 * or with the comma. Return: 1; 0: the end; -EPROTO. */
static int step(struct json_span *at, char bracket)
{
	char *begin;

	if (is_end(at))
		return 0;
	if (!take_char(at, bracket) && !take_char(at, ','))
		return -EPROTO;
	begin = skip_blanks(at->text, at->text + at->len);
	at->len -= (size_t)(begin - at->text);
	at->text = begin;
	return is_end(at) ? 0 : 1;
}

int json_scan_next(struct json_span *at, struct json_span *ret_element)
{
	int r = at->text ? step(at, '[') : 0;

	return r <= 0 ? r : take_value(at, ret_element) < 0 ? -EPROTO : 1;
}

/* As json_scan_next(), of an object. */
static int next_member(struct json_span *at, struct json_span *ret_key,
		       struct json_span *ret_value)
{
	int r = step(at, '{');

	if (r <= 0)
		return r;
	if (take_value(at, ret_key) < 0 || *ret_key->text != '"' ||
	    !take_char(at, ':') || take_value(at, ret_value) < 0)
		return -EPROTO;
	return 1;
}

static bool is_key(struct json_span key, const char *name)
{
	size_t len = strlen(name);

	return key.len == len + 2 && memcmp(key.text + 1, name, len) == 0;
}

int json_scan_find(struct json_span span, const char *name,
		   struct json_span *ret_value)
{
	struct json_span key, value;
	int r = 0;

	if (span.len < 2 || *span.text != '{')
		return 0;
	while ((r = next_member(&span, &key, &value)) > 0) {
		if (!is_key(key, name))
			continue;
		*ret_value = value;
		return 1;
	}
	return r;
}

/* Turns what is between the quotes into a string, where it is. Escape sequences
 * are seldom: jansson reads those. */
static int read_text(struct json_span value, const char **ret_text)
{
	json_t *json;
	size_t len;

	if (*value.text != '"') {
		*ret_text = "";
		return 0;
	}
	*ret_text = value.text + 1;
	if (memchr(value.text, '\\', value.len)) {
		json = json_loadb(value.text, value.len, JSON_DECODE_ANY, NULL);
		if (!json)
			return -EPROTO;
		len = json_string_length(json); /* less than the text has */
		memcpy(value.text + 1, json_string_value(json), len + 1);
		json_decref(json);
		return 0;
	}
	value.text[value.len - 1] = '\0';
	return 0;
}

/* Of a value that is no number, 0. The digits end with the span, whatever is
 * behind it. */
static int64_t read_number(struct json_span value)
{
	char text[sizeof("-9223372036854775808")] = "";

	memcpy(text, value.text,
	       value.len < sizeof(text) ? value.len : sizeof(text) - 1);
	return strtoll(text, NULL, 10);
}

static int read_member(const struct json_member *member, struct json_span value,
		       void *object)
{
	void *to = (char *)object + member->offset;

	switch (member->kind) {
	case JSON_KIND_TEXT:
		return read_text(value, to);
	case JSON_KIND_NUMBER:
		*(int64_t *)to = read_number(value);
		return 0;
	case JSON_KIND_FLAG:
		*(bool *)to = *value.text == 't';
		return 0;
	case JSON_KIND_OBJECT:
		return *value.text == '{'
			       ? json_scan_read(value, member->members, object)
			       : 0;
	}
	return 0;
}

int json_scan_read(struct json_span span, const struct json_member *members,
		   void *object)
{
	const struct json_member *next = members, *member;
	struct json_span key, value;
	int r;

	if (span.len < 2 || *span.text != '{')
		return -EPROTO;
	while ((r = next_member(&span, &key, &value)) > 0) {
		member = next;
		if (!member->name || !is_key(key, member->name)) {
			member = members;
			while (member->name && !is_key(key, member->name))
				member++;
		}
		if (!member->name)
			continue;
		r = read_member(member, value, object);
		if (r < 0)
			break;
		next = member + 1;
	}
	return r;
}
