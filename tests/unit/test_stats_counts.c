// SPDX-License-Identifier: Apache-2.0
/* test_stats_counts.c - counts: added up, packed, and read from text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/consumers/stats_packed.h"
#include "daemon/consumers/stats_text.h"

static void test_sums_do_not_wrap(void **state)
{
	struct berth_counts sum = { .accepted = INT64_MAX - 1 };
	struct berth_counts more = { .accepted = INT64_MAX, .n_errors = 1 };

	(void)state;
	more.errors[0].error = 1;
	more.errors[0].n = INT64_MAX;
	stats_counts_add(&sum, &more);
	stats_counts_add(&sum, &more);
	assert_int_equal(sum.accepted, INT64_MAX);
	assert_int_equal(sum.errors[0].n, INT64_MAX);
	sum.n_errors = 2;
	sum.errors[1] = sum.errors[0];
	assert_int_equal(stats_counts_failed(&sum), INT64_MAX);
}

static void test_counts_from_text(void **state)
{
	static const char text[] =
		"{\"accepted\":1,\"active\":2,\"limited\":3,\"bytes_in\":4,"
		"\"bytes_out\":5,\"messages_in\":6,\"messages_out\":7,"
		"\"dropped\":8,\"looped\":9,\"not_admitted\":10,\"other\":[],"
		"\"ended\":{\"idle\":7,\"client-end\":1,\"later\":2},"
		"\"dropped_by\":{\"too-large\":3,\"later\":1},"
		"\"errors\":{\"1\":1,"
		"\"2\":1,"
		"\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,"
		"\"x\":1,\"4096\":1,\"-1\":1,\"12\":0}}";
	json_t *object = json_loads(text, 0, NULL), *shown;
	struct berth_counts counts, again;

	(void)state;
	assert_int_equal(stats_counts_parse(object, &counts), 0);
	assert_int_equal(counts.accepted, 1);
	assert_int_equal(counts.active, 2);
	assert_int_equal(counts.limited, 3);
	assert_int_equal(counts.bytes_in, 4);
	assert_int_equal(counts.bytes_out, 5);
	assert_int_equal(counts.messages_in, 6);
	assert_int_equal(counts.messages_out, 7);
	assert_int_equal(counts.dropped, 8);
	assert_int_equal(counts.looped, 9);
	assert_int_equal(counts.not_admitted, 10);
	assert_int_equal(counts.ended[BERTH_ENDING_IDLE], 7);
	assert_int_equal(counts.ended[BERTH_ENDING_CLIENT_END], 1);
	assert_int_equal(counts.ended[BERTH_ENDING_ERROR], 2);
	/* What has no reason, or a word that is not known, is another. */
	assert_int_equal(counts.dropped_by[BERTH_DROP_TOO_LARGE], 3);
	assert_int_equal(counts.dropped_by[BERTH_DROP_OTHER], 5);
	assert_int_equal(counts.limited_by[BERTH_LIMIT_OTHER], 3);
	assert_int_equal(counts.n_errors, BERTH_ERRORS_MAX);
	assert_int_equal(counts.errors[7].error, 0);
	assert_int_equal(counts.errors[7].n, 4);
	shown = stats_counts_json(&counts);
	assert_int_equal(json_integer_value(json_object_get(shown, "failed")),
			 11);
	assert_int_equal(json_integer_value(json_object_get(shown, "dropped")),
			 8);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(shown, "ended"), 2),
			"reason")),
		"idle");
	assert_int_equal(json_array_size(json_object_get(shown, "dropped_by")),
			 2);
	json_decref(shown);
	json_decref(object);
	/* What is written is read again. */
	object = stats_counts_members(&counts);
	assert_int_equal(stats_counts_parse(object, &again), 0);
	assert_memory_equal(again.ended, counts.ended, sizeof(counts.ended));
	assert_memory_equal(again.dropped_by, counts.dropped_by,
			    sizeof(counts.dropped_by));
	assert_memory_equal(again.limited_by, counts.limited_by,
			    sizeof(counts.limited_by));
	stats_counts_subtract(&again, &counts);
	assert_int_equal(again.ended[BERTH_ENDING_IDLE], 0);
	stats_counts_raise(&again, &counts);
	assert_memory_equal(again.ended, counts.ended, sizeof(counts.ended));
	json_decref(object);
	object = json_loads("{\"ended\":{\"idle\":-1}}", 0, NULL);
	assert_int_equal(stats_counts_parse(object, &again), -EPROTO);
	json_decref(object);
	object = json_loads("{\"limited_by\":[1]}", 0, NULL);
	assert_int_equal(stats_counts_parse(object, &again), -EPROTO);
	json_decref(object);
}

/* As large as any, and of each kind. */
static struct berth_counts large_counts(void)
{
	struct berth_counts counts = { .accepted = 0 };

	for (size_t i = 0; i < STATS_VALUES; i++)
		stats_counts_values(&counts)[i] = i % 3 ? (uint64_t)1 << i : 0;
	counts.ended[BERTH_ENDING_IDLE] = INT64_MAX;
	counts.n_errors = BERTH_ERRORS_MAX;
	for (size_t i = 0; i < BERTH_ERRORS_MAX; i++) {
		counts.errors[i].error = i ? 4096 - (int)i : 0;
		counts.errors[i].n = i + 1;
	}
	return counts;
}

