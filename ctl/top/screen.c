// SPDX-License-Identifier: Apache-2.0
/* screen.c - draws `berthctl top` with ncurses
 *
 * Texts go through text_printable(), so that no name can move the cursor, and
 * are cut by terminal columns, so that no line is longer than the screen.
 * Drawing outside of a screen that is too small fails in ncurses, which is why
 * results are not looked at here.
 */
#include "ctl/top/screen.h"

#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/util.h"
#include "ctl/color.h"
#include "ctl/text.h"
#include "ctl/top/layout.h"
#include "ctl/top/terminal.h"

#define LINE_HEAD 0
#define LINE_VIEWS 1
#define LINE_COLUMNS 2
#define LINES_ABOVE 3
#define LINES_BELOW 1
#define ESCAPE_MS 25 /* a longer pause after Esc is the key of this name */

/* Fits into 80 columns. */
static const char keys_help[] =
	"q quit  Tab view  n s c r b a sort (again: reverse)  / filter  "
	"+- interval";

static SCREEN *screen;

const char *top_screen_open(void)
{
	const char *problem = top_terminal_problem();

	if (problem)
		return problem;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return "the terminal cannot be set up";
	(void)cbreak();
	(void)noecho();
	(void)nodelay(stdscr, true);
	(void)keypad(stdscr, true);
	(void)curs_set(0);
	(void)set_escdelay(ESCAPE_MS);
	if (color_enabled() && has_colors()) {
		(void)start_color();
		(void)use_default_colors();
		(void)init_pair(COLOR_GOOD, COLOR_GREEN, -1);
		(void)init_pair(COLOR_WARNING, COLOR_YELLOW, -1);
		(void)init_pair(COLOR_BAD, COLOR_RED, -1);
	}
	return NULL;
}

void top_screen_close(void)
{
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

void top_screen_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
	    size.ws_col > 0)
		(void)resizeterm(size.ws_row, size.ws_col);
}

void top_screen_forget(void)
{
	(void)clearok(curscr, true);
}

int top_screen_key(void)
{
	return getch(); /* ERR is -1 */
}

size_t top_screen_page(void)
{
	int lines = LINES - LINES_ABOVE - LINES_BELOW;

	return lines > 0 ? (size_t)lines : 0;
}

static attr_t color_attributes(enum color color)
{
	switch (color) {
	case COLOR_HEADING:
		return A_BOLD;
	case COLOR_BAD:
		return A_BOLD | COLOR_PAIR(COLOR_BAD);
	case COLOR_GOOD:
	case COLOR_WARNING:
		return COLOR_PAIR(color);
	case COLOR_FAINT:
	case COLOR_NONE:
		break;
	}
	return A_NORMAL;
}

/**
 * struct place - where a text goes
 * @width:	in terminal columns: what is longer is cut, and ends in ~
 */
struct place {
	int y;
	int x;
	size_t width;
	bool right;
	attr_t attributes;
};

/* Return: how many columns it took; -ENOMEM. */
static int put(const struct place *place, const char *text)
{
	size_t width, len, room = place->width;
	_cleanup_free_ char *printable = text_printable(text, &width);
	bool cut;

	if (!printable)
		return -ENOMEM;
	if (room == 0)
		return 0;
	cut = width > room;
	len = strlen(printable);
	if (cut)
		len = text_fit(printable, room - 1, &width);
	(void)attrset(place->attributes);
	(void)mvaddnstr(place->y,
			place->x + (place->right && !cut ? (int)(room - width)
							 : 0),
			printable, (int)len);
	if (cut)
		(void)addch('~');
	(void)attrset(A_NORMAL);
	return (int)(cut ? room : width);
}

/* Puts a text behind what stands in the line. Return: 0 or -ENOMEM. */
static int append(struct place *place, const char *text)
{
	int width = put(place, text);

	if (width < 0)
		return width;
	place->x += width;
	place->width -= (size_t)width;
	return 0;
}

static int draw_head(const struct top_ui *ui, const struct top_sample *sample,
		     const char *trouble)
{
	const struct top_row *total = top_sample_total(sample);
	struct place place = { .y = LINE_HEAD,
			       .width = (size_t)COLS,
			       .attributes = A_BOLD };
	char active[TOP_CELL_MAX], rate[TOP_CELL_MAX], text[256];
	size_t namespaces, listeners;

	if (trouble) {
		place.attributes = color_attributes(COLOR_BAD);
		return append(&place, trouble);
	}
	(void)top_sample_rows(sample, TOP_NAMESPACES, &namespaces);
	(void)top_sample_rows(sample, TOP_LISTENERS, &listeners);
	(void)snprintf(text, sizeof(text),
		       "berthctl top  namespaces %zu  listeners %zu  "
		       "connections %s, %s/s  every %.1f s",
		       namespaces, listeners,
		       top_cell_text(total, TOP_CELL_ACTIVE, active),
		       top_cell_text(total, TOP_CELL_RATE, rate),
		       (double)ui->interval_ms / 1000.0); /* fits */
	return append(&place, text);
}

