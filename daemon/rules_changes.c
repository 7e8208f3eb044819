// SPDX-License-Identifier: Apache-2.0
/* rules_changes.c - what another ruleset changes, in one line of the log
 *
 * Rules are compared by what people see of them, see struct rule_info: two with
 * the same name and file are one rule, and it has changed if any of its texts
 * has. How many listeners came and went is known when the reconciler is
 * through, and is that of all namespaces meanwhile.
 */
#include "daemon/rules_changes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/text.h"
#include "common/util.h"
#include "rules/rules.h"

/* Names of each kind in the line; with many rules the others are a number. */
#define NAMES_MAX 5

#define TEXT_BYTES 1536

/**
 * struct rules_changes - see the file's head
 * @ruleset:	in force; a reference
 * @text:	what it has changed; empty: nothing is left to be logged
 * @stats:	of the listeners when it came
 */
struct rules_changes {
	struct ruleset *ruleset;
	char text[TEXT_BYTES];
	struct binder_stats stats;
};

/** struct names - some names of a kind of change, and how many there are */
struct names {
	const char *list[NAMES_MAX];
	size_t n;
};

static void names_add(struct names *names, const char *name)
{
	if (names->n < NAMES_MAX)
		names->list[names->n] = name;
	names->n++;
}

static bool info_equal(const struct rule_info *a, const struct rule_info *b)
{
	return text_equal(a->action, b->action) &&
	       text_equal(a->match, b->match) &&
	       text_equal(a->listen, b->listen) &&
	       text_equal(a->serve, b->serve) &&
	       text_equal(a->provide, b->provide);
}

/* For qsort(3) and bsearch(3). */
static int info_compare(const void *a, const void *b)
{
	const struct rule_info *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : strcmp(one->file, other->file);
}

/* Return: all rules, sorted; NULL: out of memory, or there are none. */
static struct rule_info *sorted_rules(const struct ruleset *ruleset,
				      size_t *ret_n)
{
	size_t n = ruleset_size(ruleset);
	struct rule_info *list = n ? calloc(n, sizeof(*list)) : NULL;

	*ret_n = list ? n : 0;
	for (size_t i = 0; i < *ret_n; i++)
		ruleset_rule_info(ruleset, i, &list[i]);
	if (list)
		qsort(list, n, sizeof(*list), info_compare);
	return list;
}

static const struct rule_info *find(const struct rule_info *list, size_t n,
				    const struct rule_info *rule)
{
	return n ? bsearch(rule, list, n, sizeof(*list), info_compare) : NULL;
}

/* Appends "2 added ('a', 'b')" to @text. */
static void text_add(char *text, const char *what, const struct names *names)
{
	size_t shown = names->n < NAMES_MAX ? names->n : NAMES_MAX;
	size_t len = strlen(text);

	if (names->n == 0)
		return;
	len += (size_t)snprintf(text + len, TEXT_BYTES - len, "%s%zu %s (",
				len ? ", " : "", names->n, what);
	for (size_t i = 0; i < shown && len < TEXT_BYTES; i++)
		len += (size_t)snprintf(text + len, TEXT_BYTES - len, "%s'%s'",
					i ? ", " : "", names->list[i]);
	if (names->n > shown && len < TEXT_BYTES)
		len += (size_t)snprintf(text + len, TEXT_BYTES - len,
					", and %zu more", names->n - shown);
	if (len < TEXT_BYTES)
		(void)snprintf(text + len, TEXT_BYTES - len, ")"); /* cut */
}

static void compare(const struct ruleset *before, const struct ruleset *after,
		    char *text)
{
	struct names added = { 0 }, changed = { 0 }, gone = { 0 };
	size_t n_before, n_after;
	_cleanup_free_ struct rule_info *old = sorted_rules(before, &n_before);
	_cleanup_free_ struct rule_info *new = sorted_rules(after, &n_after);

	for (size_t i = 0; i < n_after; i++) {
		const struct rule_info *was = find(old, n_before, &new[i]);

		if (!was)
			names_add(&added, new[i].name);
		else if (!info_equal(was, &new[i]))
			names_add(&changed, new[i].name);
	}
	for (size_t i = 0; i < n_before; i++) {
		if (!find(new, n_after, &old[i]))
			names_add(&gone, old[i].name);
	}
	text[0] = '\0';
	text_add(text, "added", &added);
	text_add(text, "changed", &changed);
	text_add(text, "gone", &gone);
	if (text[0] == '\0')
		(void)snprintf(text, TEXT_BYTES, "the same as before");
}

struct rules_changes *rules_changes_new(void)
{
	return calloc(1, sizeof(struct rules_changes));
}

struct rules_changes *rules_changes_free(struct rules_changes *changes)
{
	if (!changes)
		return NULL;
	(void)ruleset_unref(changes->ruleset); /* is always NULL */
	free(changes);
	return NULL;
}

static void log_rules(const struct rules_changes *changes, const char *what)
{
	size_t n = ruleset_size(changes->ruleset);

	log_info("%zu rule%s in force%s%s", n, n == 1 ? "" : "s",
		 changes->text[0] ? ": " : "", what);
}

void rules_changes_note(struct rules_changes *changes, struct ruleset *ruleset,
			const struct binder *binder)
{
	struct ruleset *before = changes->ruleset;

	if (changes->text[0])
		log_rules(changes, changes->text);
	changes->text[0] = '\0';
	changes->ruleset = ruleset_ref(ruleset);
	if (binder)
		binder_get_stats(binder, &changes->stats);
	if (before)
		compare(before, ruleset, changes->text);
	else
		log_rules(changes, "");
	(void)ruleset_unref(before); /* is always NULL */
}

void rules_changes_settled(struct rules_changes *changes,
			   const struct binder *binder)
{
	char text[TEXT_BYTES + 96];
	struct binder_stats now;
	size_t opened, closed;

	if (!changes->text[0])
		return;
	binder_get_stats(binder, &now);
	opened = now.opened - changes->stats.opened;
	closed = changes->stats.open + opened - now.open;
	(void)snprintf(text, sizeof(text),
		       "%s; %zu listener%s opened, %zu closed", changes->text,
		       opened, opened == 1 ? "" : "s", closed); /* fits */
	log_rules(changes, text);
	changes->text[0] = '\0';
}
