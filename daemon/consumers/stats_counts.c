// SPDX-License-Identifier: Apache-2.0
/* stats_counts.c - what a consumer counted: parsed, added up, as JSON
 *
 * Consumers are not trusted: any number that JSON has may come, and sums of
 * them must not wrap.
 */
#include "daemon/consumers/stats_counts.h"

#include <string.h>

#include "common/util.h"
#include "daemon/json_build.h"
#include "lib/berth_endings.h"
#include "lib/berth_reasons.h"

/* The kernel's errnos end here. */
#define ERRNO_MAX 4095

#define NUMBER(member)                                          \
	{                                                       \
#member,                                        \
			offsetof(struct berth_counts, member) / \
				sizeof(uint64_t),               \
			NULL, 0                                 \
	}
#define BY_WORD(member, words)                                  \
	{                                                       \
#member,                                        \
			offsetof(struct berth_counts, member) / \
				sizeof(uint64_t),               \
			words, ARRAY_SIZE(words)                \
	}

const struct stats_member stats_members[STATS_MEMBERS] = {
	NUMBER(accepted),
	NUMBER(active),
	NUMBER(limited),
	NUMBER(bytes_in),
	NUMBER(bytes_out),
	NUMBER(messages_in),
	NUMBER(messages_out),
	NUMBER(dropped),
	NUMBER(looped),
	NUMBER(not_admitted),
	NUMBER(unlogged),
	BY_WORD(ended, berth_ending_names),
	BY_WORD(dropped_by, berth_drop_names),
	BY_WORD(limited_by, berth_limit_names),
};

static void add(uint64_t *sum, uint64_t n)
{
	*sum = *sum > INT64_MAX - n ? INT64_MAX : *sum + n;
}

static int parse_number(const json_t *value, uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0)
		return -EPROTO;
	*ret = (uint64_t)number;
	return 0;
}

static size_t error_place(const struct berth_counts *counts, int error)
{
	size_t i = 0;

	while (i < counts->n_errors && counts->errors[i].error != error)
		i++;
	return i;
}

void stats_counts_add_error(struct berth_counts *counts, int error, uint64_t n)
{
	size_t i = error_place(counts, error);

	/* The last place is for 0. */
	if (i == counts->n_errors && i >= BERTH_ERRORS_MAX - 1) {
		error = 0;
		i = error_place(counts, 0);
	}
	if (i == counts->n_errors) {
		counts->errors[i].error = error;
		counts->errors[i].n = 0;
		counts->n_errors++;
	}
	add(&counts->errors[i].n, n);
}

static int parse_errors(const json_t *errors, struct berth_counts *counts)
{
	json_t *value;
	const char *key;
	uint64_t n;

	if (!json_is_object(errors))
		return -EPROTO;
	/* The macro wants one that is not const, and changes nothing. */
	json_object_foreach ((json_t *)errors, key, value) {
		char *end;
		long error = strtol(key, &end, 10);

		if (parse_number(value, &n) < 0)
			return -EPROTO;
		if (*end != '\0' || error < 0 || error > ERRNO_MAX)
			error = 0;
		if (n > 0)
			stats_counts_add_error(counts, (int)error, n);
	}
	return 0;
}

/* A word that is not known is one of the others, which are the first. */
static size_t word_parse(const struct stats_member *member, const char *word)
{
	size_t i = member->n - 1;

	while (i > 0 && strcmp(word, member->words[i]) != 0)
		i--;
	return i;
}

static int parse_by_word(const json_t *object,
			 const struct stats_member *member, uint64_t *values)
{
	json_t *value;
	const char *key;
	uint64_t n;

	if (!json_is_object(object))
		return -EPROTO;
	/* The macro wants one that is not const, and changes nothing. */
	json_object_foreach ((json_t *)object, key, value) {
		if (parse_number(value, &n) < 0)
			return -EPROTO;
		add(&values[word_parse(member, key)], n);
	}
	return 0;
}

static int parse_member(const json_t *value, const struct stats_member *member,
			struct berth_counts *counts)
{
	uint64_t *values = stats_counts_values(counts) + member->value;

	return member->words ? parse_by_word(value, member, values)
			     : parse_number(value, values);
}

int stats_counts_parse(const json_t *object, struct berth_counts *ret_counts)
{
	const json_t *errors = json_object_get(object, "errors");
	struct berth_counts counts = { .accepted = 0 };

	for (size_t i = 0; i < STATS_MEMBERS; i++) {
		const json_t *value =
			json_object_get(object, stats_members[i].name);

		if (value &&
		    parse_member(value, &stats_members[i], &counts) < 0)
			return -EPROTO;
	}
	if (errors && parse_errors(errors, &counts) < 0)
		return -EPROTO;
	stats_counts_complete(&counts);
	*ret_counts = counts;
	return 0;
}

/* Adds what @all has more than all @n counts to the first of those. */
static void complete(uint64_t all, uint64_t *counts, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		add(&sum, counts[i]);
	if (all > sum)
		add(&counts[0], all - sum);
}

void stats_counts_complete(struct berth_counts *counts)
{
	if (counts->dropped > 0)
		complete(counts->dropped, counts->dropped_by, BERTH_DROPS);
	if (counts->limited > 0)
		complete(counts->limited, counts->limited_by, BERTH_LIMITS);
}

