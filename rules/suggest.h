/* SPDX-License-Identifier: Apache-2.0 */
/* suggest.h - which of the known words was meant */
#ifndef RULES_SUGGEST_H
#define RULES_SUGGEST_H

#include <stddef.h>

/**
 * suggest() - the known word nearest to @word by edit distance
 *
 * Return: one of @known, or NULL when none is near: two edits at the most, and
 * fewer than half of the word; else the only one that begins with @word.
 */
const char *suggest(const char *word, const char *const *known, size_t n);

#endif
