/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - names of any bytes in places that take UTF-8 only, such as JSON */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>

/** utf8_char_len() - bytes of the character at @text; 0: it is none, or NUL */
size_t utf8_char_len(const char *text);

/**
 * utf8_escape() - a copy with each byte that is not UTF-8 as \xNN
 * Return: an allocated text, equal to @text when that is UTF-8; NULL: no
 * memory.
 */
char *utf8_escape(const char *text);

/** utf8_unescape() - a copy with each \xNN as the byte it stands for
 * Return: an allocated text, or NULL: no memory. */
char *utf8_unescape(const char *text);

#endif
