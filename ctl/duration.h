/* SPDX-License-Identifier: Apache-2.0 */
/* duration.h - durations on berthctl's command line */
#ifndef CTL_DURATION_H
#define CTL_DURATION_H

#include <stdint.h>

/**
 * duration_parse() - a whole number and ms, s, m or h; 0 needs no unit
 * Return: 0; -EINVAL, with *@ret_ms untouched.
 */
int duration_parse(const char *text, int64_t *ret_ms);

#endif
