// SPDX-License-Identifier: Apache-2.0
/* command_line.c - values of options that berthd and berth-relay share */
#include "common/command_line.h"

#include "common/util.h"

int command_line_number(const char *program, const char *option,
			const char *text, unsigned long min, unsigned long max,
			unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number < min ||
	    number > max) {
		fprintf(stderr,
			"%s: --%s: '%s' is not a number from %lu to %lu\n",
			program, option, text, min, max);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

int command_line_log_level(const char *program, const char *text,
			   enum log_level *ret_level)
{
	int r = log_level_parse(text, ret_level);

	if (r < 0)
		fprintf(stderr,
			"%s: --log-level: '%s' is not error, warning, info or "
			"debug\n",
			program, text);
	return r;
}

int command_line_log_format(const char *program, const char *text,
			    enum log_format *ret_format)
{
	int r = log_format_parse(text, ret_format);

	if (r < 0)
		fprintf(stderr,
			"%s: --log-format: '%s' is not auto, text, journal or "
			"json\n",
			program, text);
	return r;
}
