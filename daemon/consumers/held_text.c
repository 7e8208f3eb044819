// SPDX-License-Identifier: Apache-2.0
/* held_text.c - `held` as nearly all consumers write it, read where it lies */
#include "daemon/consumers/held_text.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* Digits that an int64_t has room for, whichever they are. */
#define DIGITS_MAX 18

/* Where a message says what it is. */
#define BEGIN_BYTES 32

enum kind {
	KIND_NUMBER,
	KIND_STRING,
	KIND_BOOL,
};

/**
 * struct value - of a member
 * @text:	of a string: behind its first quote; not ended by 0
 */
struct value {
	enum kind kind;
	int64_t number;
	char *text;
	size_t len;
};

/* The members that are known. */
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} known[] = {
	{ "type", KIND_STRING, SIZE_MAX }, /* is looked at, not kept */
	{ "id", KIND_NUMBER, offsetof(struct held_members, id) },
	{ "netns", KIND_NUMBER, offsetof(struct held_members, netns_id) },
	{ "protocol", KIND_STRING, offsetof(struct held_members, protocol) },
	{ "address", KIND_STRING, offsetof(struct held_members, address) },
	{ "port", KIND_NUMBER, offsetof(struct held_members, port) },
	{ "interface", KIND_STRING, SIZE_MAX }, /* berthd asks the kernel */
	{ "rule", KIND_STRING, offsetof(struct held_members, rule) },
	{ "draining", KIND_BOOL, offsetof(struct held_members, draining) },
};

enum { KNOWN_TYPE, KNOWN_ID, KNOWN_NETNS };

/* What is left of the text. */
struct rest {
	char *at;
	const char *end;
};

static void skip_blanks(struct rest *rest)
{
	while (rest->at < rest->end && strchr(" \t\r\n", *rest->at) &&
	       *rest->at)
		rest->at++;
}

/* Also skips the blanks on both sides. */
static bool take_char(struct rest *rest, char c)
{
	skip_blanks(rest);
	if (rest->at == rest->end || *rest->at != c)
		return false;
	rest->at++;
	skip_blanks(rest);
	return true;
}

static bool take_string(struct rest *rest, struct value *ret)
{
	char *begin;

	if (rest->at == rest->end || *rest->at != '"')
		return false;
	begin = ++rest->at;
	while (rest->at < rest->end && *rest->at >= ' ' && *rest->at < 0x7f &&
	       *rest->at != '"' && *rest->at != '\\')
		rest->at++;
	if (rest->at == rest->end || *rest->at != '"')
		return false;
	*ret = (struct value){
		.kind = KIND_STRING,
		.text = begin,
		.len = (size_t)(rest->at - begin),
	};
	rest->at++;
	return true;
}

static bool take_number(struct rest *rest, struct value *ret)
{
	const char *begin = rest->at;
	int64_t number = 0;

	while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9' &&
	       rest->at - begin < DIGITS_MAX)
		number = number * 10 + (*rest->at++ - '0');
	if (rest->at == begin || (*begin == '0' && rest->at - begin > 1))
		return false;
	*ret = (struct value){ .kind = KIND_NUMBER, .number = number };
	return true;
}

static bool take_word(struct rest *rest, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(rest->end - rest->at) < len ||
	    memcmp(rest->at, word, len) != 0)
		return false;
	rest->at += len;
	return true;
}

static bool take_value(struct rest *rest, struct value *ret)
{
	bool is_true;

	if (take_string(rest, ret) || take_number(rest, ret))
		return true;
	is_true = take_word(rest, "true");
	if (!is_true && !take_word(rest, "false"))
		return false;
	*ret = (struct value){ .kind = KIND_BOOL, .number = is_true };
	return true;
}

static bool is_text(const struct value *value, const char *text)
{
	return value->len == strlen(text) &&
	       memcmp(value->text, text, value->len) == 0;
}

/* Return: the index of the member called @name, or -1. */
static int find(const struct value *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (is_text(name, known[i].name))
			return (int)i;
	}
	return -1;
}

/* A value ends before a comma or a brace, which are read already. */
static void keep(size_t offset, const struct value *value,
		 struct held_members *members)
{
	void *to = (char *)members + offset;

	switch (value->kind) {
	case KIND_NUMBER:
		*(int64_t *)to = value->number;
		break;
	case KIND_STRING:
		value->text[value->len] = '\0';
		*(const char **)to = value->text;
		break;
	case KIND_BOOL:
		*(bool *)to = value->number;
		break;
	}
}

/* Reads one member. Return: its bit; 0: it is not plain. */
static unsigned int take_member(struct rest *rest, struct held_members *members)
{
	struct value name, value;
	int i;

	if (!take_string(rest, &name) || !take_char(rest, ':') ||
	    !take_value(rest, &value))
		return 0;
	i = find(&name);
	if (i < 0 || value.kind != known[i].kind)
		return 0;
	if (i == KNOWN_TYPE && !is_text(&value, "held"))
		return 0;
	if (known[i].offset != SIZE_MAX)
		keep(known[i].offset, &value, members);
	return 1U << i;
}

bool held_text_likely(const char *text, size_t len)
{
	static const char type[] = "\"held\"";

	return memmem(text, len < BEGIN_BYTES ? len : BEGIN_BYTES, type,
		      sizeof(type) - 1) != NULL;
}

int held_text_read(char *text, size_t len, struct held_members *members)
{
	const unsigned int needed = 1U << KNOWN_TYPE | 1U << KNOWN_ID |
				    1U << KNOWN_NETNS;
	struct rest rest = { .at = text, .end = text + len };
	unsigned int seen = 0, bit;

	if (!take_char(&rest, '{'))
		return -EOPNOTSUPP;
	do {
		bit = take_member(&rest, members);
		if (bit == 0 || seen & bit)
			return -EOPNOTSUPP;
		seen |= bit;
	} while (take_char(&rest, ','));
	if (!take_char(&rest, '}') || rest.at != rest.end ||
	    (seen & needed) != needed)
		return -EOPNOTSUPP;
	return 0;
}
