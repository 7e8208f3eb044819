/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - what `berthctl top` shows: samples, and the rates between two
 *
 * Pure: no clock, no terminal, no socket. A sample is filled with what berthd
 * answered, then finished once, and read from then on.
 */
#ifndef CTL_TOP_MODEL_H
#define CTL_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum top_view {
	TOP_NAMESPACES,
	TOP_CONTAINERS,
	TOP_LISTENERS,
	TOP_BACKENDS,
	TOP_VIEWS, /* how many there are */
};

/** struct top_counts - what a listener's consumer has counted, or a sum */
struct top_counts {
	int64_t active;
	int64_t accepted;
	int64_t bytes_in;
	int64_t bytes_out;
};

/** struct top_rates - per second, between two samples */
struct top_rates {
	double accepted;
	double bytes_in;
	double bytes_out;
};

/**
 * struct top_row - one line of a view
 *
 * Texts are any bytes, never NULL, and lie in the sample.
 * @id:		of a namespace or listener; 0: of another thing
 * @netns_id:	where it is; 0: nowhere
 * @name:	of the namespace or container, endpoint, or backend
 * @place:	the namespace of a container or listener
 * @container:	through which a listener's rule matches
 * @rule:	of a listener or backend
 * @state:	a word that color_of_state() knows; of a namespace or container
 *		the worst that a listener there has; "": it has none
 * @detail:	why it has this state
 * @listening:	how many listeners listen
 * @failures:	of a backend, since it was last reached
 * @clients:	of a backend: how many have it
 * @draining:	of a listener: it is closed, and has connections
 * @counted, @rated: @counts and @rates are known
 */
struct top_row {
	uint64_t id;
	uint64_t netns_id;
	const char *name;
	const char *place;
	const char *container;
	const char *rule;
	const char *state;
	const char *detail;
	int64_t listening;
	int64_t failures;
	int64_t clients;
	int64_t age_us;
	bool draining;
	bool counted;
	bool rated;
	struct top_counts counts;
	struct top_rates rates;
};

struct top_sample;

/** top_sample_new() - @now_us: monotonic. Return: NULL: no memory. */
struct top_sample *top_sample_new(uint64_t now_us);

/** top_sample_free() - Return: NULL. NULL is fine. */
struct top_sample *top_sample_free(struct top_sample *sample);

/**
 * top_sample_add() - adds a line
 * @row:	copied, with its texts; NULL texts are empty. What is the sum of
 *		others, or a rate, is not read
 *
 * Return: 0 or -ENOMEM.
 */
int top_sample_add(struct top_sample *sample, enum top_view view,
		   const struct top_row *row);

/**
 * top_sample_finish() - reckons rates, and what namespaces and containers sum
 * up
 * @previous:	a finished one; NULL: there are no rates
 *
 * A listener that has come since @previous began with 0; a count that is less
 * than it was began anew. A container without listeners of its own has those of
 * its namespace, if it is alone there.
 */
void top_sample_finish(struct top_sample *sample,
		       const struct top_sample *previous);

/** top_sample_rows() - Return: the lines of a view, in no order. Borrowed. */
const struct top_row *top_sample_rows(const struct top_sample *sample,
				      enum top_view view, size_t *ret_n);

/** top_sample_total() - Return: the sums of all listeners, as a line. Borrowed.
 */
const struct top_row *top_sample_total(const struct top_sample *sample);

/** top_sample_seconds() - Return: since the previous sample; 0: there is none
 */
double top_sample_seconds(const struct top_sample *sample);

/** top_state_rank() - Return: how bad a state is; 0: "". */
int top_state_rank(const char *state);

#endif
