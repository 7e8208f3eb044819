// SPDX-License-Identifier: Apache-2.0
/* parse_values.c - the scalars of the language: texts, numbers, times, sizes */
#include <inttypes.h>
#include <string.h>

#include "common/service.h"
#include "common/util.h"
#include "rules/parse.h"

/* The name of a consumer is a file's name, and fits a column of a table. */
#define CONSUMER_NAME_MAX 64u

/* C0, DEL and, in UTF-8, C1: nothing that a terminal would act on. */
static bool has_control(const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (*s < 0x20 || *s == 0x7f ||
		    (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f))
			return true;
	}
	return false;
}

bool parse_text(struct parse *parse, const struct yaml_node *node,
		const char *what, const char *expected, const char **ret_text)
{
	if (node->kind != NODE_SCALAR || yaml_node_is_null(node))
		return parse_error(parse, node, "%s is %s, expected %s", what,
				   FOUND(node), expected);
	if (!*node->text)
		return parse_error(parse, node, "%s is empty, expected %s",
				   what, expected);
	if (has_control(node->text))
		return parse_error(parse, node,
				   "%s is %s, which has a control character in "
				   "it",
				   what, QUOTE(node->text));
	*ret_text = node->text;
	return true;
}

bool node_bool(const struct yaml_node *node, bool *ret_value)
{
	/* The words of YAML 1.1, without its single letters. */
	static const struct {
		const char *text;
		bool value;
	} words[] = {
		{ "true", true },   { "yes", true }, { "on", true },
		{ "false", false }, { "no", false }, { "off", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (node->kind == NODE_SCALAR && node->plain &&
		    strcasecmp(node->text, words[i].text) == 0) {
			*ret_value = words[i].value;
			return true;
		}
	}
	return false;
}

bool parse_bool(struct parse *parse, const struct yaml_node *node,
		const char *what, bool *ret_value)
{
	if (node_bool(node, ret_value))
		return true;
	return parse_error(parse, node, "%s is %s, expected true or false",
			   what, FOUND(node));
}

/* Digits up to *ret_end; no sign, no space. False: none, or too large. */
static bool digits(const char *text, unsigned int base, uint64_t *ret_value,
		   const char **ret_end)
{
	uint64_t value = 0;
	const char *s = text;

	for (;; s++) {
		unsigned int digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned int)(*s - 'A') + 10;
		else
			break;
		if (digit >= base)
			break;
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*ret_value = value;
	*ret_end = s;
	return s != text;
}

static bool scalar_digits(const struct yaml_node *node, uint64_t *ret_value,
			  const char **ret_end)
{
	const char *text = node->text;

	if (node->kind != NODE_SCALAR)
		return false;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return digits(text + 2, 16, ret_value, ret_end);
	/* YAML 1.1 would read 010 as 8, which no writer expects: a leading
	 * zero is refused. */
	if (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		return false;
	return digits(text, 10, ret_value, ret_end);
}

bool parse_number(struct parse *parse, const struct yaml_node *node,
		  const char *what, uint64_t min, uint64_t max,
		  uint64_t *ret_value)
{
	const char *end;
	uint64_t value;

	if (!scalar_digits(node, &value, &end) || *end || value < min ||
	    value > max)
		return parse_error(parse, node,
				   "%s is %s, expected a number from %" PRIu64
				   " to %" PRIu64,
				   what, FOUND(node), min, max);
	*ret_value = value;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* Reads a number that one of the units follows. Return: false when it is no
 * number, too large, or followed by something else. */
static bool parse_unit(const struct yaml_node *node, const struct unit *units,
		       size_t n, uint64_t *ret_value)
{
	const char *end;
	uint64_t value;

	if (!scalar_digits(node, &value, &end))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (value > UINT64_MAX / units[i].factor)
			return false;
		*ret_value = value * units[i].factor;
		return true;
	}
	return false;
}

bool parse_size(struct parse *parse, const struct yaml_node *node,
		const char *what, uint64_t max_bytes, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "KiB", UINT64_C(1) << 10 },
		{ "MiB", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 },
	};
	uint64_t bytes;

	if (!parse_unit(node, units, ARRAY_SIZE(units), &bytes) || bytes < 1 ||
	    bytes > max_bytes)
		return parse_error(
			parse, node,
			"%s is %s, expected a size from 1 to %" PRIu64
			" bytes such as 65536, 64KiB or 1MiB",
			what, FOUND(node), max_bytes);
	*ret_bytes = bytes;
	return true;
}

