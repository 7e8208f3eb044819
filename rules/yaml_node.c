// SPDX-License-Identifier: Apache-2.0
/* yaml_node.c - a YAML text as a bounded tree with positions
 *
 * libyaml's own document API has no limit of depth and expands aliases. So the
 * tree is built here from libyaml's stream of events, with limits of depth and
 * size, and with the checks that all values share.
 */
#include "rules/yaml_node.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "common/util.h"

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t len;
	size_t n_nodes;
	struct yaml_problem *problem;
};

static int problem_at(struct reader *reader, const yaml_mark_t *mark,
		      const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int problem_at(struct reader *reader, const yaml_mark_t *mark,
		      const char *fmt, ...)
{
	struct yaml_problem *problem = reader->problem;
	va_list args;

	problem->line = (unsigned int)mark->line + 1;
	problem->column = (unsigned int)mark->column + 1;
	va_start(args, fmt);
	/* A long text is cut, because a person reads the message. */
	(void)vsnprintf(problem->message, sizeof(problem->message), fmt, args);
	va_end(args);
	return -EINVAL;
}

/* The position of a byte; columns count characters, as libyaml's do. */
static yaml_mark_t mark_of_offset(const struct reader *reader, size_t offset)
{
	yaml_mark_t mark = { 0 };

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		if (reader->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)reader->text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

/* The byte offset of a position, or the length behind the end. */
static size_t offset_of_mark(const struct reader *reader,
			     const yaml_mark_t *mark)
{
	size_t line = 0, column = 0;

	for (size_t i = 0; i < reader->len; i++) {
		unsigned char c = (unsigned char)reader->text[i];

		if ((c & 0xc0) == 0x80)
			continue;
		if (line == mark->line && column == mark->column)
			return i;
		column++;
		if (c == '\n') {
			line++;
			column = 0;
		}
	}
	return reader->len;
}

/* The byte at a position, or NUL behind the end. */
static char char_at_mark(const struct reader *reader, const yaml_mark_t *mark)
{
	size_t offset = offset_of_mark(reader, mark);

	if (offset >= reader->len)
		return '\0';
	return reader->text[offset];
}

/* Is there a ": " before the position, on its line? */
static bool follows_colon(const struct reader *reader, const yaml_mark_t *mark)
{
	size_t i = offset_of_mark(reader, mark);

	for (; i >= 2 && reader->text[i - 1] != '\n'; i--) {
		if (reader->text[i - 2] == ':' && reader->text[i - 1] == ' ')
			return true;
	}
	return false;
}

/* The hint for a mistake in a mapping or list within braces or brackets, where
 * fewer texts may stand without quotes. Only when it is on one line: over
 * several lines the closing bracket is missing. */
static const char *flow_hint(const struct reader *reader, char c)
{
	const yaml_parser_t *parser = &reader->parser;
	size_t offset = offset_of_mark(reader, &parser->problem_mark);
	char before = '\0';

	if (offset > 0)
		before = reader->text[offset - 1];
	if (!parser->context ||
	    parser->context_mark.line != parser->problem_mark.line)
		return "";
	if (c == '{' && before == '$')
		return " (a text with \"${\" in it must be in quotes here)";
	if (c == '[' && before == '/')
		return " (a text with \"[\" in it must be in quotes here)";
	if (c == ':')
		return " (a text with \":\" in it, such as an IPv6 address, "
		       "must "
		       "be in quotes here; or a comma is missing)";
	return "";
}

/* A hint at what the writer probably meant, for mistakes that libyaml's own
 * words do not explain. */
static const char *syntax_hint(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	char c = char_at_mark(reader, &parser->problem_mark);

	if (c == '\t')
		return " (a tab: indent with spaces)";
	/* libyaml reports an alias without a name at the place behind its
	 * star. */
	if (parser->context && strstr(parser->context, "alias") &&
	    char_at_mark(reader, &parser->context_mark) == '*')
		return " (a pattern that begins with \"*\" must be in quotes)";
	if (parser->context &&
	    char_at_mark(reader, &parser->context_mark) == '!')
		return " (a text that begins with \"!\" must be in quotes)";
	/* Without another colon on the line, the indentation is wrong. */
	if (!parser->context && c == ':' &&
	    follows_colon(reader, &parser->problem_mark))
		return " (a text with \": \" in it must be in quotes)";
	if (c == '@' || c == '`' || (c == '%' && parser->problem_mark.column))
		return " (a text that begins with this must be in quotes)";
	return flow_hint(reader, c);
}

/* Turns what libyaml says of the text into a problem. */
static int syntax_problem(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	yaml_mark_t mark = parser->problem_mark;
	const char *what = parser->problem ? parser->problem : "unknown";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		mark = mark_of_offset(reader, parser->problem_offset);
		return problem_at(reader, &mark, "not UTF-8 text: %s", what);
	}
	if (!parser->context)
		return problem_at(reader, &mark, "not valid YAML: %s%s", what,
				  syntax_hint(reader));
	return problem_at(reader, &mark, "not valid YAML: %s%s, %s at line %zu",
			  what, syntax_hint(reader), parser->context,
			  parser->context_mark.line + 1);
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
	if (!yaml_parser_parse(&reader->parser, event))
		return syntax_problem(reader);
	return 0;
}

static void node_clear(struct yaml_node *node)
{
	for (size_t i = 0; i < node->n; i++)
		node_clear(&node->items[i]);
	free(node->items);
	free(node->text);
}

struct yaml_node *yaml_node_free(struct yaml_node *root)
{
	if (root) {
		node_clear(root);
		free(root);
	}
	return NULL;
}

bool yaml_node_is_null(const struct yaml_node *node)
{
	static const char *const names[] = { "", "~", "null", "Null", "NULL" };

	if (node->kind != NODE_SCALAR || !node->plain)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(node->text, names[i]) == 0)
			return true;
	}
	return false;
}