static int draw_views(const struct top_ui *ui, size_t n)
{
	struct place place = { .y = LINE_VIEWS, .width = (size_t)COLS };
	char text[64];
	int r = 0;

	for (enum top_view view = 0; r == 0 && view < TOP_VIEWS; view++) {
		place.attributes = view == ui->query.view ? A_REVERSE
							  : A_NORMAL;
		(void)snprintf(text, sizeof(text), " %d %s ", view + 1,
			       top_view_name(view)); /* fits */
		r = append(&place, text);
	}
	place.attributes = A_NORMAL;
	(void)snprintf(text, sizeof(text), "  %zu by %s%s", n,
		       top_order_name(ui->query.order),
		       ui->query.reverse ? ", reversed" : ""); /* fits */
	if (r == 0)
		r = append(&place, text);
	if (r == 0 && *ui->filter && !ui->typing) {
		r = append(&place, "  filter: ");
		if (r == 0)
			r = append(&place, ui->filter);
	}
	return r;
}

static int draw_keys(const struct top_ui *ui)
{
	struct place place = { .y = LINES - 1,
			       .width = (size_t)COLS,
			       .attributes = ui->typing ? A_BOLD : A_REVERSE };
	int r;

	if (!ui->typing)
		return append(&place, keys_help);
	r = append(&place, "filter: ");
	if (r == 0)
		r = append(&place, ui->filter);
	place.attributes = A_NORMAL;
	return r < 0 ? r : append(&place, "_  Enter keeps it, Esc drops it");
}

/* How wide the texts are that are shown. */
static int measure(const struct top_row *const *rows, size_t n,
		   size_t wanted[static TOP_CELLS])
{
	static const enum top_cell texts[] = { TOP_CELL_NAME, TOP_CELL_PLACE,
					       TOP_CELL_RULE, TOP_CELL_STATE,
					       TOP_CELL_DETAIL };
	char buffer[TOP_CELL_MAX];

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(texts); j++) {
			const char *text =
				top_cell_text(rows[i], texts[j], buffer);
			_cleanup_free_ char *printable = NULL;
			size_t width;

			printable = text_printable(text, &width);
			if (!printable)
				return -ENOMEM;
			if (width > wanted[texts[j]])
				wanted[texts[j]] = width;
		}
	}
	return 0;
}

static int draw_headings(const struct top_ui *ui,
			 const struct top_layout *layout)
{
	struct place place = { .y = LINE_COLUMNS };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < layout->n; i++) {
		const struct top_column *column = &layout->columns[i];

		place.width = column->width;
		place.right = !column->text;
		place.attributes = A_BOLD;
		if (column->order == ui->query.order)
			place.attributes |= A_UNDERLINE;
		r = put(&place, column->heading);
		place.x += (int)column->width + TOP_COLUMN_GAP;
	}
	return r;
}

static int draw_row(const struct top_row *row, int y,
		    const struct top_layout *layout)
{
	struct place place = { .y = y };
	char buffer[TOP_CELL_MAX];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < layout->n; i++) {
		const struct top_column *column = &layout->columns[i];
		const char *text = top_cell_text(row, column->cell, buffer);

		place.width = column->width;
		place.right = !column->text;
		place.attributes =
			column->cell == TOP_CELL_STATE
				? color_attributes(color_of_state(text))
				: A_NORMAL;
		r = put(&place, text);
		place.x += (int)column->width + TOP_COLUMN_GAP;
	}
	return r;
}

static int draw_rows(const struct top_ui *ui, const struct top_row *const *rows,
		     size_t n)
{
	size_t wanted[TOP_CELLS] = { 0 };
	struct top_layout layout;
	int r = measure(rows, n, wanted);

	if (r < 0)
		return r;
	top_layout_make(ui->query.view, (size_t)COLS, wanted, &layout);
	r = draw_headings(ui, &layout);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = draw_row(rows[i], LINES_ABOVE + (int)i, &layout);
	return r;
}

int top_screen_draw(struct top_ui *ui, const struct top_sample *sample,
		    const char *trouble)
{
	_cleanup_free_ const struct top_row **rows = NULL;
	size_t n, shown, page = top_screen_page();
	int r = top_select(sample, &ui->query, &rows, &n);

	if (r < 0)
		return r;
	top_ui_clamp(ui, n, page);
	shown = n - ui->first < page ? n - ui->first : page;
	(void)erase();
	r = draw_head(ui, sample, trouble);
	if (r >= 0)
		r = draw_views(ui, n);
	if (r >= 0)
		r = draw_rows(ui, rows + ui->first, shown);
	if (r >= 0)
		r = draw_keys(ui);
	(void)refresh();
	return r < 0 ? r : 0;
}
