/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - values as text for a terminal */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * text_printable() - a copy that cannot move the cursor or hide anything
 * @ret_width:	terminal columns of it; may be NULL
 *
 * A name in a file system may hold line breaks, escape sequences, or marks
 * that reverse the writing: each byte of what is not a visible character of
 * the locale becomes \xNN.
 * Return: an allocated text, or NULL.
 */
char *text_printable(const char *text, size_t *ret_width);

/** text_is_plain() - is it visible ASCII and spaces only? Then it is printable,
 * and each byte one column wide. */
bool text_is_plain(const char *text);

/** text_width() - the terminal columns of a printable text */
size_t text_width(const char *text);

/**
 * text_fit() - how much of a printable text fits
 * @width:	terminal columns
 * @ret_width:	how many of them are used: a wide character may not fit
 *
 * Return: bytes.
 */
size_t text_fit(const char *text, size_t width, size_t *ret_width);

#define TEXT_DURATION_MAX 48
#define TEXT_BYTES_MAX 32

/** text_duration() - "85.2 ms", "4.0 s", "2 min 3 s", "5 d 3 h"
 * @buffer:	of TEXT_DURATION_MAX, returned */
const char *text_duration(int64_t us, char *buffer);

/** text_bytes() - "512 B", "1.5 KiB", "20 GiB"; @buffer: of TEXT_BYTES_MAX,
 * returned */
const char *text_bytes(int64_t bytes, char *buffer);

#endif
