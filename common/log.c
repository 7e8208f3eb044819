// SPDX-License-Identifier: Apache-2.0
/* log.c - one line per fact: text, entries of the journal, or JSON
 *
 * Theory of operation: each line is one write(2) or one datagram, so that lines
 * of several processes and threads do not mix, and nothing is buffered.
 *
 * The journal's socket is not connected: each datagram names its path, so a
 * journal that is started again is found again, also by a program that may open
 * nothing any more. A datagram never waits. When the journal is slower than the
 * program, lines are lost, and the next line that it takes is followed by one
 * that says how many. They do not go to stderr instead, because there the
 * journal would make the program wait.
 */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "common/log_line.h"
#include "common/util.h"

/* For bursts. */
#define JOURNAL_BUFFER_BYTES (1024 * 1024)

static const char *log_program = "berth";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static enum log_format log_form = LOG_FORMAT_TEXT; /* never automatic */
static int journal_fd = -1;
static atomic_uint_fast64_t lost;

/* What a pipe takes as a whole, so that lines of others do not come between. */
#define BATCH_BYTES PIPE_BUF

struct log_batch {
	char bytes[BATCH_BYTES];
	size_t len;
	size_t n_lines;
};

static const struct sockaddr_un journal_address = {
	.sun_family = AF_UNIX,
	.sun_path = "/run/systemd/journal/socket",
};

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const char *const formats[] = {
	[LOG_FORMAT_AUTO] = "auto",
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JOURNAL] = "journal",
	[LOG_FORMAT_JSON] = "json",
};

/* Does stderr lead to the journal? The variable alone says only that it did for
 * the process that systemd started: see systemd.exec(5). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev;
	struct stat st;
	char *end;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	dev = strtoull(stream, &end, 10);
	return *end == ':' && dev == st.st_dev &&
	       strtoull(end + 1, NULL, 10) == st.st_ino;
}

static void journal_open(void)
{
	static const int bytes = JOURNAL_BUFFER_BYTES;
	_cleanup_close_ int fd = -1;

	if (journal_fd >= 0)
		return;
	/* Also while nobody answers at the path: somebody may come there. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Never in the place of a standard stream that is closed. */
	journal_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (journal_fd < 0)
		return;
	/* How many datagrams fit is the kernel's affair; this is only their
	 * size, and less will do. */
	(void)setsockopt(journal_fd, SOL_SOCKET, SO_SNDBUF, &bytes,
			 sizeof(bytes));
}

void log_set_format(enum log_format format)
{
	if (format == LOG_FORMAT_AUTO)
		format = stderr_is_journal() ? LOG_FORMAT_JOURNAL
					     : LOG_FORMAT_TEXT;
	if (format == LOG_FORMAT_JOURNAL)
		journal_open();
	log_form = format;
}

void log_open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	cleanup_close(&fd);
}

void log_init(const char *program, enum log_level level)
{
	log_open_standard();
	log_program = program;
	log_threshold = level;
	/* localtime_r(3) reads the time zone here, and no file later. */
	tzset();
	log_set_format(LOG_FORMAT_AUTO);
}

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

