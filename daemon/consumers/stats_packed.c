// SPDX-License-Identifier: Apache-2.0
/* stats_packed.c - counts in as few bytes as they need
 *
 * Each count that is not 0 is its place, one byte, and its value; each error,
 * with a place behind those of all counts, its errno and its value. Numbers
 * have seven bits in each byte, the lowest first; the last byte has the eighth
 * bit clear.
 */
#include "daemon/consumers/stats_packed.h"

#include <stdint.h>

#include "daemon/consumers/stats_counts.h"

/* Of the places: behind those of the values. */
#define PLACE_ERROR STATS_VALUES

#define NUMBER_BYTES 10 /* the most: 64 bits, 7 in each */
_Static_assert(PLACE_ERROR *(1 + NUMBER_BYTES) +
			       BERTH_ERRORS_MAX * (1 + 2 * NUMBER_BYTES) <=
		       STATS_PACKED_MAX,
	       "there is room for all");

static size_t put_number(unsigned char *bytes, uint64_t n)
{
	size_t len = 0;

	for (; n > 0x7f; n >>= 7)
		bytes[len++] = (unsigned char)(n | 0x80);
	bytes[len++] = (unsigned char)n;
	return len;
}

static uint64_t take_number(const unsigned char **at)
{
	uint64_t n = 0;
	unsigned int shift = 0;

	do {
		n |= (uint64_t)(**at & 0x7f) << shift;
		shift += 7;
	} while (*(*at)++ & 0x80);
	return n;
}

static size_t put_count(unsigned char *bytes, size_t place, uint64_t n)
{
	if (n == 0)
		return 0;
	*bytes = (unsigned char)place;
	return 1 + put_number(bytes + 1, n);
}

size_t stats_pack(const struct berth_counts *counts, unsigned char *bytes)
{
	size_t len = 0;

	for (size_t i = 0; i < STATS_VALUES; i++)
		len += put_count(bytes + len, i, stats_counts_value(counts, i));
	for (size_t i = 0; i < counts->n_errors; i++) {
		bytes[len++] = PLACE_ERROR;
		len += put_number(bytes + len,
				  (uint64_t)counts->errors[i].error);
		len += put_number(bytes + len, counts->errors[i].n);
	}
	return len;
}

void stats_unpack(const unsigned char *bytes, size_t len,
		  struct berth_counts *ret_counts)
{
	const unsigned char *at = bytes;
	struct berth_counts counts = { .accepted = 0 };
	uint64_t *values = stats_counts_values(&counts);

	while (at < bytes + len) {
		size_t place = *at++;

		if (place < PLACE_ERROR) {
			values[place] = take_number(&at);
		} else {
			size_t i = counts.n_errors++;

			counts.errors[i].error = (int)take_number(&at);
			counts.errors[i].n = take_number(&at);
		}
	}
	*ret_counts = counts;
}
