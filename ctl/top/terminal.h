/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h - is there a terminal that a screen can be drawn on? */
#ifndef CTL_TOP_TERMINAL_H
#define CTL_TOP_TERMINAL_H

/** top_terminal_problem() - looks at standard input and output, and at TERM
 * Return: NULL: all is well; else what is not, for people: static. */
const char *top_terminal_problem(void);

#endif
