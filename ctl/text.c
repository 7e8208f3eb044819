// SPDX-License-Identifier: Apache-2.0
/* text.c - values as text for a terminal */
#include "ctl/text.h"

#include <inttypes.h>
#include <string.h>
#include <wchar.h>

#include "common/util.h"

/* How many bytes of @text are one visible character; 0 when its first byte
 * begins none. */
static size_t visible_len(const char *text, size_t *ret_width)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t len = mbrtowc(&c, text, strlen(text), &state);
	int width;

	if (len == 0 || len == (size_t)-1 || len == (size_t)-2)
		return 0;
	width = wcwidth(c);
	if (width <= 0) /* not printable, or a combining mark */
		return 0;
	*ret_width = (size_t)width;
	return len;
}

char *text_printable(const char *text, size_t *ret_width)
{
	char *copy = malloc(strlen(text) * 4 + 1), *to = copy;
	size_t columns = 0;

	if (!copy)
		return NULL;
	while (*text) {
		size_t width, len = visible_len(text, &width);

		if (len == 0) {
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
			columns += 4;
			text++;
			continue;
		}
		memcpy(to, text, len);
		to += len;
		text += len;
		columns += width;
	}
	*to = '\0';
	if (ret_width)
		*ret_width = columns;
	return copy;
}

bool text_is_plain(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

size_t text_width(const char *text)
{
	size_t columns = 0;

	if (text_is_plain(text))
		return strlen(text);
	while (*text) {
		size_t width = 0, len = visible_len(text, &width);

		text += len ? len : 1;
		columns += width;
	}
	return columns;
}

size_t text_fit(const char *text, size_t width, size_t *ret_width)
{
	const char *end = text;
	size_t used = 0;

	while (*end) {
		size_t columns = 0, len = visible_len(end, &columns);

		if (used + columns > width)
			break;
		used += columns;
		end += len ? len : 1;
	}
	*ret_width = used;
	return (size_t)(end - text);
}

const char *text_duration(int64_t us, char *buffer)
{
	int64_t s = us / (int64_t)USEC_PER_SEC;
	const int64_t minute = 60, hour = 60 * minute, day = 24 * hour;

	if (s < 1)
		(void)snprintf(buffer, TEXT_DURATION_MAX, "%.1f ms",
			       (double)us / (double)USEC_PER_MSEC);
	else if (s < minute)
		(void)snprintf(buffer, TEXT_DURATION_MAX, "%.1f s",
			       (double)us / (double)USEC_PER_SEC);
	else if (s < hour)
		(void)snprintf(buffer, TEXT_DURATION_MAX,
			       "%" PRId64 " min %" PRId64 " s", s / minute,
			       s % minute);
	else if (s < day)
		(void)snprintf(buffer, TEXT_DURATION_MAX,
			       "%" PRId64 " h %" PRId64 " min", s / hour,
			       s % hour / minute);
	else
		(void)snprintf(buffer, TEXT_DURATION_MAX,
			       "%" PRId64 " d %" PRId64 " h", s / day,
			       s % day / hour);
	return buffer;
}

const char *text_bytes(int64_t bytes, char *buffer)
{
	static const char *const units[] = { "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(buffer, TEXT_BYTES_MAX, "%" PRId64 " B",
			       bytes); /* fits */
		return buffer;
	}
	/* 999.95 and more would be rounded up to four digits and a fraction. */
	for (value /= 1024; value >= 999.95 && unit + 1 < ARRAY_SIZE(units);
	     unit++)
		value /= 1024;
	(void)snprintf(buffer, TEXT_BYTES_MAX,
		       value < 99.95 ? "%.1f %s" : "%.0f %s", value,
		       units[unit]); /* fits */
	return buffer;
}
