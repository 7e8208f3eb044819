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

/* The kernel's errnos end here. */
#define ERRNO_MAX 4095

const struct stats_member stats_members[STATS_MEMBERS] = {
	{ "accepted", offsetof(struct berth_counts, accepted) },
	{ "active", offsetof(struct berth_counts, active) },
	{ "limited", offsetof(struct berth_counts, limited) },
	{ "bytes_in", offsetof(struct berth_counts, bytes_in) },
	{ "bytes_out", offsetof(struct berth_counts, bytes_out) },
	{ "messages_in", offsetof(struct berth_counts, messages_in) },
	{ "messages_out", offsetof(struct berth_counts, messages_out) },
	{ "dropped", offsetof(struct berth_counts, dropped) },
	{ "looped", offsetof(struct berth_counts, looped) },
	{ "not_admitted", offsetof(struct berth_counts, not_admitted) },
	{ "unlogged", offsetof(struct berth_counts, unlogged) },
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

/* A word that is not known is an error like any other. */
static enum berth_ending ending_parse(const char *word)
{
	for (unsigned int i = 0; i < BERTH_ENDINGS; i++) {
		if (strcmp(word, berth_ending_names[i]) == 0)
			return (enum berth_ending)i;
	}
	return BERTH_ENDING_ERROR;
}

static int parse_ended(const json_t *ended, struct berth_counts *counts)
{
	json_t *value;
	const char *key;
	uint64_t n;

	if (!json_is_object(ended))
		return -EPROTO;
	/* The macro wants one that is not const, and changes nothing. */
	json_object_foreach ((json_t *)ended, key, value) {
		if (parse_number(value, &n) < 0)
			return -EPROTO;
		add(&counts->ended[ending_parse(key)], n);
	}
	return 0;
}

int stats_counts_parse(const json_t *object, struct berth_counts *ret_counts)
{
	const json_t *errors = json_object_get(object, "errors");
	const json_t *ended = json_object_get(object, "ended");
	struct berth_counts counts = { .accepted = 0 };

	for (size_t i = 0; i < STATS_MEMBERS; i++) {
		const json_t *value =
			json_object_get(object, stats_members[i].name);

		if (value &&
		    parse_number(value, stats_counts_member(&counts, i)) < 0)
			return -EPROTO;
	}
	if (ended && parse_ended(ended, &counts) < 0)
		return -EPROTO;
	if (errors && parse_errors(errors, &counts) < 0)
		return -EPROTO;
	*ret_counts = counts;
	return 0;
}

void stats_counts_add(struct berth_counts *sum, const struct berth_counts *more)
{
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		add(stats_counts_member(sum, i), stats_counts_value(more, i));
	for (size_t i = 0; i < BERTH_ENDINGS; i++)
		add(&sum->ended[i], more->ended[i]);
	for (size_t i = 0; i < more->n_errors; i++)
		stats_counts_add_error(sum, more->errors[i].error,
				       more->errors[i].n);
}

static void subtract(uint64_t *n, uint64_t less)
{
	*n = *n > less ? *n - less : 0;
}

void stats_counts_subtract(struct berth_counts *counts,
			   const struct berth_counts *less)
{
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		subtract(stats_counts_member(counts, i),
			 stats_counts_value(less, i));
	for (size_t i = 0; i < BERTH_ENDINGS; i++)
		subtract(&counts->ended[i], less->ended[i]);
	for (size_t i = 0; i < less->n_errors; i++) {
		size_t place = error_place(counts, less->errors[i].error);

		if (place < counts->n_errors)
			subtract(&counts->errors[place].n, less->errors[i].n);
	}
}

void stats_counts_raise(struct berth_counts *counts,
			const struct berth_counts *least)
{
	uint64_t active = counts->active;

	for (size_t i = 0; i < STATS_MEMBERS; i++) {
		if (*stats_counts_member(counts, i) <
		    stats_counts_value(least, i))
			*stats_counts_member(counts, i) =
				stats_counts_value(least, i);
	}
	counts->active = active;
	for (size_t i = 0; i < BERTH_ENDINGS; i++) {
		if (counts->ended[i] < least->ended[i])
			counts->ended[i] = least->ended[i];
	}
	for (size_t i = 0; i < least->n_errors; i++) {
		size_t place = error_place(counts, least->errors[i].error);
		uint64_t n = place < counts->n_errors ? counts->errors[place].n
						      : 0;

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

json_t *stats_counts_members(const struct berth_counts *counts)
{
	json_t *object = json_object(), *errors = json_object();
	json_t *ended = json_object();
	char error[16];

	for (size_t i = 0; i < counts->n_errors; i++) {
		(void)snprintf(error, sizeof(error), "%d",
			       counts->errors[i].error); /* fits */
		json_put(&errors, error, json_count(counts->errors[i].n));
	}
	json_put(&object, "errors", errors);
	for (size_t i = 0; i < BERTH_ENDINGS; i++) {
		if (counts->ended[i] > 0)
			json_put(&ended, berth_ending_names[i],
				 json_count(counts->ended[i]));
	}
	json_put(&object, "ended", ended);
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		json_put(&object, stats_members[i].name,
			 json_count(stats_counts_value(counts, i)));
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

static json_t *ended_json(const struct berth_counts *counts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < BERTH_ENDINGS; i++) {
		if (counts->ended[i] > 0)
			json_add(&array,
				 json_pack("{s:s, s:I}", "reason",
					   berth_ending_names[i], "count",
					   (json_int_t)counts->ended[i]));
	}
	return array;
}

json_t *stats_counts_json(const struct berth_counts *counts)
{
	json_t *object = json_object();

	json_put(&object, "failed", json_count(stats_counts_failed(counts)));
	json_put(&object, "errors", errors_json(counts));
	json_put(&object, "ended", ended_json(counts));
	for (size_t i = 0; i < STATS_MEMBERS; i++)
		json_put(&object, stats_members[i].name,
			 json_count(stats_counts_value(counts, i)));
	return object;
}
