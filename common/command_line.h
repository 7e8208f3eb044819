/* SPDX-License-Identifier: Apache-2.0 */
/* command_line.h - values of options that berthd and berth-relay share */
#ifndef COMMON_COMMAND_LINE_H
#define COMMON_COMMAND_LINE_H

#include "common/log.h"

/* The most threads that berth-relay starts: no machine gains from more. berthd
 * passes --workers on, so both programs refuse what exceeds this. */
#define RELAY_WORKERS_MAX 256

/**
 * command_line_number() - reads the value of an option that is a number
 * @program:	whose option it is, for the message
 * @option:	its name without the dashes
 * @text:	the value: decimal digits and nothing else
 * @min:	the smallest number that is accepted
 * @max:	the largest number that is accepted
 *
 * Return: 0; -EINVAL after a message on stderr, with *@ret_number untouched.
 */
int command_line_number(const char *program, const char *option,
			const char *text, unsigned long min, unsigned long max,
			unsigned long *ret_number);

/**
 * command_line_log_level() - reads the value of --log-level
 * @program:	whose option it is, for the message
 * @text:	the value
 *
 * Return: 0; -EINVAL after a message on stderr, with *@ret_level untouched.
 */
int command_line_log_level(const char *program, const char *text,
			   enum log_level *ret_level);

/**
 * command_line_log_format() - reads the value of --log-format
 * @program:	whose option it is, for the message
 * @text:	the value
 *
 * Return: 0; -EINVAL after a message on stderr, with *@ret_format untouched.
 */
int command_line_log_format(const char *program, const char *text,
			    enum log_format *ret_format);

#endif
