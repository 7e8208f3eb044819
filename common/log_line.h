/* SPDX-License-Identifier: Apache-2.0 */
/* log_line.h - one line of the log as text, as an entry of the journal, as JSON
 */
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include <stddef.h>

#include "common/log_entry.h"

/* Longer messages are cut; names have 255 bytes at most. */
#define LOG_MESSAGE_MAX 2048

/* Room for a message and its fields in any form: a byte that is not UTF-8 takes
 * six in JSON. */
#define LOG_LINE_MAX 24576

/*
 * Each of these writes into @line, which has room for LOG_LINE_MAX bytes, and
 * leaves out the fields that there is no room for. Fields may have any bytes.
 * They need no memory and open no file, but for the time zone at first.
 * Return: how many bytes there are; no NUL follows them.
 */

/** log_line_text() - time, program and message, and a newline */
size_t log_line_text(const struct log_entry *entry, char *line);

/** log_line_priority() - "<priority>" and the message, and a newline */
size_t log_line_priority(const struct log_entry *entry, char *line);

/** log_line_json() - a JSON object, and a newline */
size_t log_line_json(const struct log_entry *entry, char *line);

/** log_line_fields() - @what and the fields as " name=value", those in quotes
 * that need them; cut at @size, and with a NUL */
void log_line_fields(const char *what, const struct log_field *fields, size_t n,
		     char *text, size_t size);

/** log_line_journal() - a datagram of the journal's native protocol */
size_t log_line_journal(const struct log_entry *entry, char *line);

#endif
