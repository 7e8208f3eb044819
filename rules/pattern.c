// SPDX-License-Identifier: Apache-2.0
/* pattern.c - globs and regular expressions over names
 *
 * Names come from whoever creates namespaces and interfaces, patterns from the
 * host's owner. PCRE2's match limit stops a regular expression that would
 * backtrack without end on a hostile name. In that case, and for a name that
 * is not UTF-8, a negated pattern counts as matching and any other as not
 * matching: a doubtful name gets no listeners.
 */
#include "rules/pattern.h"

#include <fnmatch.h>
#include <pcre2.h>
#include <string.h>

#include "common/util.h"

/* A sensible expression needs some hundred steps over a name of 255 bytes;
 * this many take about a millisecond. */
#define REGEX_MATCH_LIMIT 20000u
#define REGEX_HEAP_LIMIT 256u /* KiB, which each expression may keep */

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

static struct regex *regex_free(struct regex *regex)
{
	if (!regex)
		return NULL;
	pcre2_match_context_free(regex->context);
	pcre2_match_data_free(regex->data);
	pcre2_code_free(regex->code);
	free(regex);
	return NULL;
}

static int regex_new(const char *text, size_t len, struct regex **ret_regex,
		     char *problem)
{
	struct regex *regex = calloc(1, sizeof(*regex));
	PCRE2_UCHAR message[128];
	PCRE2_SIZE offset;
	int error;

	if (!regex)
		return -ENOMEM;
	regex->code = pcre2_compile((PCRE2_SPTR)text, len,
				    PCRE2_ANCHORED | PCRE2_ENDANCHORED |
					    PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C,
				    &error, &offset, NULL);
	if (!regex->code && error != PCRE2_ERROR_HEAP_FAILED) {
		(void)pcre2_get_error_message(error, message, sizeof(message));
		(void)snprintf(problem, PATTERN_PROBLEM_MAX,
			       "%s, at character %zu of the expression",
			       (const char *)message, (size_t)offset + 1);
		regex_free(regex);
		return -EINVAL;
	}
	if (regex->code) {
		regex->data =
			pcre2_match_data_create_from_pattern(regex->code, NULL);
		regex->context = pcre2_match_context_create(NULL);
	}
	if (!regex->data || !regex->context) {
		regex_free(regex);
		return -ENOMEM;
	}
	(void)pcre2_set_match_limit(regex->context, REGEX_MATCH_LIMIT);
	(void)pcre2_set_heap_limit(regex->context, REGEX_HEAP_LIMIT);
	/* PCRE2 allocates at the first match: have it do so here, where a lack
	 * of memory can be reported. */
	if (pcre2_match(regex->code, (PCRE2_SPTR) "", 0, 0, 0, regex->data,
			regex->context) == PCRE2_ERROR_NOMEMORY) {
		regex_free(regex);
		return -ENOMEM;
	}
	*ret_regex = regex;
	return 0;
}

/* @doubt is the answer where PCRE2 has none: the name is not UTF-8, or the
 * match limit was reached. */
static bool regex_matches(const struct regex *regex, const char *name,
			  bool doubt)
{
	int r = pcre2_match(regex->code, (PCRE2_SPTR)name, strlen(name), 0, 0,
			    regex->data, regex->context);

	return r >= 0 || (r != PCRE2_ERROR_NOMATCH && doubt);
}

static int invalid(char *problem, const char *text)
{
	(void)snprintf(problem, PATTERN_PROBLEM_MAX, "%s", text);
	return -EINVAL;
}

/* Refuses what fnmatch(3) would accept silently, and patterns that can never
 * match. */
static int glob_check(const char *glob, char *problem)
{
	for (const char *s = glob; *s; s++) {
		if (*s == '/')
			return invalid(problem, "a name never contains \"/\"");
		if (*s == '\\' && !*++s)
			return invalid(problem, "\"\\\" at the end");
		if (*s == '[') {
			/* A "]" that stands first in brackets is one of the
			 * characters. */
			s += s[1] == '!' || s[1] == '^' ? 2 : 1;
			s = *s ? strchr(s + 1, ']') : NULL;
			if (!s)
				return invalid(problem, "\"[\" without \"]\"");
		}
	}
	return 0;
}

