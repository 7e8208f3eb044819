// SPDX-License-Identifier: Apache-2.0
/* log.c - one line per fact, to stderr */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define LINE_MAX_BYTES 2048 /* longer lines are cut; names have 255 at most */

static const char *log_program = "berth";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static bool log_for_journal;

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

void log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_threshold = level;
	log_for_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*ret_level = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(levels) && levels[i].level != level)
		i++;
	return levels[i].name;
}

bool log_enabled(enum log_level level)
{
	return level <= log_threshold;
}

/* Names and rule files may hold any bytes: control characters must not forge a
 * line of the log. */
static void log_make_printable(char *line)
{
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

static void log_line(enum log_level level, int error, const char *fmt,
		     va_list args)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64];
	char error_text[128];
	size_t used;
	int n;

	n = vsnprintf(text, sizeof(text), fmt, args);
	if (n < 0)
		return;
	used = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	if (error)
		(void)snprintf(text + used, sizeof(text) - used, ": %s",
			       strerror_r(error, error_text,
					  sizeof(error_text)));
	log_make_printable(text);
	if (log_for_journal)
		n = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", log_program, text);
	/* One write(2) for each line, so that lines of several processes and
	 * threads do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* there is no other place to report the failure */
}

void log_print(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	log_line(level, 0, fmt, args);
	va_end(args);
	errno = saved;
}

int log_print_errno(enum log_level level, int error, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	error = abs(error);
	if (log_enabled(level)) {
		va_start(args, fmt);
		log_line(level, error, fmt, args);
		va_end(args);
	}
	errno = saved;
	return -error;
}

bool log_ratelimit_ok(struct log_ratelimit *limit)
{
	uint64_t now_us = monotonic_us();

	if (now_us - limit->begin_us >= limit->interval_us ||
	    limit->begin_us == 0) {
		if (limit->missed > 0)
			log_warning("%u similar messages were not printed",
				    limit->missed);
		limit->begin_us = now_us;
		limit->printed = 0;
		limit->missed = 0;
	}
	if (limit->printed >= limit->burst) {
		limit->missed++;
		return false;
	}
	limit->printed++;
	return true;
}