/* Room for one more item, zeroed; NULL: out of memory. */
static struct yaml_node *node_append(struct yaml_node *node)
{
	struct yaml_node *items;

	/* The capacity is the next power of two. */
	if ((node->n & (node->n - 1)) == 0) {
		items = realloc(node->items,
				(node->n ? node->n * 2 : 1) * sizeof(*items));
		if (!items)
			return NULL;
		node->items = items;
	}
	node->items[node->n] = (struct yaml_node){ 0 };
	return &node->items[node->n++];
}

static int check_anchor_and_tag(struct reader *reader,
				const yaml_event_t *event, const char *anchor,
				const char *tag)
{
	const yaml_mark_t *mark = &event->start_mark;

	if (anchor)
		return problem_at(reader, mark,
				  "anchor \"&%.40s\": anchors and aliases are "
				  "not accepted",
				  anchor);
	if (tag && tag[0] == '!')
		return problem_at(reader, mark,
				  "YAML tag \"%.40s\": a text that begins with "
				  "\"!\" must be in quotes",
				  tag);
	if (tag)
		return problem_at(reader, mark,
				  "YAML tag \"%.40s\": tags are not accepted",
				  tag);
	return 0;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event,
		       struct yaml_node *node)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	int r;

	r = check_anchor_and_tag(reader, event,
				 (const char *)event->data.scalar.anchor,
				 (const char *)event->data.scalar.tag);
	if (r < 0)
		return r;
	if (memchr(value, '\0', len))
		return problem_at(reader, &event->start_mark,
				  "a text with a NUL character in it");
	node->kind = NODE_SCALAR;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = strndup(value, len);
	return node->text ? 0 : -ENOMEM;
}

static int read_node(struct reader *reader, const yaml_event_t *event,
		     unsigned int depth, struct yaml_node *node);

