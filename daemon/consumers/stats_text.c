// SPDX-License-Identifier: Apache-2.0
/* stats_text.c - `stats` as libberth writes it, read where it lies
 *
 * An answer may be about 15,000 listeners, and a tree of each would take ten
 * times as long as reading its text. What is no JSON, or is JSON that libberth
 * does not write (blanks, escapes, members in another place, or twice), is left
 * to jansson: nothing is read here that jansson would read differently.
 */
#include "daemon/consumers/stats_text.h"

#include <errno.h>
#include <string.h>

#include "daemon/consumers/stats_counts.h"

/* Digits that an int64_t has room for, whichever they are. */
#define DIGITS_MAX 18

#define ERROR_DIGITS_MAX 4 /* the kernel's errnos end at 4095 */
#define ERRNO_MAX 4095

static const char begin[] = "{\"type\":\"stats\",\"request\":";
static const char list[] = ",\"listeners\":[";
static const char last[] = "]}";
static const char more[] = "],\"more\":true}";

static bool take(struct stats_text *text, const char *word, size_t len)
{
	if ((size_t)(text->end - text->at) < len ||
	    memcmp(text->at, word, len) != 0)
		return false;
	text->at += len;
	return true;
}

static bool take_char(struct stats_text *text, char c)
{
	return take(text, &c, 1);
}

static bool take_number(struct stats_text *text, uint64_t *ret)
{
	const char *first = text->at;
	uint64_t n = 0;

	while (text->at < text->end && *text->at >= '0' && *text->at <= '9' &&
	       text->at - first < DIGITS_MAX)
		n = n * 10 + (uint64_t)(*text->at++ - '0');
	*ret = n;
	return text->at > first && (*first != '0' || text->at - first == 1);
}

/* Takes a key and the colon behind it. */
static bool take_key(struct stats_text *text, const char **ret_key,
		     size_t *ret_len)
{
	const char *first = text->at, *quote;

	if (!take_char(text, '"'))
		return false;
	quote = memchr(text->at, '"', (size_t)(text->end - text->at));
	if (!quote)
		return false;
	*ret_key = first + 1;
	*ret_len = (size_t)(quote - first) - 1;
	text->at = quote + 1;
	return take_char(text, ':');
}

static bool is_key(const char *key, size_t len, const char *name)
{
	/* Most names differ at once. */
	return *name == *key && strncmp(name, key, len) == 0 &&
	       name[len] == '\0';
}

/* Takes "key":number. */
static bool take_pair(struct stats_text *text, const char **ret_key,
		      size_t *ret_len, uint64_t *ret_n)
{
	return take_key(text, ret_key, ret_len) && take_number(text, ret_n);
}

/* Each word comes once, in the order of their table. */
static bool take_by_word(struct stats_text *text,
			 const struct stats_member *member, uint64_t *values)
{
	const char *key;
	size_t len, i = 0;
	uint64_t n;

	if (!take_char(text, '{'))
		return false;
	do {
		if (!take_pair(text, &key, &len, &n))
			return false;
		while (i < member->n && !is_key(key, len, member->words[i]))
			i++;
		if (i == member->n)
			return false;
		values[i++] = n;
	} while (take_char(text, ','));
	return take_char(text, '}');
}

static bool has_error(const struct berth_counts *counts, int error)
{
	for (size_t i = 0; i < counts->n_errors; i++) {
		if (counts->errors[i].error == error)
			return true;
	}
	return false;
}

static bool take_errors(struct stats_text *text, struct berth_counts *counts)
{
	uint64_t error, n;
	const char *first;

	do {
		if (!take_char(text, '"'))
			return false;
		first = text->at;
		if (!take_number(text, &error) ||
		    text->at - first > ERROR_DIGITS_MAX || error > ERRNO_MAX ||
		    has_error(counts, (int)error) || !take_char(text, '"') ||
		    !take_char(text, ':') || !take_number(text, &n) || n == 0 ||
		    counts->n_errors == BERTH_ERRORS_MAX)
			return false;
		stats_counts_add_error(counts, (int)error, n);
	} while (take_char(text, ','));
	return take_char(text, '}');
}

/* Takes one member with the comma before it; *@place is where those before it
 * were found. Return: false: there is none, and nothing was taken. */
static bool take_member(struct stats_text *text, struct berth_counts *counts,
			size_t *place)
{
	const struct stats_member *member;
	struct stats_text at = *text;
	size_t i = *place, len;
	uint64_t *values;
	const char *key;

	if (!take_char(&at, ',') || !take_key(&at, &key, &len))
		return false;
	while (i < STATS_MEMBERS && !is_key(key, len, stats_members[i].name))
		i++;
	if (i == STATS_MEMBERS)
		return false;
	member = &stats_members[i];
	values = stats_counts_values(counts) + member->value;
	if (!(member->words ? take_by_word(&at, member, values)
			    : take_number(&at, values)))
		return false;
	*place = i + 1;
	*text = at;
	return true;
}

/* All that follows the id: first the members, in the order of their table. */
static bool take_counts(struct stats_text *text, struct berth_counts *counts)
{
	static const char errors[] = ",\"errors\":{";
	size_t place = 0;

	while (take_member(text, counts, &place))
		;
	if (take(text, errors, sizeof(errors) - 1) &&
	    !take_errors(text, counts))
		return false;
	stats_counts_complete(counts);
	return take_char(text, '}');
}

static bool ends_with(const char *text, size_t len, const char *end,
		      size_t end_len)
{
	return len >= end_len &&
	       memcmp(text + len - end_len, end, end_len) == 0;
}

int stats_text_begin(const char *text, size_t len, struct stats_text *ret_stats)
{
	struct stats_text stats = { .at = text, .end = text + len };

	if (ends_with(text, len, more, sizeof(more) - 1)) {
		stats.more = true;
		stats.end -= sizeof(more) - 1;
	} else if (ends_with(text, len, last, sizeof(last) - 1)) {
		stats.end -= sizeof(last) - 1;
	} else {
		return -EOPNOTSUPP;
	}
	if (!take(&stats, begin, sizeof(begin) - 1) ||
	    !take_number(&stats, &stats.request) ||
	    !take(&stats, list, sizeof(list) - 1))
		return -EOPNOTSUPP;
	*ret_stats = stats;
	return 0;
}

int stats_text_next(struct stats_text *stats, uint64_t *ret_id,
		    struct berth_counts *ret_counts)
{
	static const char first[] = "{\"id\":";
	struct berth_counts counts = { .accepted = 0 };
	uint64_t id;

	if (stats->at == stats->end)
		return 0;
	if (!take(stats, first, sizeof(first) - 1) ||
	    !take_number(stats, &id) || !take_counts(stats, &counts))
		return -EOPNOTSUPP;
	/* A comma, and something behind it, or the end. */
	if (stats->at < stats->end &&
	    (!take_char(stats, ',') || stats->at == stats->end))
		return -EOPNOTSUPP;
	*ret_id = id;
	*ret_counts = counts;
	return 1;
}
