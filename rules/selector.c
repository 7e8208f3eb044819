// SPDX-License-Identifier: Apache-2.0
/* selector.c - conditions on the labels of a container, as kubectl writes them
 *
 *   selector    = requirement *( "," requirement )
 *   requirement = "!" key | key | key ( "=" | "==" | "!=" ) [ value ]
 *               | key ( "in" | "notin" ) "(" [ value ] *( "," [ value ] ) ")"
 *
 * White space may stand between any two of these. As with kubectl, "!=" and
 * "notin" also match where the label is missing.
 */
#include "rules/selector.h"

#include <stdarg.h>
#include <string.h>

#include "common/util.h"

#define SPACE " \t\r\n"
#define SPECIAL SPACE ",=!()<>"
#define FOUND_MAX 40 /* of a text that is shown in a message */

/** struct reader - @next is where the rest of @text begins */
struct reader {
	const char *text;
	const char *next;
	struct selector_problem *problem;
};

static int fail(const struct reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(const struct reader *reader, const char *fmt, ...)
{
	va_list args;

	reader->problem->offset = (size_t)(reader->next - reader->text);
	va_start(args, fmt);
	(void)vsnprintf(reader->problem->message, SELECTOR_PROBLEM_MAX, fmt,
			args); /* cut off, if it must be */
	va_end(args);
	return -EINVAL;
}

static void skip_space(struct reader *reader)
{
	reader->next += strspn(reader->next, SPACE);
}

/* How many bytes of what comes next a message shows: a word, or one character
 * of the syntax. */
static int found_len(const struct reader *reader)
{
	size_t len = strcspn(reader->next, SPECIAL);

	if (len == 0)
		return 1;
	if (len > FOUND_MAX)
		len = FOUND_MAX;
	/* A character of several bytes is not cut in two. */
	while (len > 1 && ((unsigned char)reader->next[len] & 0xc0) == 0x80)
		len--;
	return (int)len;
}

static int unexpected(const struct reader *reader, const char *expected)
{
	if (!*reader->next)
		return fail(reader, "the selector ends here, expected %s",
			    expected);
	return fail(reader, "found \"%.*s\", expected %s", found_len(reader),
		    reader->next, expected);
}

/* Takes @token if it comes next. */
static bool take(struct reader *reader, const char *token)
{
	size_t len = strlen(token);

	if (strncmp(reader->next, token, len) != 0)
		return false;
	reader->next += len;
	skip_space(reader);
	return true;
}

/* Takes the word @word if it comes next, not the beginning of a longer one. */
static bool take_word(struct reader *reader, const char *word)
{
	if (strcspn(reader->next, SPECIAL) != strlen(word))
		return false;
	return take(reader, word);
}

/* Takes a text, which may be empty. Return: 0 or -ENOMEM. */
static int take_text(struct reader *reader, char **ret_text)
{
	size_t len = strcspn(reader->next, SPECIAL);
	char *text = strndup(reader->next, len);

	if (!text)
		return -ENOMEM;
	reader->next += len;
	skip_space(reader);
	*ret_text = text;
	return 0;
}

static int take_key(struct reader *reader, struct requirement *requirement)
{
	if (strcspn(reader->next, SPECIAL) == 0)
		return unexpected(reader, "the key of a label");
	return take_text(reader, &requirement->key);
}

static int take_value(struct reader *reader, struct requirement *requirement)
{
	size_t n = requirement->n_values;
	char **values;
	int r;

	if (n >= SELECTOR_VALUES_MAX)
		return fail(reader, "more than %u values", SELECTOR_VALUES_MAX);
	values = reallocarray(requirement->values, n + 1, sizeof(*values));
	if (!values)
		return -ENOMEM;
	requirement->values = values;
	r = take_text(reader, &values[n]);
	if (r == 0)
		requirement->n_values++;
	return r;
}

static int take_values(struct reader *reader, struct requirement *requirement)
{
	int r;

	if (!take(reader, "("))
		return unexpected(reader, "\"(\" and values");
	do {
		r = take_value(reader, requirement);
	} while (r == 0 && take(reader, ","));
	if (r < 0)
		return r;
	return take(reader, ")") ? 0 : unexpected(reader, "\",\" or \")\"");
}

static int take_requirement(struct reader *reader,
			    struct requirement *requirement)
{
	int r;

	if (take(reader, "!")) {
		requirement->op = SELECTOR_ABSENT;
		return take_key(reader, requirement);
	}
	r = take_key(reader, requirement);
	if (r < 0)
		return r;
	requirement->op = SELECTOR_EXISTS;
	if (!*reader->next || *reader->next == ',')
		return 0;
	requirement->op = SELECTOR_IN;
	if (take(reader, "==") || take(reader, "="))
		return take_value(reader, requirement);
	if (take_word(reader, "in"))
		return take_values(reader, requirement);
	requirement->op = SELECTOR_NOT_IN;
	if (take(reader, "!="))
		return take_value(reader, requirement);
	if (take_word(reader, "notin"))
		return take_values(reader, requirement);
	return unexpected(reader, "\"=\", \"!=\", \"in (…)\", \"notin (…)\" or "
				  "\",\" behind the key");
}

static void requirement_done(struct requirement *requirement)
{
	free(requirement->key);
	for (size_t i = 0; i < requirement->n_values; i++)
		free(requirement->values[i]);
	free(requirement->values);
}

/* Takes over @requirement, also on failure. */
static int add(struct selector *selector, struct requirement *requirement)
{
	struct requirement *list = reallocarray(selector->list, selector->n + 1,
						sizeof(*selector->list));

	if (!list) {
		requirement_done(requirement);
		return -ENOMEM;
	}
	selector->list = list;
	list[selector->n++] = *requirement;
	return 0;
}

static int take_all(struct reader *reader, struct selector *selector)
{
	int r;

	skip_space(reader);
	if (!*reader->next)
		return fail(reader, "an empty selector, expected one such as "
				    "app=web");
	do {
		struct requirement requirement = { .op = SELECTOR_EXISTS };

		if (selector->n >= SELECTOR_REQUIREMENTS_MAX)
			return fail(reader, "more than %u conditions",
				    SELECTOR_REQUIREMENTS_MAX);
		r = take_requirement(reader, &requirement);
		if (r < 0)
			requirement_done(&requirement);
		else
			r = add(selector, &requirement);
	} while (r == 0 && take(reader, ","));
	if (r == 0 && *reader->next)
		return unexpected(reader, "\",\" and another condition");
	return r;
}

int selector_parse(const char *text, struct selector *ret_selector,
		   struct selector_problem *ret_problem)
{
	struct selector selector = { 0 };
	struct reader reader = { text, text, ret_problem };
	int r = take_all(&reader, &selector);

	if (r < 0)
		selector_done(&selector);
	else
		*ret_selector = selector;
	return r;
}

int selector_add_equal(struct selector *selector, const char *key,
		       const char *value)
{
	struct requirement requirement = { .op = SELECTOR_IN };

	if (selector->n >= SELECTOR_REQUIREMENTS_MAX)
		return -E2BIG;
	requirement.values = calloc(1, sizeof(char *));
	requirement.key = strdup(key);
	if (requirement.values) {
		requirement.values[0] = strdup(value);
		requirement.n_values = 1;
	}
	if (!requirement.values || !requirement.key || !requirement.values[0]) {
		requirement_done(&requirement);
		return -ENOMEM;
	}
	return add(selector, &requirement);
}

void selector_done(struct selector *selector)
{
	for (size_t i = 0; i < selector->n; i++)
		requirement_done(&selector->list[i]);
	free(TAKE_PTR(selector->list));
	selector->n = 0;
}

static bool is_one_of(const struct requirement *requirement, const char *value)
{
	for (size_t i = 0; i < requirement->n_values; i++) {
		if (strcmp(requirement->values[i], value) == 0)
			return true;
	}
	return false;
}

bool requirement_met(const struct requirement *requirement,
		     const struct container *container)
{
	const char *value = container_label(container, requirement->key);

	switch (requirement->op) {
	case SELECTOR_IN:
		return value && is_one_of(requirement, value);
	case SELECTOR_NOT_IN:
		return !value || !is_one_of(requirement, value);
	case SELECTOR_EXISTS:
		return value != NULL;
	case SELECTOR_ABSENT:
		return value == NULL;
	}
	return false;
}

bool selector_matches(const struct selector *selector,
		      const struct container *container)
{
	for (size_t i = 0; i < selector->n; i++) {
		if (!requirement_met(&selector->list[i], container))
			return false;
	}
	return true;
}

void requirement_print(FILE *f, const struct requirement *requirement)
{
	const char *key = requirement->key;

	switch (requirement->op) {
	case SELECTOR_EXISTS:
		(void)fputs(key, f);
		return;
	case SELECTOR_ABSENT:
		(void)fprintf(f, "!%s", key);
		return;
	case SELECTOR_IN:
	case SELECTOR_NOT_IN:
		break;
	}
	if (requirement->n_values == 1) {
		(void)fprintf(f, "%s%s%s", key,
			      requirement->op == SELECTOR_IN ? "=" : "!=",
			      requirement->values[0]);
		return;
	}
	(void)fprintf(f, "%s %s (", key,
		      requirement->op == SELECTOR_IN ? "in" : "notin");
	for (size_t i = 0; i < requirement->n_values; i++)
		(void)fprintf(f, "%s%s", i ? "," : "", requirement->values[i]);
	(void)fputc(')', f);
}

bool selector_names(const struct selector *selector, const char *key)
{
	for (size_t i = 0; i < selector->n; i++) {
		if (strcmp(selector->list[i].key, key) == 0)
			return true;
	}
	return false;
}

void selector_print(FILE *f, const struct selector *selector)
{
	for (size_t i = 0; i < selector->n; i++) {
		if (i > 0)
			(void)fputs(", ", f);
		requirement_print(f, &selector->list[i]);
	}
}
