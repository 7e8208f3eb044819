/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - which texts are equal */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/** text_equal() - the same bytes, or neither is there (NULL) */
static inline bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/** texts_equal() - as many, each the same, in the same order */
static inline bool texts_equal(char *const *a, size_t n_a, char *const *b,
			       size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!text_equal(a[i], b[i]))
			return false;
	}
	return true;
}

#endif
