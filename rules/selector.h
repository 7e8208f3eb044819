/* SPDX-License-Identifier: Apache-2.0 */
/* selector.h - conditions on the labels of a container, as kubectl writes them
 */
#ifndef RULES_SELECTOR_H
#define RULES_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/container.h"

#define SELECTOR_PROBLEM_MAX 256

/* Both are more than a person writes; each requirement is tried for each
 * container. */
#define SELECTOR_REQUIREMENTS_MAX 64u
#define SELECTOR_VALUES_MAX 256u

enum selector_operator {
	SELECTOR_IN, /* the label is there, with one of the values */
	SELECTOR_NOT_IN, /* it is not there, or has none of the values */
	SELECTOR_EXISTS, /* it is there */
	SELECTOR_ABSENT, /* it is not there */
};

/** struct requirement - one part of a selector; all is owned */
struct requirement {
	enum selector_operator op;
	char *key;
	char **values;
	size_t n_values;
};

/** struct selector - all requirements must be met; zero initialized it has none
 */
struct selector {
	struct requirement *list;
	size_t n;
};

/** struct selector_problem - what is wrong, and where: @offset bytes into the
 * text */
struct selector_problem {
	size_t offset;
	char message[SELECTOR_PROBLEM_MAX];
};

/**
 * selector_parse() - reads "app=web, tier in (front,back), !canary"
 * @ret_problem: filled in on -EINVAL
 *
 * A key or a value is any text without white space and without , = ! ( ) < >.
 * A value may be empty.
 * Return: 0, *@ret_selector is to be freed with selector_done() then; -EINVAL;
 * -ENOMEM.
 */
int selector_parse(const char *text, struct selector *ret_selector,
		   struct selector_problem *ret_problem);

/** selector_add_equal() - one more requirement: the label @key has @value, both
 * any texts. Return: 0; -E2BIG: it has SELECTOR_REQUIREMENTS_MAX; -ENOMEM. */
int selector_add_equal(struct selector *selector, const char *key,
		       const char *value);

/** selector_done() - frees what it owns, not the struct; it is empty then */
void selector_done(struct selector *selector);

/** requirement_met() - Return: does the container meet this one requirement? */
bool requirement_met(const struct requirement *requirement,
		     const struct container *container);

/** selector_matches() - Return: does the container meet all requirements? */
bool selector_matches(const struct selector *selector,
		      const struct container *container);

/** selector_names() - Return: does a requirement name the label @key? */
bool selector_names(const struct selector *selector, const char *key);

/** selector_print() - "app=web, !canary" */
void selector_print(FILE *f, const struct selector *selector);

/** requirement_print() - "tier in (front,back)" */
void requirement_print(FILE *f, const struct requirement *requirement);

#endif
