// SPDX-License-Identifier: Apache-2.0
/* log_line.c - one line of the log as text, as an entry of the journal, as JSON
 */
#include "common/log_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"
#include "common/util.h"

#define NSEC_PER_MSEC 1000000

#define TIME_MAX_BYTES 64

/* The longest that a piece appends at once: an escaped byte, a number, a
 * name of a field with what stands around it. */
#define PIECE_MAX 64

/**
 * struct line - a line that is being written
 * @text:	room for LOG_LINE_MAX bytes
 * @full:	something had no room; nothing is appended any more
 */
struct line {
	char *text;
	size_t len;
	bool full;
};

/* One byte is left for the newline. */
static void put_bytes(struct line *line, const char *bytes, size_t n)
{
	if (line->full || n >= LOG_LINE_MAX - line->len) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->len, bytes, n);
	line->len += n;
}

static void put(struct line *line, const char *text)
{
	put_bytes(line, text, strlen(text));
}

static void put_number(struct line *line, uint64_t number)
{
	char text[PIECE_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number); /* fits */
	put(line, text);
}

/**
 * struct second - a second in words: many lines share one
 * @date:	up to the seconds
 * @zone:	the offset from UTC, so that it means the same on every host
 */
struct second {
	bool known;
	time_t sec;
	char date[TIME_MAX_BYTES];
	char zone[TIME_MAX_BYTES];
};

static bool second_set(struct second *second, time_t sec)
{
	char zone[TIME_MAX_BYTES];
	struct tm tm;

	if (second->known && second->sec == sec)
		return true;
	second->known = false;
	if (!localtime_r(&sec, &tm) ||
	    strftime(second->date, sizeof(second->date), "%Y-%m-%dT%H:%M:%S",
		     &tm) == 0 ||
	    strftime(zone, sizeof(zone), "%z", &tm) == 0)
		return false; /* a year that has no number */
	/* "+0100" becomes "+01:00", see RFC 3339. */
	(void)snprintf(second->zone, sizeof(second->zone), "%.3s:%.2s", zone,
		       zone + 3); /* fits */
	second->sec = sec;
	second->known = true;
	return true;
}

static void put_time(struct line *line, const struct timespec *when)
{
	static _Thread_local struct second second;
	long msec = when->tv_nsec / NSEC_PER_MSEC;
	const char fraction[] = { '.', (char)('0' + msec / 100),
				  (char)('0' + msec / 10 % 10),
				  (char)('0' + msec % 10) };

	if (!second_set(&second, when->tv_sec))
		return;
	put(line, second.date);
	put_bytes(line, fraction, sizeof(fraction));
	put(line, second.zone);
}

/* There is always room for a newline. */
static size_t finish(struct line *line)
{
	line->text[line->len++] = '\n';
	return line->len;
}

size_t log_line_text(const struct log_entry *entry, char *line_text)
{
	struct line line = { .text = line_text };

	put_time(&line, &entry->time);
	put(&line, " ");
	put(&line, entry->program);
	put(&line, ": ");
	put(&line, entry->message);
	return finish(&line);
}

size_t log_line_priority(const struct log_entry *entry, char *line_text)
{
	struct line line = { .text = line_text };

	put(&line, "<");
	put_number(&line, entry->level);
	put(&line, ">");
	put(&line, entry->message);
	return finish(&line);
}

/* JSON */

/* U+FFFD stands for what is not UTF-8: JSON has nothing else, and a log is no
 * place from which bytes are restored. */
static void put_json_text(struct line *line, const char *text)
{
	put(line, "\"");
	while (*text) {
		size_t len = utf8_char_len(text);
		char escaped[PIECE_MAX];

		if (len == 0) {
			put(line, "\xef\xbf\xbd");
			len = 1;
		} else if (*text == '"' || *text == '\\') {
			escaped[0] = '\\';
			escaped[1] = *text;
			put_bytes(line, escaped, 2);
		} else if ((unsigned char)*text < ' ' || *text == 0x7f) {
			(void)snprintf(escaped, sizeof(escaped), "\\u%04x",
				       (unsigned int)*text); /* fits */
			put(line, escaped);
		} else {
			put_bytes(line, text, len);
		}
		text += len;
	}
	put(line, "\"");
}

