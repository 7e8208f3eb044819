/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per fact: text, entries of the journal, or JSON */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log_entry.h"

struct log_batch;
struct timespec;

/** enum log_format - how lines are written, and where to */
enum log_format {
	LOG_FORMAT_AUTO, /* the journal if stderr leads there, else text */
	LOG_FORMAT_TEXT, /* to stderr: time, program, message */
	LOG_FORMAT_JOURNAL, /* entries with fields, to the journal's socket */
	LOG_FORMAT_JSON, /* to stderr: an object for each line */
};

/**
 * struct log_about - what most messages are about, each NULL if unknown
 * @netns:	the namespace's name
 * @listener:	protocol and address: "tcp 127.0.0.1:80"
 */
struct log_about {
	const char *netns;
	const char *container;
	const char *rule;
	const char *listener;
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
 * log_init() - sets the program's name and level; the format is automatic
 * @program:	static string, who it is that says each line
 * @level:	lines above it are dropped
 *
 * To be called before there are threads, and before the program gives up the
 * right to open sockets and files. Calls log_open_standard().
 */
void log_init(const char *program, enum log_level level);

/**
 * log_open_standard() - opens /dev/null for each of the descriptors 0 to 2 that
 * is closed
 *
 * Otherwise the next file or socket would have such a number, and get what is
 * meant for people. To be called before anything else is opened; programs that
 * are started have them, too.
 */
void log_open_standard(void);

/** log_set_level() - lines above @level are dropped from now on */
void log_set_level(enum log_level level);

/** log_level() - Return: lines above this level are dropped. */
enum log_level log_level(void);

/**
 * log_set_format() - how lines are written from now on; as log_init(), before
 * there are threads
 *
 * If the journal's socket cannot be used, lines go to stderr, each with
 * "<priority>" in front, see sd-daemon(3).
 */
void log_set_format(enum log_format format);

/**
 * log_level_parse() - text to level: error, warning, info, debug
 * Return: 0, or -EINVAL with *@ret_level untouched.
 */
int log_level_parse(const char *text, enum log_level *ret_level);

/** log_level_name() - the text that log_level_parse() reads as @level */
const char *log_level_name(enum log_level level);

/**
 * log_format_parse() - text to format: auto, text, journal, json
 * Return: 0, or -EINVAL with *@ret_format untouched.
 */
int log_format_parse(const char *text, enum log_format *ret_format);

/** log_format_name() - the text that log_format_parse() reads as @format */
const char *log_format_name(enum log_format format);

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

/** log_print_about() - as log_print(), with fields beside the message, which
 * text does not show: the message has to name all by itself */
void log_print_about(enum log_level level, const struct log_about *about,
		     const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** log_print_about_errno() - as log_print_errno(), with fields */
int log_print_about_errno(enum log_level level, const struct log_about *about,
			  int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** log_print_fields() - as log_print_about(), with any @n fields; @message is
 * complete */
void log_print_fields(enum log_level level, const struct log_field *fields,
		      size_t n, const char *message);

/**
 * log_batch_new() - for one thread: lines that are written together
 * Return: to be freed with free(3); NULL: out of memory.
 */
struct log_batch *log_batch_new(void);

/**
 * log_batch_add() - writes a line of information, whatever the level, when
 * there are more or at log_batch_flush()
 * @what:	what it is about, in a word; text has the fields behind it
 * @when:	of the wall clock
 */
void log_batch_add(struct log_batch *batch, const char *what,
		   const struct log_field *fields, size_t n,
		   const struct timespec *when);

/** log_batch_flush() - writes the lines that wait */
void log_batch_flush(struct log_batch *batch);

/**
 * log_tell_lost() - says how many lines the journal did not take, if any
 *
 * The next line says it anyway. For a timer, if there may be no next line.
 * Return: is there nothing left to say?
 */
bool log_tell_lost(void);

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
#define log_error_about(about, ...) \
	log_print_about(LOG_LEVEL_ERROR, about, __VA_ARGS__)
#define log_warning_about(about, ...) \
	log_print_about(LOG_LEVEL_WARNING, about, __VA_ARGS__)
#define log_info_about(about, ...) \
	log_print_about(LOG_LEVEL_INFO, about, __VA_ARGS__)

#endif
