/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - aligned columns for people
 *
 * A table keeps the text of its cells and nothing else: some hundred bytes for
 * a row, so that it may have very many.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table;

/**
 * struct table_column - one column
 * @right:	numbers: aligned at the right
 * @optional:	left out when all its cells are empty
 * @state:	cells are words that color_of_state() knows
 */
struct table_column {
	const char *name;
	bool right;
	bool optional;
	bool state;
};

/** table_new() - @columns: static. Return: NULL when memory is short. */
struct table *table_new(const struct table_column *columns, size_t n);

/** table_free() - Return: NULL. NULL is fine. */
struct table *table_free(struct table *table);

/**
 * table_cell() - the next cell, row by row from the left
 *
 * Text is made printable. When memory is short, table_print() says so; @table
 * may be NULL for the same reason.
 */
void table_cell(struct table *table, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** table_text() - as table_cell(), of a text as it is */
void table_text(struct table *table, const char *text);

/** table_number() - as table_cell(), of a number */
void table_number(struct table *table, int64_t number);

#define TABLE_SORT_MAX 4

/**
 * table_sort() - puts the rows into an order for people: web2 before web10
 * @by:		columns, the first one first
 * @n:		at most TABLE_SORT_MAX
 */
void table_sort(struct table *table, const size_t *by, size_t n);

/** table_print() - header and rows, in colours if stdout gets some; frees the
 * table
 * Return: 0 or -ENOMEM: nothing was printed. */
int table_print(struct table *table, FILE *out);

#endif
