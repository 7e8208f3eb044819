/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per fact, to stderr */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* The values are syslog(3)'s, because systemd reads them as a prefix. */
enum log_level {
	LOG_LEVEL_ERROR = 3, /* something the operator must look at */
	LOG_LEVEL_WARNING = 4, /* survived, but not as it should be */
	LOG_LEVEL_INFO = 6, /* what an operator wants in the journal */
	LOG_LEVEL_DEBUG = 7, /* each step, for a developer */
};

/**
 * struct log_ratelimit - allows @burst lines in each @interval_us
 *
 * For everything that a remote peer or a busy kernel can trigger. Zero
 * initialize the last three members. Not for use by several threads.
 */
struct log_ratelimit {
	uint64_t interval_us;
	unsigned int burst;
	uint64_t begin_us;
	unsigned int printed;
	unsigned int missed;
};

/**
 * log_init() - sets the program's name and level
 * @program:	static string, put before each line
 * @level:	lines above it are dropped
 *
 * When JOURNAL_STREAM is set (systemd.exec(5)) every line starts with
 * "<priority>", see sd-daemon(3), instead of the program's name.
 */
void log_init(const char *program, enum log_level level);

/** log_set_level() - lines above @level are dropped from now on */
void log_set_level(enum log_level level);

/**
 * log_level_parse() - text to level: error, warning, info, debug
 * Return: 0, or -EINVAL with *@ret_level untouched.
 */
int log_level_parse(const char *text, enum log_level *ret_level);

/** log_level_name() - the text that log_level_parse() reads as @level */
const char *log_level_name(enum log_level level);

/** log_enabled() - would a line of @level be printed? */
bool log_enabled(enum log_level level);

/** log_print() - prints one line; errno is preserved. Any thread may call it.
 */
void log_print(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * log_print_errno() - prints one line ending in ": " and strerror of @error
 * @error:	errno value, of either sign
 *
 * Return: -abs(@error), so that a caller can `return log_error_errno(...)`.
 */
int log_print_errno(enum log_level level, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * log_ratelimit_ok() - may another line be printed now?
 *
 * Says itself, once per interval, how many lines it held back.
 */
bool log_ratelimit_ok(struct log_ratelimit *limit);

#define log_error(...) log_print(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_print(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_print(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_error_errno(e, ...) log_print_errno(LOG_LEVEL_ERROR, e, __VA_ARGS__)
#define log_warning_errno(e, ...) \
	log_print_errno(LOG_LEVEL_WARNING, e, __VA_ARGS__)
#define log_info_errno(e, ...) log_print_errno(LOG_LEVEL_INFO, e, __VA_ARGS__)
#define log_debug_errno(e, ...) log_print_errno(LOG_LEVEL_DEBUG, e, __VA_ARGS__)

#endif
