// SPDX-License-Identifier: Apache-2.0
/* suggest.c - which of the known words was meant
 *
 * The distance is the restricted Damerau-Levenshtein one: a missing, added or
 * wrong character costs one, and so do two characters that changed places.
 */
#include "rules/suggest.h"

#include <strings.h>
#include <string.h>

#include "common/util.h"

#define SUGGEST_WORD_MAX 24 /* the longest known word has 23 characters */
#define SUGGEST_EDITS_MAX 2
#define SUGGEST_PREFIX_MIN 3

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Both words have at most SUGGEST_WORD_MAX characters. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t d[SUGGEST_WORD_MAX + 1][SUGGEST_WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			d[i][j] = smallest(d[i - 1][j] + 1, d[i][j - 1] + 1,
					   d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[na][nb];
}

/* The one known word that @word begins, or NULL. */
static const char *complete(const char *word, size_t len,
			    const char *const *known, size_t n)
{
	const char *found = NULL;

	for (size_t i = 0; i < n && len >= SUGGEST_PREFIX_MIN; i++) {
		if (strncasecmp(word, known[i], len) != 0)
			continue;
		if (found)
			return NULL;
		found = known[i];
	}
	return found;
}

const char *suggest(const char *word, const char *const *known, size_t n)
{
	size_t len = strlen(word), best = SUGGEST_EDITS_MAX + 1;
	const char *found = NULL;

	if (len == 0 || len > SUGGEST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t distance = edit_distance(word, known[i]);

		if (strcasecmp(word, known[i]) == 0)
			return known[i];
		if (distance > SUGGEST_EDITS_MAX || distance > best ||
		    distance * 2 >= strlen(known[i]))
			continue;
		/* If two words are equally near, neither is suggested. */
		found = distance < best ? known[i] : NULL;
		best = distance;
	}
	return found ? found : complete(word, len, known, n);
}
