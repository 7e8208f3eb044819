// SPDX-License-Identifier: Apache-2.0
/* test_top_ui.c - keys, columns and widths of `berthctl top` */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <curses.h>

#include "common/util.h"
#include "ctl/text.h"
#include "ctl/top/layout.h"
#include "ctl/top/ui.h"

#define PAGE 10

static enum top_action press(struct top_ui *ui, const char *keys)
{
	enum top_action action = TOP_NOTHING;

	for (; *keys; keys++)
		action = top_ui_key(ui, (unsigned char)*keys, PAGE);
	return action;
}

static void test_views(void **state)
{
	struct top_ui ui;

	(void)state;
	top_ui_init(&ui);
	assert_int_equal(ui.query.view, TOP_NAMESPACES);
	assert_int_equal(press(&ui, "\t\t"), TOP_DRAW);
	assert_int_equal(ui.query.view, TOP_LISTENERS);
	(void)top_ui_key(&ui, KEY_BTAB, PAGE);
	assert_int_equal(ui.query.view, TOP_CONTAINERS);
	press(&ui, "1");
	(void)top_ui_key(&ui, KEY_LEFT, PAGE);
	assert_int_equal(ui.query.view, TOP_VIEWS - 1);
	press(&ui, "\t");
	assert_int_equal(ui.query.view, TOP_NAMESPACES);
	assert_int_equal(press(&ui, "9"), TOP_NOTHING);
	assert_int_equal(press(&ui, "q"), TOP_QUIT);
}

static void test_orders(void **state)
{
	struct top_ui ui;

	(void)state;
	top_ui_init(&ui);
	assert_int_equal(ui.query.order, TOP_BY_RATE);
	press(&ui, "r");
	assert_true(ui.query.reverse);
	press(&ui, "r");
	assert_false(ui.query.reverse);
	press(&ui, "cc");
	assert_true(ui.query.reverse);
	press(&ui, "a");
	assert_false(ui.query.reverse);
	assert_int_equal(ui.query.order, TOP_BY_AGE);
}

static void test_filter(void **state)
{
	struct top_ui ui;

	(void)state;
	top_ui_init(&ui);
	assert_int_equal(press(&ui, "/q1r"), TOP_DRAW);
	assert_true(ui.typing);
	assert_string_equal(ui.query.filter, "q1r");
	press(&ui, "\177\303\274\r");
	assert_false(ui.typing);
	assert_string_equal(ui.query.filter, "q1\303\274");
	press(&ui, "/\b\b");
	assert_string_equal(ui.query.filter, "q");
	press(&ui, "\b\b\b");
	assert_string_equal(ui.query.filter, "");
	press(&ui, "abc\033");
	assert_false(ui.typing);
	assert_string_equal(ui.query.filter, "");
	press(&ui, "/");
	for (size_t i = 0; i < 3 * TOP_FILTER_MAX; i++)
		press(&ui, "x");
	assert_int_equal(strlen(ui.query.filter), TOP_FILTER_MAX - 1);
	assert_int_equal(top_ui_key(&ui, KEY_F(1), PAGE), TOP_NOTHING);
}

static void test_intervals(void **state)
{
	struct top_ui ui;

	(void)state;
	top_ui_init(&ui);
	assert_int_equal(press(&ui, "+"), TOP_ASK);
	assert_int_equal(ui.interval_ms, 5000);
	press(&ui, "++++++++++");
	assert_int_equal(ui.interval_ms, 60000);
	press(&ui, "--------------------");
	assert_int_equal(ui.interval_ms, 100);
	ui.interval_ms = 1234;
	press(&ui, "-");
	assert_int_equal(ui.interval_ms, 1000);
}

static void test_scrolling(void **state)
{
	struct top_ui ui;

	(void)state;
	top_ui_init(&ui);
	(void)top_ui_key(&ui, KEY_UP, PAGE);
	assert_int_equal(ui.first, 0);
	(void)top_ui_key(&ui, KEY_NPAGE, PAGE);
	(void)top_ui_key(&ui, KEY_DOWN, PAGE);
	assert_int_equal(ui.first, PAGE);
	top_ui_clamp(&ui, 100, PAGE);
	assert_int_equal(ui.first, PAGE);
	(void)top_ui_key(&ui, KEY_END, PAGE);
	(void)top_ui_key(&ui, KEY_DOWN, PAGE);
	top_ui_clamp(&ui, 100, PAGE);
	assert_int_equal(ui.first, 90);
	(void)top_ui_key(&ui, KEY_PPAGE, PAGE);
	assert_int_equal(ui.first, 81);
	top_ui_clamp(&ui, 3, PAGE);
	assert_int_equal(ui.first, 0);
	/* A screen without a single line of room. */
	(void)top_ui_key(&ui, KEY_NPAGE, 0);
	top_ui_clamp(&ui, 3, 0);
	assert_true(ui.first <= 3);
}

