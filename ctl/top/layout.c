// SPDX-License-Identifier: Apache-2.0
/* layout.c - the columns of a view, and how wide they are on a screen */
#include "ctl/top/layout.h"

#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "ctl/text.h"

#define NAME_WIDTH 12 /* of a text that says which one it is */
#define TEXT_WIDTH 10 /* of any other text; all headings fit */
#define NUMBER_WIDTH 9

#define TEXT(id, title, least, rank, by)                                     \
	{                                                                    \
		.cell = TOP_CELL_##id, .heading = (title), .width = (least), \
		.text = true, .keep = (rank), .order = (by)                  \
	}
#define NUMBER(id, title, rank, by)                                  \
	{                                                            \
		.cell = TOP_CELL_##id, .heading = (title),           \
		.width = NUMBER_WIDTH, .keep = (rank), .order = (by) \
	}
#define NAME(title) TEXT(NAME, title, NAME_WIDTH, 9, TOP_BY_NAME)
#define COUNTS                                          \
	NUMBER(ACTIVE, "CONN", 7, TOP_BY_CONNECTIONS),  \
		NUMBER(RATE, "CONN/s", 6, TOP_BY_RATE), \
		NUMBER(IN, "IN/s", 4, TOP_BY_BYTES),    \
		NUMBER(OUT, "OUT/s", 4, TOP_BY_BYTES)
#define AGE NUMBER(AGE, "AGE", 3, TOP_BY_AGE)
#define STATE TEXT(STATE, "STATE", 9, 8, TOP_BY_STATE)
#define DETAIL TEXT(DETAIL, "DETAIL", TEXT_WIDTH, 1, TOP_ORDERS)

static const struct top_layout layouts[] = {
	[TOP_NAMESPACES] = {
		.columns = { NAME("NAMESPACE"), STATE,
			     NUMBER(LISTENING, "LISTENING", 5, TOP_ORDERS),
			     COUNTS, AGE,
			     TEXT(DETAIL, "CONTAINERS", TEXT_WIDTH, 1,
				  TOP_ORDERS) },
		.n = 9,
	},
	[TOP_CONTAINERS] = {
		.columns = { NAME("CONTAINER"),
			     TEXT(PLACE, "NAMESPACE", TEXT_WIDTH, 2,
				  TOP_ORDERS),
			     STATE,
			     NUMBER(LISTENING, "LISTENING", 5, TOP_ORDERS),
			     COUNTS, AGE },
		.n = 9,
	},
	[TOP_LISTENERS] = {
		.columns = { NAME("LISTENER"),
			     TEXT(PLACE, "NAMESPACE", TEXT_WIDTH, 5,
				  TOP_ORDERS),
			     TEXT(RULE, "RULE", TEXT_WIDTH, 2, TOP_ORDERS),
			     STATE, COUNTS, AGE, DETAIL },
		.n = 10,
	},
	[TOP_BACKENDS] = {
		.columns = { NAME("BACKEND"),
			     TEXT(RULE, "RULE", TEXT_WIDTH, 6, TOP_ORDERS),
			     STATE,
			     NUMBER(CLIENTS, "CLIENTS", 7, TOP_BY_CONNECTIONS),
			     NUMBER(FAILURES, "FAILURES", 5, TOP_ORDERS), AGE,
			     DETAIL },
		.n = 7,
	},
};

static size_t layout_width(const struct top_layout *layout)
{
	size_t width = (layout->n - 1) * TOP_COLUMN_GAP;

	for (size_t i = 0; i < layout->n; i++)
		width += layout->columns[i].width;
	return width;
}

static void drop_least(struct top_layout *layout)
{
	size_t least = 0;

	for (size_t i = 1; i < layout->n; i++) {
		if (layout->columns[i].keep <= layout->columns[least].keep)
			least = i;
	}
	layout->n--;
	memmove(&layout->columns[least], &layout->columns[least + 1],
		(layout->n - least) * sizeof(layout->columns[0]));
}

/* Gives one more terminal column to the narrowest text that lacks some: so no
 * long text takes what several short ones need. Return: was there any? */
