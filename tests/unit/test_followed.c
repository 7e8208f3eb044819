// SPDX-License-Identifier: Apache-2.0
/* test_followed.c - whatever an engine says, and in which order, berthd is told
 * what is so in the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "hook/follow/engine.h"
#include "hook/follow/followed.h"

static struct followed *make(void)
{
	struct followed *followed;

	assert_int_equal(followed_new(&followed), 0);
	return followed;
}

/* Ids are the characters of a text, one each. */
static void list(struct followed *followed, const char *text)
{
	char ids[8][ENGINE_ID_MAX + 1] = { "" };
	const struct engine_ids all = { .list = ids, .n = strlen(text) };

	for (size_t i = 0; i < all.n; i++)
		ids[i][0] = text[i];
	assert_int_equal(followed_listed(followed, &all), 0);
}

static void changed(struct followed *followed, const char *id)
{
	assert_int_equal(followed_changed(followed, id), 0);
}

static void asks(struct followed *followed, const char *id)
{
	const char *asked = followed_ask(followed);

	assert_non_null(asked);
	assert_string_equal(asked, id);
}

static void asks_nothing(struct followed *followed)
{
	assert_null(followed_ask(followed));
}

/* The engine says that it runs, with this label. */
static void answer(struct followed *followed, const char *id, const char *label)
{
	json_t *wanted = label ? json_pack("{s:s}", "label", label) : NULL;

	assert_int_equal(followed_answered(followed, id, wanted), 0);
}

/* The next that is told is this; @label NULL: that it is gone. */
static void tells_so(struct followed *followed, const char *id,
		     const char *label, bool refused)
{
	struct followed_telling telling;
	const char *told;

	assert_true(followed_tell(followed, &telling));
	assert_string_equal(telling.id, id);
	told = json_string_value(json_object_get(telling.parameters, "label"));
	if (label)
		assert_string_equal(told, label);
	else
		assert_null(telling.parameters);
	followed_told(followed, refused);
}

static void tells(struct followed *followed, const char *id, const char *label)
{
	tells_so(followed, id, label, /* refused= */ false);
}

static void tells_nothing(const struct followed *followed)
{
	struct followed_telling telling;

	assert_false(followed_tell(followed, &telling));
}

/* A container that berthd was told of. */
static void have(struct followed *followed, const char *id, const char *label)
{
	changed(followed, id);
	asks(followed, id);
	answer(followed, id, label);
	tells(followed, id, label);
}

static void test_what_exists(void **state)
{
	struct followed *followed = make();

	(void)state;
	asks_nothing(followed);
	list(followed, "ab");
	asks(followed, "a");
	asks(followed, "b");
	asks_nothing(followed);
	answer(followed, "b", "1");
	answer(followed, "a", NULL); /* it has the host's network, say */
	tells(followed, "b", "1");
	tells_nothing(followed);
	assert_int_equal(followed_count(followed), 1);
	followed_free(followed);
}

static void test_starts_changes_ends(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	changed(followed, "a");
	asks(followed, "a");
	answer(followed, "a", "1");
	tells_nothing(followed);
	changed(followed, "a");
	asks(followed, "a");
	answer(followed, "a", "2");
	tells(followed, "a", "2");
	changed(followed, "a");
	asks(followed, "a");
	answer(followed, "a", NULL);
	tells(followed, "a", NULL);
	tells_nothing(followed);
	assert_int_equal(followed_count(followed), 0);
	followed_free(followed);
}

static void test_events_come_first(void **state)
{
	struct followed *followed = make();

	(void)state;
	list(followed, "abc");
	changed(followed, "c");
	changed(followed, "d");
	asks(followed, "c");
	asks(followed, "d");
	asks(followed, "a");
	asks(followed, "b");
	asks_nothing(followed);
	followed_free(followed);
}

