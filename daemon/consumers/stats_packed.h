/* SPDX-License-Identifier: Apache-2.0 */
/* stats_packed.h - counts in as few bytes as they need
 *
 * berthd remembers them for each listener that is used: as a struct they would
 * take ten times as much.
 */
#ifndef DAEMON_CONSUMERS_STATS_PACKED_H
#define DAEMON_CONSUMERS_STATS_PACKED_H

#include <stddef.h>

struct berth_counts;

/* The most: a place and a number for each count, and two for each error. */
#define STATS_PACKED_MAX 768

/** stats_pack() - to @bytes, of STATS_PACKED_MAX. Return: how many it took; 0:
 * all counts are 0. */
size_t stats_pack(const struct berth_counts *counts, unsigned char *bytes);

/** stats_unpack() - what stats_pack() made @len bytes of */
void stats_unpack(const unsigned char *bytes, size_t len,
		  struct berth_counts *ret_counts);

#endif
