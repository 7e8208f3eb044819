/* SPDX-License-Identifier: Apache-2.0 */
/* color.h - colours, where a person looks at the output */
#ifndef CTL_COLOR_H
#define CTL_COLOR_H

#include <stdbool.h>

/** enum color - what a text means; a terminal's own palette decides the rest */
enum color {
	COLOR_NONE,
	COLOR_HEADING, /* bold */
	COLOR_GOOD, /* green */
	COLOR_WARNING, /* yellow: not yet, or not any more */
	COLOR_BAD, /* red */
	COLOR_FAINT, /* what matters less */
};

/**
 * color_choose() - decides whether stdout gets colours
 * @when:	"always"; "never"; "auto": if stdout is a terminal that is not
 *		"dumb", and NO_COLOR is unset or empty
 *
 * Until it is called there are none.
 * Return: 0; -EINVAL: @when is none of the three.
 */
int color_choose(const char *when);

/** color_enabled() - does stdout get colours? */
bool color_enabled(void);

/** color_begin() - Return: what begins a colour on a terminal; "" for none or
 * without colours. Static. */
const char *color_begin(enum color color);

/** color_end() - Return: what ends it. Static. */
const char *color_end(enum color color);

/**
 * color_of_state() - the colour of a state, a verdict or a health
 * @text:	as berthd calls it; what follows its first word does not count
 *
 * Return: COLOR_NONE for words that are not known.
 */
enum color color_of_state(const char *text);

#endif