enum log_level log_level(void)
{
	return log_threshold;
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

int log_format_parse(const char *text, enum log_format *ret_format)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(text, formats[i]) == 0) {
			*ret_format = (enum log_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_format_name(enum log_format format)
{
	return formats[format];
}

bool log_enabled(enum log_level level)
{
	return level <= log_threshold;
}

/* Names and rule files may hold any bytes: control characters must not forge a
 * line of the log. */
static void make_printable(char *line)
{
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

/* There is no other place to report a failure, so the line is only counted. A
 * pipe may be one that does not block. */
static void write_line(const char *line, size_t n)
{
	if (write(STDERR_FILENO, line, n) < 0 && errno == EAGAIN)
		(void)atomic_fetch_add(&lost, 1);
}

/* Return: was it taken, or may it be lost? Else there is no journal. */
static bool journal_send(const char *line, size_t n)
{
	ssize_t sent;

	if (journal_fd < 0)
		return false;
	do {
		sent = sendto(journal_fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&journal_address,
			      sizeof(journal_address));
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return true;
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		return false;
	(void)atomic_fetch_add(&lost, 1);
	return true;
}

static void write_entry(const struct log_entry *entry)
{
	char line[LOG_LINE_MAX];

	switch (log_form) {
	case LOG_FORMAT_JOURNAL:
		if (!journal_send(line, log_line_journal(entry, line)))
			write_line(line, log_line_priority(entry, line));
		return;
	case LOG_FORMAT_JSON:
		write_line(line, log_line_json(entry, line));
		return;
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		write_line(line, log_line_text(entry, line));
		return;
	}
}

static void print(enum log_level level, const char *message,
		  const struct log_field *fields, size_t n_fields)
{
	struct log_entry entry = {
		.level = level,
		.level_name = log_level_name(level),
		.program = log_program,
		.message = message,
		.fields = fields,
		.n_fields = n_fields,
	};

	(void)clock_gettime(CLOCK_REALTIME, &entry.time); /* valid arguments */
	write_entry(&entry);
}

struct log_batch *log_batch_new(void)
{
	return calloc(1, sizeof(struct log_batch));
}

void log_batch_flush(struct log_batch *batch)
{
	if (batch->len > 0 && write(STDERR_FILENO, batch->bytes, batch->len) !=
				      (ssize_t)batch->len)
		(void)atomic_fetch_add(&lost, batch->n_lines);
	batch->len = 0;
	batch->n_lines = 0;
}

/* A line that is larger than a batch has one of its own. */
static void batch_put(struct log_batch *batch, const char *line, size_t n)
{
	if (batch->len + n > sizeof(batch->bytes))
		log_batch_flush(batch);
	if (n > sizeof(batch->bytes)) {
		write_line(line, n);
		return;
	}
	memcpy(batch->bytes + batch->len, line, n);
	batch->len += n;
	batch->n_lines++;
}

void log_batch_add(struct log_batch *batch, const char *what,
		   const struct log_field *fields, size_t n,
		   const struct timespec *when)
{
	char line[LOG_LINE_MAX], message[LOG_MESSAGE_MAX];
	const struct log_entry entry = {
		.level = LOG_LEVEL_INFO,
		.level_name = log_level_name(LOG_LEVEL_INFO),
		.program = log_program,
		.message = log_form == LOG_FORMAT_JSON ? what : message,
		.fields = fields,
		.n_fields = n,
		.time = *when,
	};

	log_line_fields(what, fields, n, message, sizeof(message));
	make_printable(message);
	switch (log_form) {
	case LOG_FORMAT_JOURNAL:
		if (!journal_send(line, log_line_journal(&entry, line)))
			batch_put(batch, line, log_line_priority(&entry, line));
		return;
	case LOG_FORMAT_JSON:
		batch_put(batch, line, log_line_json(&entry, line));
		return;
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_TEXT:
		batch_put(batch, line, log_line_text(&entry, line));
		return;
	}
}

bool log_tell_lost(void)
{
	uint64_t n = atomic_load(&lost) ? atomic_exchange(&lost, 0) : 0;
	const struct log_field field = { .name = "lost", .number = n };
	char message[LOG_MESSAGE_MAX];
	int saved = errno;
	bool said;

	if (n == 0)
		return true;
	(void)snprintf(message, sizeof(message),
		       "%llu lines were lost, because the log took no more",
		       (unsigned long long)n); /* fits */
	print(LOG_LEVEL_WARNING, message, &field, 1);
	/* If this one is lost, too, the next one says both. */
	said = atomic_load(&lost) == 0;
	if (!said)
		(void)atomic_fetch_add(&lost, n - 1);
	errno = saved;
	return said;
}

void log_print_fields(enum log_level level, const struct log_field *fields,
		      size_t n, const char *message)
{
	char printable[LOG_MESSAGE_MAX];
	int saved = errno;

	if (!log_enabled(level))
		return;
	(void)snprintf(printable, sizeof(printable), "%s",
		       message); /* a longer one is cut */
	make_printable(printable);
	print(level, printable, fields, n);
	(void)log_tell_lost(); /* the next line will */
	errno = saved;
}

/* @about: NULL: no fields */
static size_t about_fields(const struct log_about *about,
			   struct log_field fields[static 4])
{
	const struct log_field all[] = {
		{ .name = "netns", .text = about ? about->netns : NULL },
		{ .name = "container",
		  .text = about ? about->container : NULL },
		{ .name = "rule", .text = about ? about->rule : NULL },
		{ .name = "listener", .text = about ? about->listener : NULL },
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].text && all[i].text[0])
			fields[n++] = all[i];
	}
	return n;
}

static void print_args(enum log_level level, const struct log_about *about,
		       int error, const char *fmt, va_list args)
{
	char message[LOG_MESSAGE_MAX], error_text[128];
	struct log_field fields[4];
	size_t used;
	int n;

	n = vsnprintf(message, sizeof(message), fmt, args);
	if (n < 0)
		return;
	used = (size_t)n < sizeof(message) ? (size_t)n : sizeof(message) - 1;
	if (error)
		(void)snprintf(message + used, sizeof(message) - used, ": %s",
			       strerror_r(error, error_text,
					  sizeof(error_text)));
	make_printable(message);
	print(level, message, fields, about_fields(about, fields));
	(void)log_tell_lost(); /* the next line will */
}

void log_print(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	print_args(level, NULL, 0, fmt, args);
	va_end(args);
	errno = saved;
}

void log_print_about(enum log_level level, const struct log_about *about,
		     const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	print_args(level, about, 0, fmt, args);
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
		print_args(level, NULL, error, fmt, args);
		va_end(args);
	}
	errno = saved;
	return -error;
}

int log_print_about_errno(enum log_level level, const struct log_about *about,
			  int error, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	error = abs(error);
	if (log_enabled(level)) {
		va_start(args, fmt);
		print_args(level, about, error, fmt, args);
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
