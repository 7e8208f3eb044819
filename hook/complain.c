// SPDX-License-Identifier: Apache-2.0
/* complain.c - the one line on stderr that says what went wrong */
#include "hook/complain.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* A longer line is cut. */
#define LINE_MAX_BYTES 1024

static bool said;

void complain(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	if (said)
		return;
	said = true;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *at = line; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	/* One write(2): lines of other containers' hooks never mix with it. */
	(void)fprintf(stderr, "berth-hook: %s\n", line);
}