/* Reads items until the event that ends the list or mapping. */
static int read_items(struct reader *reader, yaml_event_type_t end,
		      unsigned int depth, struct yaml_node *node)
{
	yaml_event_t event;
	bool done = false;
	int r = 0;

	while (!done) {
		struct yaml_node *item;

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		done = event.type == end;
		if (!done) {
			item = node_append(node);
			r = item ? read_node(reader, &event, depth + 1, item)
				 : -ENOMEM;
		}
		yaml_event_delete(&event);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_collection(struct reader *reader, const yaml_event_t *event,
			   unsigned int depth, struct yaml_node *node)
{
	bool list = event->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *anchor = list ? event->data.sequence_start.anchor
					 : event->data.mapping_start.anchor;
	const yaml_char_t *tag = list ? event->data.sequence_start.tag
				      : event->data.mapping_start.tag;
	int r;

	r = check_anchor_and_tag(reader, event, (const char *)anchor,
				 (const char *)tag);
	if (r < 0)
		return r;
	if (depth >= YAML_DEPTH_MAX)
		return problem_at(reader, &event->start_mark,
				  "nested more than %u levels deep",
				  YAML_DEPTH_MAX);
	node->kind = list ? NODE_LIST : NODE_MAPPING;
	return read_items(
		reader, list ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT,
		depth, node);
}

static int read_node(struct reader *reader, const yaml_event_t *event,
		     unsigned int depth, struct yaml_node *node)
{
	node->line = (unsigned int)event->start_mark.line + 1;
	node->column = (unsigned int)event->start_mark.column + 1;
	if (++reader->n_nodes > YAML_NODES_MAX)
		return problem_at(reader, &event->start_mark,
				  "more than %u values in one file",
				  YAML_NODES_MAX);
	if (event->type == YAML_ALIAS_EVENT)
		return problem_at(reader, &event->start_mark,
				  "alias \"*%.40s\": anchors and aliases are "
				  "not accepted; a text that begins with "
				  "\"*\" must be in quotes",
				  (const char *)event->data.alias.anchor);
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(reader, event, node);
	return read_collection(reader, event, depth, node);
}

/* Reads the first document's root; NULL in *ret_root when there is none. */
static int read_root(struct reader *reader, struct yaml_node **ret_root)
{
	struct yaml_node *root = NULL;
	yaml_event_t event;
	int r;

	do {
		r = next_event(reader, &event);
		if (r < 0)
			break;
		if (event.type == YAML_DOCUMENT_START_EVENT && root)
			r = problem_at(reader, &event.start_mark,
				       "a second document, expected one per "
				       "file");
		else if (event.type == YAML_SCALAR_EVENT ||
			 event.type == YAML_ALIAS_EVENT ||
			 event.type == YAML_SEQUENCE_START_EVENT ||
			 event.type == YAML_MAPPING_START_EVENT) {
			root = calloc(1, sizeof(*root));
			r = root ? read_node(reader, &event, 0, root) : -ENOMEM;
		}
		if (event.type == YAML_STREAM_END_EVENT) {
			yaml_event_delete(&event);
			*ret_root = root;
			return 0;
		}
		yaml_event_delete(&event);
	} while (r == 0);
	yaml_node_free(root);
	return r;
}

/* Refuses a text that begins with the byte order mark of UTF-16, and skips
 * that of UTF-8. */
static int check_byte_order_mark(struct reader *reader)
{
	static const yaml_mark_t begin;

	if (reader->len >= 2 && (memcmp(reader->text, "\xff\xfe", 2) == 0 ||
				 memcmp(reader->text, "\xfe\xff", 2) == 0))
		return problem_at(reader, &begin,
				  "UTF-16 text, expected UTF-8");
	if (reader->len >= 3 && memcmp(reader->text, "\xef\xbb\xbf", 3) == 0) {
		reader->text += 3;
		reader->len -= 3;
	}
	return 0;
}

int yaml_read(const char *text, size_t len, struct yaml_node **ret_root,
	      struct yaml_problem *ret_problem)
{
	struct reader reader = { .text = text,
				 .len = len,
				 .problem = ret_problem };
	int r;

	*ret_problem = (struct yaml_problem){ 0 };
	if (len > YAML_TEXT_MAX) {
		(void)snprintf(ret_problem->message,
			       sizeof(ret_problem->message),
			       "larger than %u KiB, the limit for a file",
			       YAML_TEXT_MAX / 1024);
		return -EINVAL;
	}
	r = check_byte_order_mark(&reader);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&reader.parser))
		return -ENOMEM;
	/* Without this, libyaml would guess the encoding, and accept UTF-16. */
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&reader.parser, (const unsigned char *)reader.text, reader.len);
	r = read_root(&reader, ret_root);
	yaml_parser_delete(&reader.parser);
	return r;
}
