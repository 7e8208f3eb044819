/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_families.h - which metrics there are: the one table of them
 *
 * Names, types and labels are as Prometheus wants them. doc/berth-metrics.7
 * lists them for people.
 */
#ifndef DAEMON_CONTROL_METRICS_FAMILIES_H
#define DAEMON_CONTROL_METRICS_FAMILIES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct metrics_report;

/* Room for a value that is made. */
#define METRICS_TEXT_MAX 32

/**
 * struct metrics_family - one metric with all its series
 * @type:	"counter", "gauge", "histogram"
 */
struct metrics_family {
	const char *name;
	const char *type;
	const char *help;
};

/** metrics_family() - one of them. Return: NULL: @index is beyond the last. */
const struct metrics_family *metrics_family(size_t index);

/** struct metrics_cursor - where one stands in all series; zero-initialize */
struct metrics_cursor {
	size_t family;
	size_t index;
};

/**
 * struct metrics_series - one series
 * @family:	of the table
 * @suffix:	of its name, behind the family's: "_bucket", or ""
 * @value:	a number; a new reference
 * @fields:	an object, the labels; a new reference; NULL: it has none
 */
struct metrics_series {
	const struct metrics_family *family;
	const char *suffix;
	json_t *value;
	json_t *fields;
};

/**
 * metrics_next() - the next series, in the order of the table
 * @ret_series:	what it refers to is the caller's
 *
 * Return: 1; 0: that was all; -ENOMEM.
 */
int metrics_next(const struct metrics_report *report,
		 struct metrics_cursor *cursor,
		 struct metrics_series *ret_series);

#endif
