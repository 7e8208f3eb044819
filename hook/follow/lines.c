// SPDX-License-Identifier: Apache-2.0
/* lines.c - a stream of bytes cut into lines of bounded length */
#include "hook/follow/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096u

/* What is kept for the next line: most are shorter. */
#define CAPACITY_KEPT (64u * 1024)

static int lines_append(struct lines *lines, const char *data, size_t len)
{
	size_t capacity = lines->capacity ? lines->capacity : CAPACITY_MIN;
	char *text;

	if (lines->skipped > 0 || len > LINES_LENGTH_MAX - lines->len) {
		lines->skipped += lines->len + len;
		lines->len = 0;
		return lines->skipped > LINES_SKIPPED_MAX ? -EMSGSIZE : 0;
	}
	while (capacity < lines->len + len)
		capacity *= 2;
	if (capacity > lines->capacity) {
		text = realloc(lines->text, capacity);
		if (!text)
			return -ENOMEM;
		lines->text = text;
		lines->capacity = capacity;
	}
	if (len > 0)
		memcpy(lines->text + lines->len, data, len);
	lines->len += len;
	return 0;
}

static void lines_end(struct lines *lines, lines_handler handler,
		      void *user_data)
{
	size_t len = lines->len;

	if (lines->skipped > 0)
		handler(NULL, 0, user_data);
	else if (len > 0)
		handler(lines->text, len, user_data);
	lines->len = 0;
	lines->skipped = 0;
	if (lines->capacity > CAPACITY_KEPT)
		lines_done(lines);
}

int lines_add(struct lines *lines, const char *data, size_t len,
	      lines_handler handler, void *user_data)
{
	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		int r = lines_append(lines, data, n);

		if (r < 0)
			return r;
		if (!end)
			return 0;
		lines_end(lines, handler, user_data);
		data = end + 1;
		len -= n + 1;
	}
	return 0;
}

void lines_done(struct lines *lines)
{
	free(lines->text);
	*lines = (struct lines){ .text = NULL };
}
