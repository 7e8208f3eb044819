// SPDX-License-Identifier: Apache-2.0
/* table.c - aligned columns for people */
#include "ctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "common/util.h"
#include "ctl/text.h"

#define GAP 2 /* spaces between two columns */

struct cell {
	char *text;
	size_t width;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n;
	size_t capacity;
	bool failed;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = malloc(sizeof(*table));

	if (table)
		*table = (struct table){ .columns = columns, .n_columns = n };
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
	return NULL;
}

static int table_reserve(struct table *table)
{
	size_t capacity = table->capacity ? table->capacity * 2 : 64;
	struct cell *cells;

	if (table->n < table->capacity)
		return 0;
	cells = reallocarray(table->cells, capacity, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->capacity = capacity;
	return 0;
}

void table_cell(struct table *table, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	struct cell cell = { .text = NULL };
	va_list args;

	if (!table)
		return;
	va_start(args, fmt);
	if (vasprintf(&raw, fmt, args) < 0)
		raw = NULL; /* vasprintf(3) leaves it undefined */
	va_end(args);
	if (raw)
		cell.text = text_printable(raw, &cell.width);
	if (!cell.text || table_reserve(table) < 0) {
		free(cell.text);
		table->failed = true;
		return;
	}
	table->cells[table->n++] = cell;
}

/* The width of a column; 0 when it is left out. */
static size_t column_width(const struct table *table, size_t column)
{
	const struct table_column *head = &table->columns[column];
	size_t widest = 0;

	for (size_t i = column; i < table->n; i += table->n_columns) {
		if (table->cells[i].width > widest)
			widest = table->cells[i].width;
	}
	if (widest == 0 && head->optional)
		return 0;
	return strlen(head->name) > widest ? strlen(head->name) : widest;
}

static void print_spaces(FILE *out, size_t n)
{
	(void)fprintf(out, "%*s", (int)n, ""); /* main checks ferror(3) */
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

static void line_cell(struct line *line, const char *text, size_t width,
		      size_t column, bool right)
{
	size_t padding = column - width;

	if (right)
		line->pending += padding;
	if (width > 0) {
		print_spaces(line->out, line->pending);
		(void)fputs(text, line->out); /* main checks ferror(3) */
		line->pending = 0;
	}
	line->pending += (right ? 0 : padding) + GAP;
}

static void print_row(const struct table *table, const size_t *widths,
		      const struct cell *row, FILE *out)
{
	struct line line = { .out = out };

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct table_column *column = &table->columns[i];

		if (widths[i] == 0)
			continue;
		if (row)
			line_cell(&line, row[i].text, row[i].width, widths[i],
				  column->right);
		else
			line_cell(&line, column->name, strlen(column->name),
				  widths[i], column->right);
	}
	(void)fputc('\n', out); /* main checks ferror(3) */
}

int table_print(struct table *table, FILE *out)
{
	_cleanup_free_ size_t *widths = NULL;

	if (table && !table->failed)
		widths = calloc(table->n_columns, sizeof(widths[0]));
	if (!widths) {
		table_free(table);
		return -ENOMEM;
	}
	assert(table->n % table->n_columns == 0);
	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = column_width(table, i);
	print_row(table, widths, NULL, out);
	for (size_t i = 0; i < table->n; i += table->n_columns)
		print_row(table, widths, &table->cells[i], out);
	table_free(table);
	return 0;
}
