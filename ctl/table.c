// SPDX-License-Identifier: Apache-2.0
/* table.c - aligned columns for people
 *
 * A row is one block of memory: the texts of its cells, each with its NUL, one
 * behind the other.
 */
#include "ctl/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/util.h"
#include "ctl/color.h"
#include "ctl/text.h"

#define GAP 2 /* spaces between two columns */
#define ROWS_MIN 64
#define ROW_BYTES_MIN 256

/**
 * struct table - see the file's head
 * @widths:	terminal columns of the widest cell so far
 * @row:	the row that is being made: @row_len bytes, @row_cells cells
 * @failed:	memory was short
 */
struct table {
	const struct table_column *columns;
	size_t n_columns;
	size_t *widths;
	char **rows;
	size_t n;
	size_t capacity;
	char *row;
	size_t row_len;
	size_t row_cells;
	size_t row_capacity;
	bool failed;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = malloc(sizeof(*table));
	size_t *widths = calloc(n, sizeof(widths[0]));

	if (!table || !widths) {
		free(table);
		free(widths);
		return NULL;
	}
	*table = (struct table){
		.columns = columns,
		.n_columns = n,
		.widths = widths,
	};
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n; i++)
		free(table->rows[i]);
	free(table->rows);
	free(table->row);
	free(table->widths);
	free(table);
	return NULL;
}

static int table_reserve(struct table *table)
{
	size_t capacity = table->capacity ? table->capacity * 2 : ROWS_MIN;
	char **rows;

	if (table->n < table->capacity)
		return 0;
	rows = reallocarray(table->rows, capacity, sizeof(rows[0]));
	if (!rows)
		return -ENOMEM;
	table->rows = rows;
	table->capacity = capacity;
	return 0;
}

/* The row that was being made is complete. */
static int table_end_row(struct table *table)
{
	char *row = malloc(table->row_len);

	if (!row || table_reserve(table) < 0) {
		free(row);
		return -ENOMEM;
	}
	memcpy(row, table->row, table->row_len);
	table->rows[table->n++] = row;
	table->row_len = table->row_cells = 0;
	return 0;
}

static int table_reserve_row(struct table *table, size_t len)
{
	size_t capacity = table->row_capacity ? table->row_capacity
					      : ROW_BYTES_MIN;
	char *row;

	while (capacity - table->row_len < len)
		capacity *= 2;
	if (capacity == table->row_capacity)
		return 0;
	row = realloc(table->row, capacity);
	if (!row)
		return -ENOMEM;
	table->row = row;
	table->row_capacity = capacity;
	return 0;
}

/* @text: printable, @width columns wide. */
static int table_add(struct table *table, const char *text, size_t width)
{
	size_t len = strlen(text) + 1;

	if (table_reserve_row(table, len) < 0)
		return -ENOMEM;
	memcpy(table->row + table->row_len, text, len);
	table->row_len += len;
	if (width > table->widths[table->row_cells])
		table->widths[table->row_cells] = width;
	table->row_cells++;
	return table->row_cells < table->n_columns ? 0 : table_end_row(table);
}

void table_text(struct table *table, const char *text)
{
	_cleanup_free_ char *printable = NULL;
	size_t width;

	if (!table || table->failed)
		return;
	if (text_is_plain(text)) {
		width = strlen(text);
	} else {
		printable = text_printable(text, &width);
		text = printable;
	}
	table->failed = !text || table_add(table, text, width) < 0;
}

void table_number(struct table *table, int64_t number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRId64, number); /* fits */
	table_text(table, text);
}

void table_cell(struct table *table, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	if (!table)
		return;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL; /* vasprintf(3) leaves it undefined */
	va_end(args);
	if (text)
		table_text(table, text);
	else
		table->failed = true;
}

/** struct sortable - a row, and the cells that decide where it goes */
struct sortable {
	char *row;
	const char *cells[TABLE_SORT_MAX];
};

static const char *row_cell(const char *row, size_t column)
{
	for (; column > 0; column--)
		row += strlen(row) + 1;
	return row;
}

static int sortable_compare(const void *a, const void *b)
{
	const struct sortable *x = a, *y = b;
	int order = 0;

	for (size_t i = 0; order == 0 && i < TABLE_SORT_MAX; i++)
		order = strverscmp(x->cells[i], y->cells[i]);
	return order;
}

void table_sort(struct table *table, const size_t *by, size_t n)
{
	_cleanup_free_ struct sortable *list = NULL;

	assert(n <= TABLE_SORT_MAX);
	if (!table || table->failed || table->n == 0)
		return;
	list = calloc(table->n, sizeof(*list));
	if (!list) {
		table->failed = true;
		return;
	}
	for (size_t i = 0; i < table->n; i++) {
		list[i].row = table->rows[i];
		for (size_t j = 0; j < TABLE_SORT_MAX; j++)
			list[i].cells[j] = j < n ? row_cell(list[i].row, by[j])
						 : "";
	}
	qsort(list, table->n, sizeof(*list), sortable_compare);
	for (size_t i = 0; i < table->n; i++)
		table->rows[i] = list[i].row;
}

static void print_spaces(FILE *out, size_t n)
{
	static const char spaces[] = "                                ";
	const size_t most = sizeof(spaces) - 1;

	for (; n > most; n -= most)
		(void)fwrite(spaces, 1, most, out); /* main checks ferror(3) */
	(void)fwrite(spaces, 1, n, out);
}

/**
 * struct line - where the cursor stands in a row
 * @pending:	spaces that are to be printed before the next text, so that
 *		no line ends in spaces
 */
struct line {
	FILE *out;
	size_t pending;
};

static void line_cell(struct line *line, const char *text, size_t column,
		      bool right, enum color color)
{
	size_t len = strlen(text), width = text_width(text);
	size_t padding = column - width;

	if (right)
		line->pending += padding;
	if (width > 0) {
		print_spaces(line->out, line->pending);
		(void)fputs(color_begin(color), line->out); /* as above */
		(void)fwrite(text, 1, len, line->out); /* as above */
		(void)fputs(color_end(color), line->out); /* as above */
		line->pending = 0;
	}
	line->pending += (right ? 0 : padding) + GAP;
}

/* @row: NULL for the header. */
static void print_row(const struct table *table, const char *row, FILE *out)
{
	struct line line = { .out = out };

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct table_column *column = &table->columns[i];
		enum color color = !row		   ? COLOR_HEADING
				   : column->state ? color_of_state(row)
						   : COLOR_NONE;

		if (table->widths[i] > 0)
			line_cell(&line, row ? row : column->name,
				  table->widths[i], column->right, color);
		if (row)
			row += strlen(row) + 1;
	}
	(void)fputc('\n', out); /* main checks ferror(3) */
}

int table_print(struct table *table, FILE *out)
{
	if (!table || table->failed) {
		table_free(table);
		return -ENOMEM;
	}
	assert(table->row_cells == 0);
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct table_column *column = &table->columns[i];
		size_t width = strlen(column->name);

		if (table->widths[i] == 0 && column->optional)
			continue;
		if (width > table->widths[i])
			table->widths[i] = width;
	}
	print_row(table, NULL, out);
	for (size_t i = 0; i < table->n; i++)
		print_row(table, table->rows[i], out);
	table_free(table);
	return 0;
}