static bool widen(struct top_layout *layout,
		  const size_t wanted[static TOP_CELLS])
{
	struct top_column *narrowest = NULL;

	for (size_t i = 0; i < layout->n; i++) {
		struct top_column *column = &layout->columns[i];

		if (column->text && column->width < wanted[column->cell] &&
		    (!narrowest || column->width < narrowest->width))
			narrowest = column;
	}
	if (narrowest)
		narrowest->width++;
	return narrowest;
}

void top_layout_make(enum top_view view, size_t width,
		     const size_t wanted[static TOP_CELLS],
		     struct top_layout *ret_layout)
{
	struct top_layout layout = layouts[view];
	size_t used;

	while (layout.n > 1 && layout_width(&layout) > width)
		drop_least(&layout);
	used = layout_width(&layout);
	if (used > width) /* the last one has all there is */
		layout.columns[0].width = width;
	for (; used < width && widen(&layout, wanted); used++)
		;
	*ret_layout = layout;
}

static const char *number_text(int64_t number, char *buffer)
{
	(void)snprintf(buffer, TOP_CELL_MAX, "%" PRId64, number); /* fits */
	return buffer;
}

static const char *rate_text(double rate, char *buffer)
{
	const double million = 1e6;

	if (rate < 99.95)
		(void)snprintf(buffer, TOP_CELL_MAX, "%.1f", rate);
	else if (rate < million)
		(void)snprintf(buffer, TOP_CELL_MAX, "%.0f", rate);
	else
		(void)snprintf(buffer, TOP_CELL_MAX, "%.2fM", rate / million);
	return buffer;
}

/* At most seven characters: "12s", "3m05s", "4h12m", "5d03h", "120d". */
static const char *age_text(int64_t us, char *buffer)
{
	const int64_t minute = 60, hour = 60 * minute, day = 24 * hour;
	const int64_t many = 100 * day;
	int64_t s = us / (int64_t)USEC_PER_SEC;

	if (s < minute)
		(void)snprintf(buffer, TOP_CELL_MAX, "%" PRId64 "s", s);
	else if (s < hour)
		(void)snprintf(buffer, TOP_CELL_MAX,
			       "%" PRId64 "m%02" PRId64 "s", s / minute,
			       s % minute);
	else if (s < day)
		(void)snprintf(buffer, TOP_CELL_MAX,
			       "%" PRId64 "h%02" PRId64 "m", s / hour,
			       s % hour / minute);
	else if (s < many)
		(void)snprintf(buffer, TOP_CELL_MAX,
			       "%" PRId64 "d%02" PRId64 "h", s / day,
			       s % day / hour);
	else
		(void)snprintf(buffer, TOP_CELL_MAX, "%" PRId64 "d", s / day);
	return buffer;
}

const char *top_cell_text(const struct top_row *row, enum top_cell cell,
			  char *buffer)
{
	switch (cell) {
	case TOP_CELL_NAME:
		return row->name;
	case TOP_CELL_PLACE:
		return row->place;
	case TOP_CELL_RULE:
		return row->rule;
	case TOP_CELL_STATE:
		return *row->state ? row->state : "-";
	case TOP_CELL_LISTENING:
		return number_text(row->listening, buffer);
	case TOP_CELL_FAILURES:
		return number_text(row->failures, buffer);
	case TOP_CELL_CLIENTS:
		return number_text(row->clients, buffer);
	case TOP_CELL_ACTIVE:
		return row->counted ? number_text(row->counts.active, buffer)
				    : "-";
	case TOP_CELL_RATE:
		return row->rated ? rate_text(row->rates.accepted, buffer)
				  : "-";
	case TOP_CELL_IN:
		return row->rated ? text_bytes((int64_t)row->rates.bytes_in,
					       buffer)
				  : "-";
	case TOP_CELL_OUT:
		return row->rated ? text_bytes((int64_t)row->rates.bytes_out,
					       buffer)
				  : "-";
	case TOP_CELL_AGE:
		return age_text(row->age_us, buffer);
	case TOP_CELL_DETAIL:
		return row->detail;
	case TOP_CELLS:
		break;
	}
	return "";
}