static enum pattern_kind glob_kind(const char *glob, size_t *ret_prefix_len)
{
	size_t len = strcspn(glob, "*?[\\");

	if (!glob[len])
		return PATTERN_EXACT;
	if (strcmp(glob + len, "*") != 0)
		return PATTERN_GLOB;
	*ret_prefix_len = len;
	return PATTERN_PREFIX;
}

static int pattern_compile(struct pattern *pattern, char *problem)
{
	size_t len = strlen(pattern->body);
	int r;

	if (len == 0)
		return invalid(problem, "an empty pattern");
	if (len > PATTERN_TEXT_MAX)
		return invalid(problem, "longer than 1024 bytes");
	if (pattern->body[0] != '/') {
		r = glob_check(pattern->body, problem);
		if (r < 0)
			return r;
		pattern->kind = glob_kind(pattern->body, &pattern->prefix_len);
		return 0;
	}
	if (len < 2 || pattern->body[len - 1] != '/')
		return invalid(problem,
			       "begins with \"/\" as a regular expression "
			       "does, and has no \"/\" at its end");
	if (len == 2)
		return invalid(problem, "an empty regular expression");
	pattern->kind = PATTERN_REGEX;
	return regex_new(pattern->body + 1, len - 2, &pattern->regex, problem);
}

int pattern_parse(const char *text, struct pattern *ret_pattern, char *problem)
{
	struct pattern pattern = { .text = strdup(text) };
	int r;

	if (!pattern.text)
		return -ENOMEM;
	pattern.negated = text[0] == '!';
	pattern.body = pattern.text + (pattern.negated ? 1 : 0);
	r = pattern_compile(&pattern, problem);
	if (r < 0) {
		pattern_done(&pattern);
		return r;
	}
	*ret_pattern = pattern;
	return 0;
}

void pattern_done(struct pattern *pattern)
{
	free(TAKE_PTR(pattern->text));
	pattern->regex = regex_free(pattern->regex);
}

bool pattern_matches(const struct pattern *pattern, const char *name)
{
	switch (pattern->kind) {
	case PATTERN_EXACT:
		return strcmp(pattern->body, name) == 0;
	case PATTERN_PREFIX:
		return strncmp(pattern->body, name, pattern->prefix_len) == 0;
	case PATTERN_GLOB:
		return fnmatch(pattern->body, name, 0) == 0;
	case PATTERN_REGEX:
		return regex_matches(pattern->regex, name,
				     /* doubt: */ pattern->negated);
	}
	return false;
}

bool patterns_match(const struct pattern *patterns, size_t n, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (found && !patterns[i].negated)
			continue;
		if (!pattern_matches(&patterns[i], name))
			continue;
		if (patterns[i].negated)
			return false;
		found = true;
	}
	return found;
}

bool patterns_have_group(const struct pattern *patterns, size_t n,
			 const char *group)
{
	for (size_t i = 0; i < n; i++) {
		if (patterns[i].kind == PATTERN_REGEX && !patterns[i].negated &&
		    pcre2_substring_number_from_name(patterns[i].regex->code,
						     (PCRE2_SPTR)group) !=
			    PCRE2_ERROR_NOSUBSTRING)
			return true;
	}
	return false;
}

/* The match data is of the match that was just made. */
static int regex_group(const struct regex *regex, const char *group,
		       char *buffer, size_t size)
{
	PCRE2_SIZE len = size;

	switch (pcre2_substring_copy_byname(regex->data, (PCRE2_SPTR)group,
					    (PCRE2_UCHAR *)buffer, &len)) {
	case 0:
		return 0;
	case PCRE2_ERROR_NOMEMORY:
		return -E2BIG;
	default:
		return -ENODATA;
	}
}

int patterns_group(const struct pattern *patterns, size_t n, const char *name,
		   const char *group, char *buffer, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		if (patterns[i].negated || !pattern_matches(&patterns[i], name))
			continue;
		return patterns[i].kind == PATTERN_REGEX
			       ? regex_group(patterns[i].regex, group, buffer,
					     size)
			       : -ENODATA;
	}
	return -ENODATA;
}
