// SPDX-License-Identifier: Apache-2.0
/* terminal.c - is there a terminal that a screen can be drawn on?
 *
 * A file of its own, because term.h takes words such as "columns" away.
 */
#include "ctl/top/terminal.h"

#include <curses.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

const char *top_terminal_problem(void)
{
	const char *term = getenv("TERM"), *move;
	bool moves;
	int error;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return "standard input or output is no terminal; "
		       "'berthctl top --json' needs none";
	if (!term || !*term)
		return "TERM is not set: it says which terminal this is";
	if (setupterm(term, STDOUT_FILENO, &error) != OK)
		return "the terminal that TERM names is not known here";
	move = tigetstr("cup");
	moves = move && move != (char *)-1; /* which says that it is no text */
	(void)del_curterm(cur_term); /* newterm(3ncurses) reads it anew */
	return moves ? NULL
		     : "the terminal that TERM names cannot move its cursor";
}
