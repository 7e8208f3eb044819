// SPDX-License-Identifier: Apache-2.0
/* utf8.c - names of any bytes in places that take UTF-8 only, such as JSON */
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t utf8_expected_len(unsigned char first)
{
	if (first == 0)
		return 0;
	if (first < 0x80)
		return 1;
	if (first < 0xc2) /* a continuation, or an overlong form */
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

size_t utf8_char_len(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = utf8_expected_len(p[0]);

	/* The loop ends at the NUL at the latest, which is no continuation
	 * byte. */
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Refuse overlong forms, surrogates, and what is above U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

char *utf8_escape(const char *text)
{
	char *escaped = malloc(strlen(text) * 4 + 1), *to = escaped;

	if (!escaped)
		return NULL;
	while (*text) {
		size_t len = utf8_char_len(text);

		if (len == 0) {
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
			text++;
			continue;
		}
		memcpy(to, text, len);
		to += len;
		text += len;
	}
	*to = '\0';
	return escaped;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *utf8_unescape(const char *text)
{
	char *plain = malloc(strlen(text) + 1), *to = plain;

	if (!plain)
		return NULL;
	while (*text) {
		int high = -1, low = -1;

		if (text[0] == '\\' && text[1] == 'x')
			high = hex_digit(text[2]);
		if (high >= 0)
			low = hex_digit(text[3]);
		if (low < 0 || (high == 0 && low == 0)) {
			*to++ = *text++;
			continue;
		}
		*to++ = (char)(high << 4 | low);
		text += 4;
	}
	*to = '\0';
	return plain;
}