/* "1h", "10m", "5s", "250ms": the largest unit without a rest. */
static const char *duration_text(uint64_t ms, char *buffer, size_t size)
{
	static const struct unit units[] = {
		{ "h", 3600 * 1000 },
		{ "m", 60 * 1000 },
		{ "s", 1000 },
		{ "ms", 1 },
	};
	size_t i = 0;

	while (ms % units[i].factor != 0)
		i++;
	(void)snprintf(buffer, size, "%" PRIu64 "%s", ms / units[i].factor,
		       units[i].name); /* fits: the limits of durations are
					  berth's own */
	return buffer;
}

static bool duration_read(const struct yaml_node *node, uint64_t min_ms,
			  uint64_t max_ms, uint64_t *ret_ms)
{
	static const struct unit units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "m", 60 * 1000 },
		{ "h", 3600 * 1000 },
	};
	uint64_t ms;

	if (!parse_unit(node, units, ARRAY_SIZE(units), &ms) || ms < min_ms ||
	    ms > max_ms)
		return false;
	*ret_ms = ms;
	return true;
}

/* Reports what is wrong with a duration. @more: what is allowed beside one. */
static bool duration_error(struct parse *parse, const struct yaml_node *node,
			   const char *what, uint64_t min_ms, uint64_t max_ms,
			   const char *more)
{
	char min[24], max[24];

	return parse_error(parse, node,
			   "%s is %s, expected a time from %s to %s such as "
			   "%s5s, 2m or 1h%s",
			   what, FOUND(node),
			   duration_text(min_ms, min, sizeof(min)),
			   duration_text(max_ms, max, sizeof(max)),
			   min_ms <= 250 ? "250ms, " : "", more);
}

bool parse_duration(struct parse *parse, const struct yaml_node *node,
		    const char *what, uint64_t min_ms, uint64_t max_ms,
		    uint64_t *ret_ms)
{
	return duration_read(node, min_ms, max_ms, ret_ms) ||
	       duration_error(parse, node, what, min_ms, max_ms, "");
}

bool parse_duration_or_off(struct parse *parse, const struct yaml_node *node,
			   const char *what, uint64_t min_ms, uint64_t max_ms,
			   uint64_t *ret_ms)
{
	if (node->kind == NODE_SCALAR && strcmp(node->text, "off") == 0) {
		*ret_ms = 0;
		return true;
	}
	return duration_read(node, min_ms, max_ms, ret_ms) ||
	       duration_error(parse, node, what, min_ms, max_ms, ", or off");
}

bool parse_consumer_name(struct parse *parse, const struct yaml_node *node,
			 const char *what, const char *instead_of_relay,
			 const char **ret_name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	const char *text = "";

	if (!parse_text(parse, node, what, "the name of a consumer", &text))
		return false;
	if (text[strspn(text, allowed)] || text[0] == '.' ||
	    strlen(text) > CONSUMER_NAME_MAX)
		return parse_error(parse, node,
				   "%s is %s, expected at most %u letters, "
				   "digits, \".\", \"_\" and \"-\", not "
				   "beginning with \".\"",
				   what, QUOTE(text), CONSUMER_NAME_MAX);
	if (strcmp(text, SERVICE_RELAY) == 0)
		return parse_error(parse, node,
				   "%s is \"" SERVICE_RELAY "\", the bundled "
				   "relay; %s",
				   what, instead_of_relay);
	*ret_name = text;
	return true;
}
