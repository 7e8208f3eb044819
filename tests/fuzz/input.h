/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - what a fuzzer is fed, taken piece by piece */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static struct {
	const uint8_t *data;
	size_t left;
} input;

/* What is missing at the end is zero. */
static inline void input_take(void *bytes, size_t size)
{
	size_t n = size < input.left ? size : input.left;

	memset(bytes, 0, size);
	memcpy(bytes, input.data, n);
	input.data += n;
	input.left -= n;
}

static inline uint8_t input_byte(void)
{
	uint8_t byte;

	input_take(&byte, 1);
	return byte;
}

#endif
