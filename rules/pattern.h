/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h - globs and regular expressions over names */
#ifndef RULES_PATTERN_H
#define RULES_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_TEXT_MAX 1024u /* four times the longest name */
#define PATTERN_PROBLEM_MAX 256

struct regex;

enum pattern_kind {
	PATTERN_EXACT, /* no special character: strcmp(3) */
	PATTERN_PREFIX, /* "abc*": the common case, without fnmatch(3) */
	PATTERN_GLOB, /* fnmatch(3) */
	PATTERN_REGEX, /* PCRE2 over the whole name */
};

/**
 * struct pattern - one element of a `namespace` or `interface` list
 * @text:	as written; owned
 * @body:	within @text, behind the '!' of a negated pattern
 * @prefix_len:	of PATTERN_PREFIX
 * @regex:	of PATTERN_REGEX; owned
 */
struct pattern {
	enum pattern_kind kind;
	bool negated;
	char *text;
	const char *body;
	size_t prefix_len;
	struct regex *regex;
};

/**
 * pattern_parse() - compiles "glob", "/regex/", "!glob" or "!/regex/"
 * @problem:	of PATTERN_PROBLEM_MAX, gets what is wrong on -EINVAL
 *
 * Return: 0; -EINVAL; -ENOMEM; *@ret_pattern is untouched on failure.
 */
int pattern_parse(const char *text, struct pattern *ret_pattern, char *problem);

/** pattern_done() - frees what the pattern owns, not the struct */
void pattern_done(struct pattern *pattern);

/** pattern_matches() - does it match, '!' aside? Bounded for any name. */
bool pattern_matches(const struct pattern *pattern, const char *name);

/** patterns_have_group() - Return: has one of the patterns that are not negated
 * a named group @group? */
bool patterns_have_group(const struct pattern *patterns, size_t n,
			 const char *group);

/**
 * patterns_group() - what a named group matched
 * @name:	one that patterns_match() takes; the first pattern that matches
 *		it, and is not negated, is the one whose group is meant
 * @size:	of @buffer
 *
 * Return: 0; -ENODATA when that pattern has no such group, or the group took no
 * part in the match; -E2BIG when the text does not fit.
 */
int patterns_group(const struct pattern *patterns, size_t n, const char *name,
		   const char *group, char *buffer, size_t size);

/** patterns_match() - one pattern matches, and no negated one does? */
bool patterns_match(const struct pattern *patterns, size_t n, const char *name);

#endif