static void test_event_while_it_is_asked(void **state)
{
	struct followed *followed = make();

	(void)state;
	changed(followed, "a");
	asks(followed, "a");
	changed(followed, "a");
	changed(followed, "a");
	asks_nothing(followed); /* that answer may be too old */
	answer(followed, "a", "1");
	asks(followed, "a");
	answer(followed, "a", NULL);
	/* berthd was never told: there is nothing to take back. */
	tells_nothing(followed);
	asks_nothing(followed);
	followed_free(followed);
}

static void test_gone_while_away(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	have(followed, "b", "1");
	list(followed, "bc");
	tells(followed, "a", NULL);
	asks(followed, "b");
	answer(followed, "b", "1");
	asks(followed, "c");
	answer(followed, "c", "3");
	tells(followed, "c", "3");
	tells_nothing(followed);
	followed_free(followed);
}

/* The list was made before it started, its event came earlier than the list. */
static void test_event_overtakes_the_list(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	changed(followed, "a");
	changed(followed, "b");
	asks(followed, "a");
	list(followed, "");
	answer(followed, "a", "1");
	asks(followed, "b");
	answer(followed, "b", "2");
	tells(followed, "b", "2");
	tells_nothing(followed);
	followed_free(followed);
}

static void test_no_answer(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	list(followed, "ab");
	asks(followed, "a");
	asks(followed, "b");
	followed_unanswered(followed, "a");
	followed_unanswered(followed, "b");
	followed_unanswered(followed, "c");
	tells_nothing(followed);
	asks_nothing(followed);
	assert_int_equal(followed_count(followed), 1);
	assert_int_equal(followed_answered(followed, "a", json_object()),
			 -ENOENT);
	assert_int_equal(followed_answered(followed, "c", NULL), -ENOENT);
	followed_free(followed);
}

static void test_engine_is_lost(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	list(followed, "ab");
	asks(followed, "a");
	asks(followed, "b");
	followed_ask_again(followed);
	/* It comes back without a. */
	list(followed, "b");
	asks(followed, "b");
	asks_nothing(followed);
	answer(followed, "b", "2");
	tells(followed, "a", NULL);
	tells(followed, "b", "2");
	tells_nothing(followed);
	followed_free(followed);
}

static void test_berthd_is_another_one(void **state)
{
	struct followed *followed = make();

	(void)state;
	have(followed, "a", "1");
	have(followed, "b", "1");
	changed(followed, "b");
	asks(followed, "b");
	answer(followed, "b", NULL);
	followed_forgotten(followed);
	/* It may have a file that says of b. */
	tells(followed, "b", NULL);
	tells(followed, "a", "1");
	tells_nothing(followed);
	followed_forgotten(followed);
	tells(followed, "a", "1");
	tells_nothing(followed);
	followed_free(followed);
}

static void test_refused(void **state)
{
	struct followed *followed = make();

	(void)state;
	changed(followed, "a");
	asks(followed, "a");
	answer(followed, "a", "1");
	tells_so(followed, "a", "1", /* refused= */ true);
	tells_nothing(followed);
	changed(followed, "a");
	asks(followed, "a");
	answer(followed, "a", "1");
	tells(followed, "a", "1");
	tells_nothing(followed);
	followed_free(followed);
}

static void test_is_bounded(void **state)
{
	struct followed *followed = make();
	char id[ENGINE_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ENGINE_CONTAINERS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%zu", i);
		changed(followed, id);
	}
	assert_int_equal(followed_changed(followed, "one more"), -E2BIG);
	assert_int_equal(followed_changed(followed, "0"), 0);
	asks(followed, "0");
	answer(followed, "0", NULL);
	changed(followed, "one more");
	followed_free(followed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_exists),
		cmocka_unit_test(test_starts_changes_ends),
		cmocka_unit_test(test_events_come_first),
		cmocka_unit_test(test_event_while_it_is_asked),
		cmocka_unit_test(test_gone_while_away),
		cmocka_unit_test(test_event_overtakes_the_list),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_engine_is_lost),
		cmocka_unit_test(test_berthd_is_another_one),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
