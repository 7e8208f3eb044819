/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - from the YAML tree to rules, with errors that help */
#ifndef RULES_PARSE_H
#define RULES_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/rule.h"
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

/* The sections of a rule. */

/** parse_match() - the `match` section of a rule, into @match; reports what is
 * wrong */
void parse_match(struct parse *parse, const struct yaml_node *node,
		 struct match *match);

/** parse_listen() - the `listen` section of a rule, into @rule->listens;
 * reports what is wrong */
void parse_listen(struct parse *parse, const struct yaml_node *node,
		  struct rule *rule);

/** struct action_nodes - where the parts of the action stand, for messages
 * about combinations with `listen` */
struct action_nodes {
	const struct yaml_node *to;
	const struct yaml_node *proxy;
	const struct yaml_node *from;
};

/**
 * parse_forward() - the `forward` section of a rule, into @service
 * @ret_nodes:	where its parts stand; NULLs where they are absent
 *
 * Reports what is wrong.
 */
void parse_forward(struct parse *parse, const struct yaml_node *node,
		   struct service *service, struct action_nodes *ret_nodes);

/** parse_from() - of `forward`: the addresses to connect from */
void parse_from(struct parse *parse, const struct yaml_node *node,
		struct service *service);

/**
 * parse_from_join() - do they fit the backends, for the protocols of @listen?
 *
 * Reports each problem at its backend or its address, as parse_join() does.
 */
void parse_from_join(struct parse *parse, const struct action_nodes *nodes,
		     const struct service *service,
		     const struct listen *listen);

/** parse_respond() - the `respond` section of a rule, into @service; reports
 * what is wrong */
void parse_respond(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_handoff() - the `handoff` section of a rule, into @service; reports
 * what is wrong */
void parse_handoff(struct parse *parse, const struct yaml_node *node,
		   struct service *service);

/** parse_join() - gives each listen entry its service, checks that the two fit
 */
void parse_join(struct parse *parse, const struct action_nodes *nodes,
		const struct service *service, struct rule *rule);

/**
 * parse_rules() - the rules of one file's text
 * @path:	copied, for messages
 * @errors:	problems are appended
 *
 * Return: 0 with the file; -EINVAL when problems were appended; -ENOMEM.
 */
int parse_rules(const char *path, const char *text, size_t len,
		struct rules_errors *errors, struct rule_file **ret_file);

#endif
