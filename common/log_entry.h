/* SPDX-License-Identifier: Apache-2.0 */
/* log_entry.h - all that a line of the log says */
#ifndef COMMON_LOG_ENTRY_H
#define COMMON_LOG_ENTRY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The values are syslog(3)'s, because systemd reads them as a prefix. */
enum log_level {
	LOG_LEVEL_ERROR = 3, /* something the operator must look at */
	LOG_LEVEL_WARNING = 4, /* survived, but not as it should be */
	LOG_LEVEL_INFO = 6, /* what an operator wants in the journal */
	LOG_LEVEL_DEBUG = 7, /* each step, for a developer */
};

/**
 * struct log_field - something that a message names, to be searched for
 * @name:	static, lower case and underscores: "netns"; the journal has it
 *		in upper case
 * @text:	the value; NULL: it is @number
 */
struct log_field {
	const char *name;
	const char *text;
	uint64_t number;
};

/**
 * struct log_entry - one line
 * @level_name:	as log_level_name() has it
 * @program:	who says it
 * @message:	without control characters
 * @time:	of the wall clock
 */
struct log_entry {
	enum log_level level;
	const char *level_name;
	const char *program;
	const char *message;
	const struct log_field *fields;
	size_t n_fields;
	struct timespec time;
};

#endif