static void put_json_field(struct line *line, const struct log_field *field)
{
	put(line, ",\"");
	put(line, field->name);
	put(line, "\":");
	if (field->text)
		put_json_text(line, field->text);
	else
		put_number(line, field->number);
}

size_t log_line_json(const struct log_entry *entry, char *line_text)
{
	struct line line = { .text = line_text };

	put(&line, "{\"time\":\"");
	put_time(&line, &entry->time);
	put(&line, "\",\"level\":\"");
	put(&line, entry->level_name);
	put(&line, "\",\"program\":");
	put_json_text(&line, entry->program);
	put(&line, ",\"message\":");
	put_json_text(&line, entry->message);
	for (size_t i = 0; i < entry->n_fields; i++) {
		struct line before = line;

		put_json_field(&line, &entry->fields[i]);
		/* The end has to follow: a field is there whole, or not. */
		if (line.full || line.len + sizeof("}\n") > LOG_LINE_MAX)
			line = before;
	}
	put(&line, "}");
	return finish(&line);
}

/* Fields as text */

struct pairs {
	char *text;
	size_t len;
	size_t size;
};

static void pairs_put(struct pairs *pairs, char c)
{
	if (pairs->len + 1 < pairs->size)
		pairs->text[pairs->len++] = c;
}

static void pairs_put_text(struct pairs *pairs, const char *text)
{
	for (; *text; text++)
		pairs_put(pairs, *text);
}

/* Names of any bytes must not look like other fields. */
static void pairs_put_value(struct pairs *pairs, const char *value)
{
	if (*value && !strpbrk(value, " \"=\\")) {
		pairs_put_text(pairs, value);
		return;
	}
	pairs_put(pairs, '"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			pairs_put(pairs, '\\');
		pairs_put(pairs, *value);
	}
	pairs_put(pairs, '"');
}

void log_line_fields(const char *what, const struct log_field *fields, size_t n,
		     char *text, size_t size)
{
	struct pairs pairs = { .text = text, .size = size };
	char number[PIECE_MAX];

	pairs_put_text(&pairs, what);
	for (size_t i = 0; i < n; i++) {
		pairs_put(&pairs, ' ');
		pairs_put_text(&pairs, fields[i].name);
		pairs_put(&pairs, '=');
		(void)snprintf(number, sizeof(number), "%" PRIu64,
			       fields[i].number); /* fits */
		pairs_put_value(&pairs,
				fields[i].text ? fields[i].text : number);
	}
	pairs.text[pairs.len] = '\0';
}

/* The journal */

/* A value that has a newline needs its length in front, as a little-endian
 * number of 64 bits behind the name's own newline. */
static void put_journal_bytes(struct line *line, const char *text)
{
	uint64_t len = strlen(text);
	char bytes[sizeof(len)];

	if (!strchr(text, '\n')) {
		put(line, "=");
		put(line, text);
		return;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(len >> (8 * i) & 0xff);
	put(line, "\n");
	put_bytes(line, bytes, sizeof(bytes));
	put_bytes(line, text, len);
}

static void put_journal_name(struct line *line, const char *name)
{
	for (; *name; name++) {
		char upper = *name;

		if (upper >= 'a' && upper <= 'z')
			upper = (char)(upper - 'a' + 'A');
		put_bytes(line, &upper, 1);
	}
}

static void put_journal_field(struct line *line, const struct log_field *field)
{
	struct line before = *line;

	put_journal_name(line, field->name);
	if (field->text) {
		put_journal_bytes(line, field->text);
	} else {
		put(line, "=");
		put_number(line, field->number);
	}
	put(line, "\n");
	if (line->full)
		*line = before;
}

size_t log_line_journal(const struct log_entry *entry, char *line_text)
{
	struct line line = { .text = line_text };
	const struct log_field own[] = {
		{ .name = "message", .text = entry->message },
		{ .name = "priority", .number = entry->level },
		{ .name = "syslog_identifier", .text = entry->program },
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		put_journal_field(&line, &own[i]);
	for (size_t i = 0; i < entry->n_fields; i++)
		put_journal_field(&line, &entry->fields[i]);
	return line.len;
}
