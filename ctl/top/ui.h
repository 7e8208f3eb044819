/* SPDX-License-Identifier: Apache-2.0 */
/* ui.h - what the keys of `berthctl top` do
 *
 * Pure, as model.h is; keys are those of getch(3ncurses).
 */
#ifndef CTL_TOP_UI_H
#define CTL_TOP_UI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/top/query.h"

#define TOP_FILTER_MAX 64 /* bytes, and the NUL */
#define TOP_INTERVAL_DEFAULT_MS 2000

/**
 * struct top_ui - what is looked at
 * @query:	its filter is @filter
 * @typing:	keys go into the filter
 * @first:	the first line that is shown
 */
struct top_ui {
	struct top_query query;
	char filter[TOP_FILTER_MAX];
	bool typing;
	size_t first;
	int64_t interval_ms;
};

/** enum top_action - what is to be done after a key */
enum top_action {
	TOP_NOTHING,
	TOP_DRAW,
	TOP_DRAW_ALL, /* also what the terminal should have already */
	TOP_ASK, /* berthd, at once, and from now on every interval_ms */
	TOP_QUIT,
};

/** top_ui_init() - namespaces by rate, without a filter */
void top_ui_init(struct top_ui *ui);

/**
 * top_ui_key() - a key was pressed
 * @page:	how many lines are shown
 */
enum top_action top_ui_key(struct top_ui *ui, int key, size_t page);

/** top_ui_clamp() - keeps the last page full. @n: how many lines there are */
void top_ui_clamp(struct top_ui *ui, size_t n, size_t page);

#endif
