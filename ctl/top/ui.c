// SPDX-License-Identifier: Apache-2.0
/* ui.c - what the keys of `berthctl top` do */
#include "ctl/top/ui.h"

#include <assert.h>
#include <curses.h>
#include <string.h>

#include "common/util.h"

#define KEY_CONTROL_L 12
#define KEY_ESCAPE 27
#define KEY_CONTROL_U 21
#define KEY_DELETE 127

/* What + and - choose among. */
static const int64_t intervals_ms[] = { 100,  200,   500,   1000, 2000,
					5000, 10000, 30000, 60000 };

void top_ui_init(struct top_ui *ui)
{
	*ui = (struct top_ui){
		.query = { .view = TOP_NAMESPACES, .order = TOP_BY_RATE },
		.interval_ms = TOP_INTERVAL_DEFAULT_MS,
	};
	ui->query.filter = ui->filter;
}

static void choose_view(struct top_ui *ui, enum top_view view)
{
	ui->query.view = view;
	ui->first = 0;
}

/* The same order again turns it round. */
static void choose_order(struct top_ui *ui, enum top_order order)
{
	ui->query.reverse = ui->query.order == order && !ui->query.reverse;
	ui->query.order = order;
	ui->first = 0;
}

static void longer(struct top_ui *ui)
{
	for (size_t i = 0; i < ARRAY_SIZE(intervals_ms); i++) {
		if (intervals_ms[i] > ui->interval_ms) {
			ui->interval_ms = intervals_ms[i];
			return;
		}
	}
}

static void shorter(struct top_ui *ui)
{
	for (size_t i = ARRAY_SIZE(intervals_ms); i > 0; i--) {
		if (intervals_ms[i - 1] < ui->interval_ms) {
			ui->interval_ms = intervals_ms[i - 1];
			return;
		}
	}
}

/* Takes the last character away, all bytes of it. */
static void filter_erase(struct top_ui *ui)
{
	size_t len = strlen(ui->filter);

	while (len > 0 && ((unsigned char)ui->filter[--len] & 0xc0) == 0x80)
		;
	ui->filter[len] = '\0';
}

static enum top_action filter_key(struct top_ui *ui, int key)
{
	size_t len = strlen(ui->filter);

	switch (key) {
	case KEY_ESCAPE:
		ui->filter[0] = '\0';
		ui->typing = false;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		ui->typing = false;
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
	case '\b':
		filter_erase(ui);
		break;
	case KEY_CONTROL_U:
		ui->filter[0] = '\0';
		break;
	default:
		if (key < ' ' || key > 0xff || len + 1 >= TOP_FILTER_MAX)
			return TOP_NOTHING;
		ui->filter[len] = (char)key;
		ui->filter[len + 1] = '\0';
		break;
	}
	ui->first = 0;
	return TOP_DRAW;
}

/* Return: is the key one of those that move the lines? */
static bool move_lines(struct top_ui *ui, int key, size_t page)
{
	size_t step = page > 1 ? page - 1 : 1;

	switch (key) {
	case KEY_UP:
		ui->first -= ui->first > 0;
		return true;
	case KEY_DOWN:
		ui->first++;
		return true;
	case KEY_PPAGE:
		ui->first -= ui->first > step ? step : ui->first;
		return true;
	case KEY_NPAGE:
		ui->first += step;
		return true;
	case KEY_HOME:
		ui->first = 0;
		return true;
	case KEY_END:
		ui->first = SIZE_MAX / 2; /* top_ui_clamp() makes it less */
		return true;
	default:
		return false;
	}
}

static bool choose_by_letter(struct top_ui *ui, int key)
{
	static const char letters[] = {
		[TOP_BY_NAME] = 'n',  [TOP_BY_STATE] = 's',
		[TOP_BY_RATE] = 'r',  [TOP_BY_CONNECTIONS] = 'c',
		[TOP_BY_BYTES] = 'b', [TOP_BY_AGE] = 'a',
	};

	static_assert(ARRAY_SIZE(letters) == TOP_ORDERS, "a key is missing");
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
		if (letters[i] != key)
			continue;
		choose_order(ui, (enum top_order)i);
		return true;
	}
	return false;
}

enum top_action top_ui_key(struct top_ui *ui, int key, size_t page)
{
	if (ui->typing)
		return filter_key(ui, key);
	if (move_lines(ui, key, page) || choose_by_letter(ui, key))
		return TOP_DRAW;
	if (key >= '1' && key < '1' + TOP_VIEWS) {
		choose_view(ui, (enum top_view)(key - '1'));
		return TOP_DRAW;
	}
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case '\t':
	case KEY_RIGHT:
		choose_view(ui, (ui->query.view + 1) % TOP_VIEWS);
		return TOP_DRAW;
	case KEY_BTAB:
	case KEY_LEFT:
		choose_view(ui, (ui->query.view + TOP_VIEWS - 1) % TOP_VIEWS);
		return TOP_DRAW;
	case '/':
		ui->typing = true;
		return TOP_DRAW;
	case KEY_ESCAPE:
		ui->filter[0] = '\0';
		ui->first = 0;
		return TOP_DRAW;
	case '+':
		longer(ui);
		return TOP_ASK;
	case '-':
		shorter(ui);
		return TOP_ASK;
	case ' ':
		return TOP_ASK;
	case KEY_CONTROL_L:
		return TOP_DRAW_ALL;
	default:
		return TOP_NOTHING;
	}
}

void top_ui_clamp(struct top_ui *ui, size_t n, size_t page)
{
	size_t last = n > page ? n - page : 0;

	if (ui->first > last)
		ui->first = last;
}
