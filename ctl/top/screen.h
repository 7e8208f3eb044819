/* SPDX-License-Identifier: Apache-2.0 */
/* screen.h - draws `berthctl top` with ncurses
 *
 * There is one screen for a process: ncurses keeps it.
 */
#ifndef CTL_TOP_SCREEN_H
#define CTL_TOP_SCREEN_H

#include "ctl/top/model.h"
#include "ctl/top/ui.h"

/**
 * top_screen_open() - takes the terminal
 *
 * Return: NULL; or why it cannot, for people: static, and the terminal is as it
 * was.
 */
const char *top_screen_open(void);

/** top_screen_close() - gives the terminal back as it was */
void top_screen_close(void);

/** top_screen_resize() - the terminal has another size, as SIGWINCH says */
void top_screen_resize(void);

/** top_screen_page() - Return: how many lines of a view are shown at most */
size_t top_screen_page(void);

/**
 * top_screen_draw() - draws all
 * @ui:		its first line is made to fit
 * @sample:	finished
 * @trouble:	why the sample is an old one; NULL: it is not
 *
 * Return: 0 or -ENOMEM.
 */
int top_screen_draw(struct top_ui *ui, const struct top_sample *sample,
		    const char *trouble);

/** top_screen_forget() - what the terminal shows is not known any more: the
 * next drawing sends all of it */
void top_screen_forget(void);

/** top_screen_key() - Return: the next key that was pressed; -1: none. Does not
 * block. */
int top_screen_key(void);

#endif
