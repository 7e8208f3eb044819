// SPDX-License-Identifier: Apache-2.0
/* json_node.c - a JSON text as a bounded tree with positions
 *
 * jansson, which the rest of berthd reads JSON with, does not say where in the
 * text a value stands, and libyaml takes no JSON with tabs, and no escaped
 * characters beyond U+FFFF. People shall be told line and column.
 */
#include "rules/json_node.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"

#define BOM "\xef\xbb\xbf"
#define BOM_LEN 3
#define HEX_DIGITS 4 /* of \uXXXX */
#define SURROGATE_HIGH 0xd800u
#define SURROGATE_LOW 0xdc00u
#define SURROGATE_END 0xe000u
#define SURROGATE_BITS 10

/**
 * struct reader - a position in the text
 * @n_nodes:	made so far
 */
struct reader {
	const char *next;
	const char *end;
	unsigned int line;
	unsigned int column;
	unsigned int depth;
	size_t n_nodes;
	struct yaml_problem *problem;
};

static int fail(const struct reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(const struct reader *reader, const char *fmt, ...)
{
	va_list args;

	reader->problem->line = reader->line;
	reader->problem->column = reader->column;
	va_start(args, fmt);
	(void)vsnprintf(reader->problem->message, YAML_PROBLEM_MAX, fmt,
			args); /* cut off, if it must be */
	va_end(args);
	return -EINVAL;
}

static bool at_end(const struct reader *reader)
{
	return reader->next == reader->end;
}

static char peek(const struct reader *reader)
{
	if (at_end(reader))
		return '\0';
	return *reader->next;
}

/* Moves on by one character, of @len bytes. A column is a character. */
static void advance(struct reader *reader, size_t len)
{
	if (*reader->next == '\n') {
		reader->line++;
		reader->column = 1;
	} else {
		reader->column++;
	}
	reader->next += len;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct reader *reader)
{
	while (is_space(peek(reader)))
		advance(reader, 1);
}

static int unexpected(const struct reader *reader, const char *expected)
{
	unsigned char c = (unsigned char)peek(reader);

	if (at_end(reader))
		return fail(reader, "the text ends here, expected %s",
			    expected);
	if (c < 0x20 || c >= 0x7f)
		return fail(reader, "found byte 0x%02x, expected %s", c,
			    expected);
	return fail(reader, "found \"%c\", expected %s", c, expected);
}

static bool take(struct reader *reader, char c)
{
	if (at_end(reader) || *reader->next != c)
		return false;
	advance(reader, 1);
	return true;
}

static int take_hex(struct reader *reader, unsigned int *ret_unit)
{
	unsigned int unit = 0;

	for (int i = 0; i < HEX_DIGITS; i++) {
		char c = peek(reader);

		if (c >= '0' && c <= '9')
			unit = unit * 16 + (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			unit = unit * 16 + (unsigned int)((c | 0x20) - 'a') +
			       10;
		else
			return unexpected(reader, "four hexadecimal digits");
		advance(reader, 1);
	}
	*ret_unit = unit;
	return 0;
}

static size_t put_utf8(char *out, unsigned int c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Behind "\u". Characters beyond U+FFFF are two escapes. */
static int take_unicode(struct reader *reader, char **out)
{
	struct reader begin = *reader;
	unsigned int c = 0, low = 0;
	int r = take_hex(reader, &c);

	if (r < 0)
		return r;
	if (c == 0)
		return fail(&begin, "\\u0000 is in no text that berth knows");
	if (c >= SURROGATE_LOW && c < SURROGATE_END)
		return fail(&begin, "the second half of a character without "
				    "the first");
	if (c >= SURROGATE_HIGH && c < SURROGATE_LOW) {
		if (!take(reader, '\\') || !take(reader, 'u'))
			return fail(&begin, "the first half of a character "
					    "without the second");
		r = take_hex(reader, &low);
		if (r < 0)
			return r;
		if (low < SURROGATE_LOW || low >= SURROGATE_END)
			return fail(&begin, "the first half of a character "
					    "without the second");
		c = 0x10000 + ((c - SURROGATE_HIGH) << SURROGATE_BITS) +
		    (low - SURROGATE_LOW);
	}
	*out += put_utf8(*out, c);
	return 0;
}

/* Behind the backslash. */
static int take_escape(struct reader *reader, char **out)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	char c = peek(reader);
	const char *found = c ? strchr(names, c) : NULL;

	if (take(reader, 'u'))
		return take_unicode(reader, out);
	if (!found)
		return unexpected(reader, "an escape such as \\n or \\u00e9");
	*(*out)++ = values[found - names];
	advance(reader, 1);
	return 0;
}

/* One character of a string, which is not its end. */
static int take_char(struct reader *reader, char **out)
{
	unsigned char c = (unsigned char)*reader->next;
	size_t len = 1;

	if (c == '\\') {
		advance(reader, 1);
		return take_escape(reader, out);
	}
	if (c < 0x20)
		return fail(reader,
			    "byte 0x%02x within a text, expected an escape "
			    "such as \\n, or a double quote at its end",
			    c);
	if (c >= 0x80) {
		/* The text has a NUL behind its end. */
		len = utf8_char_len(reader->next);
		if (len == 0)
			return fail(reader,
				    "byte 0x%02x is no UTF-8, expected text in "
				    "UTF-8",
				    c);
	}
	memcpy(*out, reader->next, len);
	*out += len;
	advance(reader, len);
	return 0;
}

/* How long the string at hand can get: no escape is shorter than what it means.
 */
static size_t string_room(const struct reader *reader)
{
	const char *s = reader->next;

	while (s < reader->end && *s != '"')
		s += *s == '\\' && s + 1 < reader->end ? 2 : 1;
	return (size_t)(s - reader->next) + 1;
}

static int read_string(struct reader *reader, struct yaml_node *node)
{
	char *out;
	int r = 0;

	advance(reader, 1); /* the double quote */
	node->kind = NODE_SCALAR;
	node->text = malloc(string_room(reader));
	if (!node->text)
		return -ENOMEM;
	out = node->text;
	*out = '\0'; /* the caller frees the text, whatever is wrong */
	while (r == 0 && !at_end(reader) && *reader->next != '"')
		r = take_char(reader, &out);
	*out = '\0';
	if (r < 0)
		return r;
	if (take(reader, '"'))
		return 0;
	return unexpected(reader, "a double quote at the end of the text");
}

/* Is it a number as JSON has it? */
static bool is_number(const char *s)
{
	static const char digits[] = "0123456789";

	s += *s == '-';
	if (strspn(s, digits) == 0 || (s[0] == '0' && strspn(s, digits) > 1))
		return false;
	s += strspn(s, digits);
	if (*s == '.') {
		if (strspn(++s, digits) == 0)
			return false;
		s += strspn(s, digits);
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '+' || *s == '-';
		if (strspn(s, digits) == 0)
			return false;
		s += strspn(s, digits);
	}
	return *s == '\0';
}

/* A number, true, false or null. */
static int read_word(struct reader *reader, struct yaml_node *node)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789+-._";
	static const char expected[] = "a value: \"text\", a number, true, "
				       "false, null, [ or {";
	const struct reader begin = *reader;
	size_t len = strspn(reader->next, chars);

	if (len == 0)
		return unexpected(reader, expected);
	node->kind = NODE_SCALAR;
	node->plain = true;
	node->text = strndup(reader->next, len);
	if (!node->text)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		advance(reader, 1);
	if (strcmp(node->text, "true") == 0 ||
	    strcmp(node->text, "false") == 0 ||
	    strcmp(node->text, "null") == 0 || is_number(node->text))
		return 0;
	return fail(&begin, "found \"%.40s\", expected %s", node->text,
		    expected);
}

static int read_value(struct reader *reader, struct yaml_node *node);

/* One more item. What was there may move. */
static struct yaml_node *add_item(struct reader *reader, struct yaml_node *node,
				  size_t *room)
{
	struct yaml_node *items;

	if (node->n == *room) {
		*room = *room ? *room * 2 : 4;
		items = reallocarray(node->items, *room, sizeof(*items));
		if (!items)
			return NULL;
		node->items = items;
	}
	node->items[node->n] = (struct yaml_node){ .kind = NODE_SCALAR,
						   .line = reader->line,
						   .column = reader->column };
	return &node->items[node->n++];
}

static int read_member(struct reader *reader, struct yaml_node *node,
		       size_t *room)
{
	struct yaml_node *key = add_item(reader, node, room), *value;
	int r;

	if (!key)
		return -ENOMEM;
	if (peek(reader) != '"')
		return unexpected(reader, "a key in double quotes");
	if (++reader->n_nodes > YAML_NODES_MAX)
		return fail(reader, "more than %u values", YAML_NODES_MAX);
	r = read_string(reader, key);
	if (r < 0)
		return r;
	skip_space(reader);
	if (!take(reader, ':'))
		return unexpected(reader, "\":\" behind the key");
	skip_space(reader);
	value = add_item(reader, node, room);
	return value ? read_value(reader, value) : -ENOMEM;
}

static int read_element(struct reader *reader, struct yaml_node *node,
			size_t *room)
{
	struct yaml_node *item = add_item(reader, node, room);

	return item ? read_value(reader, item) : -ENOMEM;
}

/* A list, or a mapping, whose items are each a key and its value. */
static int read_items(struct reader *reader, struct yaml_node *node, char end)
{
	const bool mapping = end == '}';
	size_t room = 0;
	int r;

	node->kind = mapping ? NODE_MAPPING : NODE_LIST;
	advance(reader, 1);
	skip_space(reader);
	if (take(reader, end))
		return 0;
	do {
		skip_space(reader);
		r = mapping ? read_member(reader, node, &room)
			    : read_element(reader, node, &room);
		skip_space(reader);
	} while (r == 0 && take(reader, ','));
	if (r < 0)
		return r;
	if (take(reader, end))
		return 0;
	return unexpected(reader,
			  mapping ? "\",\" or \"}\"" : "\",\" or \"]\"");
}

static int read_value(struct reader *reader, struct yaml_node *node)
{
	char c = peek(reader);
	int r;

	node->line = reader->line;
	node->column = reader->column;
	if (++reader->n_nodes > YAML_NODES_MAX)
		return fail(reader, "more than %u values", YAML_NODES_MAX);
	if (c == '"')
		return read_string(reader, node);
	if (c != '{' && c != '[')
		return read_word(reader, node);
	if (reader->depth >= YAML_DEPTH_MAX)
		return fail(reader, "more than %u levels", YAML_DEPTH_MAX);
	reader->depth++;
	r = read_items(reader, node, c == '{' ? '}' : ']');
	reader->depth--;
	return r;
}

static int read_all(struct reader *reader, struct yaml_node *root)
{
	int r;

	if (reader->end - reader->next >= BOM_LEN &&
	    memcmp(reader->next, BOM, BOM_LEN) == 0)
		reader->next += BOM_LEN;
	skip_space(reader);
	r = read_value(reader, root);
	if (r < 0)
		return r;
	skip_space(reader);
	return at_end(reader) ? 0
			      : unexpected(reader, "nothing behind the value");
}

int json_read(const char *text, size_t len, struct yaml_node **ret_root,
	      struct yaml_problem *ret_problem)
{
	struct reader reader = {
		.line = 1,
		.column = 1,
		.problem = ret_problem,
	};
	struct yaml_node *root;
	char *copy;
	int r;

	if (len > YAML_TEXT_MAX) {
		reader.line = reader.column = 0;
		return fail(&reader, "larger than %u KiB, the limit for a file",
			    YAML_TEXT_MAX / 1024);
	}
	/* With a NUL behind it, nothing below can read beyond the end. */
	copy = calloc(1, len + 1);
	root = calloc(1, sizeof(*root));
	if (!copy || !root) {
		free(copy);
		free(root);
		return -ENOMEM;
	}
	if (len > 0)
		memcpy(copy, text, len);
	reader.next = copy;
	reader.end = copy + len;
	r = read_all(&reader, root);
	free(copy);
	if (r < 0)
		yaml_node_free(root);
	else
		*ret_root = root;
	return r;
}
