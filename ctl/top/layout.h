/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h - the columns of a view, and how wide they are on a screen
 *
 * Pure, as model.h is.
 */
#ifndef CTL_TOP_LAYOUT_H
#define CTL_TOP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/top/model.h"
#include "ctl/top/query.h"

#define TOP_COLUMNS_MAX 12
#define TOP_CELL_MAX 32 /* bytes of a number */
#define TOP_COLUMN_GAP 1

enum top_cell {
	TOP_CELL_NAME,
	TOP_CELL_PLACE,
	TOP_CELL_RULE,
	TOP_CELL_STATE,
	TOP_CELL_LISTENING,
	TOP_CELL_FAILURES,
	TOP_CELL_CLIENTS,
	TOP_CELL_ACTIVE,
	TOP_CELL_RATE,
	TOP_CELL_IN,
	TOP_CELL_OUT,
	TOP_CELL_AGE,
	TOP_CELL_DETAIL,
	TOP_CELLS, /* how many there are */
};

/**
 * struct top_column - one column
 * @width:	in terminal columns; of texts the least that is useful
 * @text:	it may be wider, and cut; the others are numbers, at the right
 * @keep:	which columns go first on a narrow screen: those with the least
 * @order:	what sorts by it; TOP_ORDERS: nothing
 */
struct top_column {
	enum top_cell cell;
	const char *heading;
	size_t width;
	bool text;
	int keep;
	enum top_order order;
};

/** struct top_layout - columns from the left, with their final widths */
struct top_layout {
	struct top_column columns[TOP_COLUMNS_MAX];
	size_t n;
};

/**
 * top_layout_make() - fits the columns of a view into a screen
 * @width:	of the screen, in terminal columns
 * @wanted:	by enum top_cell: how wide the texts that are shown are
 *
 * At least one column stays, however narrow the screen is.
 */
void top_layout_make(enum top_view view, size_t width,
		     const size_t wanted[static TOP_CELLS],
		     struct top_layout *ret_layout);

/**
 * top_cell_text() - the text of a cell, of any bytes
 * @buffer:	of TOP_CELL_MAX, for numbers
 * Return: @buffer, or a text of @row; "-" for what is not known.
 */
const char *top_cell_text(const struct top_row *row, enum top_cell cell,
			  char *buffer);

#endif
