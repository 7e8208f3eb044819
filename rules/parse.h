/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - from a YAML tree to values, with errors that help */
#ifndef RULES_PARSE_H
#define RULES_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/rules.h"
#include "rules/yaml_node.h"

#define QUOTE_MAX 96
/** QUOTE() - a text from a file, fit for an error message; lives as long as
 * the block */
#define QUOTE(text) quote_text(text, (char[QUOTE_MAX]){ 0 })

/**
 * quote_text() - in double quotes, control characters escaped, long text cut
 * @buffer:	of QUOTE_MAX, returned
 */
const char *quote_text(const char *text, char *buffer);

/**
 * struct parse - the state of parsing one file
 * @n_errors:	of this file
 * @error:	-ENOMEM once memory is out; results are then void
 */
struct parse {
	const char *path;
	struct rules_errors *errors;
	size_t n_errors;
	int error;
};

/** rules_errors_add() - appends one; -ENOMEM when that fails, else 0 */
int rules_errors_add(struct rules_errors *errors, const char *path,
		     unsigned int line, unsigned int column,
		     const char *message);

/** rules_errors_equal() - the same problems at the same places? */
bool rules_errors_equal(const struct rules_errors *a,
			const struct rules_errors *b);

/**
 * parse_error() - reports a problem at @node
 *
 * The message says what was found and what was expected. Problems after
 * RULES_ERRORS_MAX are dropped. Return: false, so that a parser can
 * `return parse_error(...)`.
 */
bool parse_error(struct parse *parse, const struct yaml_node *node,
		 const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** parse_full() - is there no use in going on? */
bool parse_full(const struct parse *parse);

/** parse_oom() - notes that memory is out; returns false */
bool parse_oom(struct parse *parse);

/** node_found() - what a node is, for messages: "a list", "nothing", its text
 * in quotes; @buffer of QUOTE_MAX */
const char *node_found(const struct yaml_node *node, char *buffer);
#define FOUND(node) node_found(node, (char[QUOTE_MAX]){ 0 })

/** struct field - one key of a mapping as found; NULLs when it is absent */
struct field {
	const struct yaml_node *key;
	const struct yaml_node *value;
};

/**
 * parse_mapping() - sorts the keys of a mapping
 * @where:	"match": names the mapping in messages
 * @ret_fields:	as many as @keys, in their order
 *
 * Reports unknown and repeated keys. Return: false when @node is no mapping.
 */
bool parse_mapping(struct parse *parse, const struct yaml_node *node,
		   const char *where, const char *const *keys, size_t n,
		   struct field *ret_fields);

/**
 * parse_items() - the elements of a list, or a single value as a list of one
 * @expected:	completes "expected …" in messages
 *
 * Return: how many; 0 after a report.
 */
size_t parse_items(struct parse *parse, const struct yaml_node *node,
		   const char *what, const char *expected,
		   const struct yaml_node **ret_items);

/* The scalars. Each reports what is wrong and leaves its result alone then. */

/** parse_text() - a text without control characters, not empty; borrowed */
bool parse_text(struct parse *parse, const struct yaml_node *node,
		const char *what, const char *expected, const char **ret_text);

/** node_bool() - is it true or false? Reports nothing. */
bool node_bool(const struct yaml_node *node, bool *ret_value);

/** parse_bool() - true or false; the report of anything else names @what.
 * Return: false after a report. */
bool parse_bool(struct parse *parse, const struct yaml_node *node,
		const char *what, bool *ret_value);

/** parse_number() - decimal, or hexadecimal behind 0x */
bool parse_number(struct parse *parse, const struct yaml_node *node,
		  const char *what, uint64_t min, uint64_t max,
		  uint64_t *ret_value);

/** parse_size() - bytes, KiB, MiB, GiB; at least 1 */
bool parse_size(struct parse *parse, const struct yaml_node *node,
		const char *what, uint64_t max_bytes, uint64_t *ret_bytes);

/** parse_duration() - ms, s, m, h; from @min_ms to @max_ms */
bool parse_duration(struct parse *parse, const struct yaml_node *node,
		    const char *what, uint64_t min_ms, uint64_t max_ms,
		    uint64_t *ret_ms);

/** parse_duration_or_off() - the same, or `off`, which is 0 */
bool parse_duration_or_off(struct parse *parse, const struct yaml_node *node,
			   const char *what, uint64_t min_ms, uint64_t max_ms,
			   uint64_t *ret_ms);

/**
 * parse_consumer_name() - of a program that gets listeners; borrowed
 * @instead_of_relay: ends the report of the bundled relay's name, which is no
 *		program of the user's: "expected …"
 */
bool parse_consumer_name(struct parse *parse, const struct yaml_node *node,
			 const char *what, const char *instead_of_relay,
			 const char **ret_name);

/* The text as a whole. */

/**
 * parse_tree() - reads the text; what is no YAML is reported
 * @ret_root:	NULL after a report, and for a text without a document; to be
 *		freed with yaml_node_free()
 *
 * Return: 0 or -ENOMEM.
 */
int parse_tree(struct parse *parse, const char *text, size_t len,
	       struct yaml_node **ret_root);

/**
 * parse_finish() - puts what was reported in the order of the text's lines
 *
 * Return: 0; -EINVAL when anything was reported; -ENOMEM.
 */
int parse_finish(struct parse *parse);

#endif