static void test_packed(void **state)
{
	struct berth_counts all = large_counts(), none = { .accepted = 0 };
	struct berth_counts read;
	unsigned char bytes[STATS_PACKED_MAX];
	size_t len = stats_pack(&all, bytes);

	(void)state;
	stats_unpack(bytes, len, &read);
	assert_memory_equal(&read, &all, sizeof(all));
	memset(&all, 0xff, sizeof(all)); /* the most bytes that there are */
	all.n_errors = BERTH_ERRORS_MAX;
	assert_in_range(stats_pack(&all, bytes), 300, sizeof(bytes));
	assert_int_equal(stats_pack(&none, bytes), 0);
	stats_unpack(bytes, 0, &read);
	assert_memory_equal(&read, &none, sizeof(none));
}

/* Reads the list of an answer. Return: how many listeners it had, or -errno. */
static int read_text(const char *text, struct stats_text *stats,
		     uint64_t *ret_id, struct berth_counts *ret_counts)
{
	int r = stats_text_begin(text, strlen(text), stats), n = 0;

	while (r == 0 || r == 1) {
		r = stats_text_next(stats, ret_id, ret_counts);
		if (r == 0)
			return n;
		n++;
	}
	return r;
}

#define BEGIN "{\"type\":\"stats\",\"request\":7,\"listeners\":["

static void test_text(void **state)
{
	static const char *const others[] = {
		"{\"type\":\"stats\",\"request\":7}",
		"{\"type\": \"stats\",\"request\":7,\"listeners\":[]}",
		"{\"type\":\"stats\",\"request\":-7,\"listeners\":[]}",
		BEGIN "]",
		BEGIN "],\"more\":false}",
		BEGIN "{\"id\":1},]}",
		BEGIN "{\"id\":01}]}",
		BEGIN "{\"id\":1234567890123456789}]}",
		BEGIN "{\"id\":1}{\"id\":2}]}",
		BEGIN "{\"id\":1]}",
		BEGIN "{\"id\":1,\"accepted\":-1}]}",
		BEGIN "{\"id\":1,\"accepted\":1.5}]}",
		BEGIN "{\"id\":1,\"accepted\":1,\"accepted\":1}]}",
		BEGIN "{\"id\":1,\"active\":1,\"accepted\":1}]}",
		BEGIN "{\"id\":1,\"other\":1}]}",
		BEGIN "{\"id\":1,\"ended\":{}}]}",
		BEGIN "{\"id\":1,\"ended\":{\"idle\":1,\"idle\":1}}]}",
		BEGIN "{\"id\":1,\"ended\":{\"later\":1}}]}",
		BEGIN "{\"id\":1,\"dropped_by\":3}]}",
		BEGIN "{\"id\":1,\"dropped_by\":{\"later\":1}}]}",
		BEGIN "{\"id\":1,\"limited_by\":{\"ports\":1},"
		      "\"dropped_by\":{\"limit\":1}}]}",
		BEGIN "{\"id\":1,\"errors\":{}}]}",
		BEGIN "{\"id\":1,\"errors\":{\"4096\":1}}]}",
		BEGIN "{\"id\":1,\"errors\":{\"5\":1,\"5\":1}}]}",
		BEGIN "{\"id\":1,\"errors\":{\"5\":0}}]}",
		BEGIN
		"{\"id\":1,\"errors\":{\"5\":1},\"ended\":{\"idle\":1}}]}",
	};
	struct stats_text stats;
	struct berth_counts counts;
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(read_text(others[i], &stats, &id, &counts),
				 -EOPNOTSUPP);
	assert_int_equal(read_text(BEGIN "]}", &stats, &id, &counts), 0);
	assert_int_equal(stats.request, 7);
	assert_false(stats.more);
	assert_int_equal(read_text(BEGIN
				   "{\"id\":1},{\"id\":20,\"accepted\":3,"
				   "\"dropped\":4,\"ended\":{\"client-end\":5,"
				   "\"idle\":6},\"dropped_by\":{\"limit\":3},"
				   "\"limited_by\":{\"ports\":8},"
				   "\"errors\":{\"0\":1,\"111\":2}}],"
				   "\"more\":true}",
				   &stats, &id, &counts),
			 2);
	assert_true(stats.more);
	assert_int_equal(id, 20);
	assert_int_equal(counts.accepted, 3);
	assert_int_equal(counts.active, 0);
	assert_int_equal(counts.dropped, 4);
	assert_int_equal(counts.ended[BERTH_ENDING_CLIENT_END], 5);
	assert_int_equal(counts.ended[BERTH_ENDING_IDLE], 6);
	assert_int_equal(counts.dropped_by[BERTH_DROP_LIMIT], 3);
	assert_int_equal(counts.dropped_by[BERTH_DROP_OTHER], 1);
	assert_int_equal(counts.limited_by[BERTH_LIMIT_PORTS], 8);
	assert_int_equal(counts.n_errors, 2);
	assert_int_equal(counts.errors[1].error, 111);
	assert_int_equal(counts.errors[1].n, 2);
	assert_int_equal(read_text(BEGIN "{\"id\":1,\"errors\":{\"5\":1}}]}",
				   &stats, &id, &counts),
			 1);
	assert_int_equal(counts.errors[0].error, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_do_not_wrap),
		cmocka_unit_test(test_counts_from_text),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