void stats_counts_add(struct berth_counts *sum, const struct berth_counts *more)
{
	uint64_t *values = stats_counts_values(sum);

	for (size_t i = 0; i < STATS_VALUES; i++)
		add(&values[i], stats_counts_value(more, i));
	for (size_t i = 0; i < more->n_errors; i++)
		stats_counts_add_error(sum, more->errors[i].error,
				       more->errors[i].n);
}

static uint64_t error_count(const struct berth_counts *counts, int error)
{
	size_t place = error_place(counts, error);

	return place < counts->n_errors ? counts->errors[place].n : 0;
}

void stats_counts_add_more(struct berth_counts *sum,
			   const struct berth_counts *before,
			   const struct berth_counts *now)
{
	uint64_t *values = stats_counts_values(sum);

	for (size_t i = 0; i < STATS_VALUES; i++) {
		uint64_t was = stats_counts_value(before, i);
		uint64_t is = stats_counts_value(now, i);

		if (is > was)
			add(&values[i], is - was);
	}
	for (size_t i = 0; i < now->n_errors; i++) {
		uint64_t was = error_count(before, now->errors[i].error);

		if (now->errors[i].n > was)
			stats_counts_add_error(sum, now->errors[i].error,
					       now->errors[i].n - was);
	}
}

static void subtract(uint64_t *n, uint64_t less)
{
	*n = *n > less ? *n - less : 0;
}

void stats_counts_subtract(struct berth_counts *counts,
			   const struct berth_counts *less)
{
	uint64_t *values = stats_counts_values(counts);

	for (size_t i = 0; i < STATS_VALUES; i++)
		subtract(&values[i], stats_counts_value(less, i));
	for (size_t i = 0; i < less->n_errors; i++) {
		size_t place = error_place(counts, less->errors[i].error);

		if (place < counts->n_errors)
			subtract(&counts->errors[place].n, less->errors[i].n);
	}
}

void stats_counts_raise(struct berth_counts *counts,
			const struct berth_counts *least)
{
	uint64_t *values = stats_counts_values(counts);
	uint64_t active = counts->active;

	for (size_t i = 0; i < STATS_VALUES; i++) {
		if (values[i] < stats_counts_value(least, i))
			values[i] = stats_counts_value(least, i);
	}
	counts->active = active;
	for (size_t i = 0; i < least->n_errors; i++) {
		uint64_t n = error_count(counts, least->errors[i].error);

		if (n < least->errors[i].n)
			stats_counts_add_error(counts, least->errors[i].error,
					       least->errors[i].n - n);
	}
}

uint64_t stats_counts_failed(const struct berth_counts *counts)
{
	uint64_t failed = 0;

	for (size_t i = 0; i < counts->n_errors; i++)
		add(&failed, counts->errors[i].n);
	return failed;
}

static json_t *member_json(const struct berth_counts *counts,
			   const struct stats_member *member)
{
	json_t *object;

	if (!member->words)
		return json_count(stats_counts_value(counts, member->value));
	object = json_object();
	for (size_t i = 0; i < member->n; i++) {
		uint64_t n = stats_counts_value(counts, member->value + i);

		if (n > 0)
			json_put(&object, member->words[i], json_count(n));
	}
	return object;
}

json_t *stats_counts_members(const struct berth_counts *counts)
{
	json_t *object = json_object(), *errors = json_object();
	char error[16];

	for (size_t i = 0; i < counts->n_errors; i++) {
		(void)snprintf(error, sizeof(error), "%d",
			       counts->errors[i].error); /* fits */
		json_put(&errors, error, json_count(counts->errors[i].n));
	}
	json_put(&object, "errors", errors);
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		json_put(&object, stats_members[i].name,
			 member_json(counts, &stats_members[i]));
	return object;
}

static json_t *error_json(int error, uint64_t n)
{
	const char *name = error ? strerrorname_np(error) : NULL;

	return json_pack("{s:s?, s:I}", "error", name, "count", (json_int_t)n);
}

static json_t *errors_json(const struct berth_counts *counts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < counts->n_errors; i++)
		json_add(&array, error_json(counts->errors[i].error,
					    counts->errors[i].n));
	return array;
}

/* For people and programs: a list of those that are not 0. */
static json_t *member_list(const struct berth_counts *counts,
			   const struct stats_member *member)
{
	json_t *array;

	if (!member->words)
		return json_count(stats_counts_value(counts, member->value));
	array = json_array();
	for (size_t i = 0; i < member->n; i++) {
		uint64_t n = stats_counts_value(counts, member->value + i);

		if (n > 0)
			json_add(&array, json_pack("{s:s, s:I}", "reason",
						   member->words[i], "count",
						   (json_int_t)n));
	}
	return array;
}

json_t *stats_counts_json(const struct berth_counts *counts)
{
	json_t *object = json_object();

	json_put(&object, "failed", json_count(stats_counts_failed(counts)));
	json_put(&object, "errors", errors_json(counts));
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		json_put(&object, stats_members[i].name,
			 member_list(counts, &stats_members[i]));
	return object;
}