static size_t width_of(const struct top_layout *layout)
{
	size_t width = 0;

	for (size_t i = 0; i < layout->n; i++)
		width += layout->columns[i].width + (i ? TOP_COLUMN_GAP : 0);
	return width;
}

/* Every view fits into every screen, and uses what it needs. */
static void test_widths(void **state)
{
	static const size_t narrow[TOP_CELLS],
		long_texts[TOP_CELLS] = { [TOP_CELL_NAME] = 300,
					  [TOP_CELL_PLACE] = 30,
					  [TOP_CELL_DETAIL] = 500 };
	struct top_layout layout;

	(void)state;
	for (enum top_view view = 0; view < TOP_VIEWS; view++) {
		for (size_t width = 1; width < 400; width++) {
			top_layout_make(view, width, long_texts, &layout);
			assert_true(layout.n >= 1);
			assert_true(width_of(&layout) <= width);
			assert_int_equal(layout.columns[0].cell, TOP_CELL_NAME);
			if (width > 100)
				assert_int_equal(width_of(&layout), width);
			top_layout_make(view, width, narrow, &layout);
			assert_true(width_of(&layout) <= width);
		}
		top_layout_make(view, 1000, narrow, &layout);
		assert_true(width_of(&layout) < 130);
	}
}

static void test_cells(void **state)
{
	static const struct {
		struct top_row row;
		enum top_cell cell;
		const char *text;
	} cases[] = {
		{ { .state = "" }, TOP_CELL_STATE, "-" },
		{ { .state = "x" }, TOP_CELL_STATE, "x" },
		{ { .counted = false }, TOP_CELL_ACTIVE, "-" },
		{ { .counted = true, .counts.active = 12 },
		  TOP_CELL_ACTIVE,
		  "12" },
		{ { .clients = 7 }, TOP_CELL_CLIENTS, "7" },
		{ { .rated = false }, TOP_CELL_RATE, "-" },
		{ { .rated = true, .rates.accepted = 0.5 },
		  TOP_CELL_RATE,
		  "0.5" },
		{ { .rated = true, .rates.accepted = 12345.6 },
		  TOP_CELL_RATE,
		  "12346" },
		{ { .rated = true, .rates.accepted = 1234567 },
		  TOP_CELL_RATE,
		  "1.23M" },
		{ { .rated = true, .rates.bytes_in = 1536 },
		  TOP_CELL_IN,
		  "1.5 KiB" },
		{ { .age_us = 0 }, TOP_CELL_AGE, "0s" },
		{ { .age_us = 61 * (int64_t)USEC_PER_SEC },
		  TOP_CELL_AGE,
		  "1m01s" },
		{ { .age_us = 3660 * (int64_t)USEC_PER_SEC },
		  TOP_CELL_AGE,
		  "1h01m" },
		{ { .age_us = 90000 * (int64_t)USEC_PER_SEC },
		  TOP_CELL_AGE,
		  "1d01h" },
		{ { .age_us = 86400 * 365 * (int64_t)USEC_PER_SEC },
		  TOP_CELL_AGE,
		  "365d" },
	};
	char buffer[TOP_CELL_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(top_cell_text(&cases[i].row, cases[i].cell,
						  buffer),
				    cases[i].text);
}

/* Cutting never parts a character, nor takes half of a wide one. */
static void test_fit(void **state)
{
	static const char text[] = "a\303\274\346\274\242\345\255\227z";
	static const struct {
		size_t width, len, used;
	} cases[] = { { 0, 0, 0 }, { 1, 1, 1 },	 { 2, 3, 2 },
		      { 3, 3, 2 }, { 4, 6, 4 },	 { 5, 6, 4 },
		      { 6, 9, 6 }, { 7, 10, 7 }, { 8, 10, 7 } };
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(text_fit(text, cases[i].width, &used),
				 cases[i].len);
		assert_int_equal(used, cases[i].used);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_scrolling),
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_fit),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
